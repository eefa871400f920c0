"""The flow store in PostgreSQL whose work a broker carries (`bus = kafka`).

Work records of a unit enter the outbox, in its transaction, and their queues when they land.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from host.adapters.partitions import committed_by
from host.domain.errors import StorageBusyError
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import Committed, TopicPartition
from host.ports.carriage import Carried, Inlet, Landing, Stream, Unlanded
from host.ports.clock import Clock
from host.ports.hints import Hints
from host.ports.node_records import NodeWork
from host.ports.units import Unit
from host.ports.work import Backlog
from plugins.postgres.carriage import (
    ACKNOWLEDGE,
    CONTENTS,
    COUNT_LEAVING,
    INLETS,
    LAND,
    LEAVING,
    PLACES,
    STILL_THERE,
    UNLANDED,
    acknowledged,
    contents_of,
    found_of,
    inlet_of,
    landing_arguments,
    place_of,
    unlanded_of,
    wanted_contents,
    wanted_inlets,
)
from plugins.postgres.connections import Access
from plugins.postgres.store import PostgresStore
from plugins.postgres.unit_arguments import arguments_of


def only_here(_node: ShortHash) -> int:
    """The database of every node of a cluster with one."""
    return 0


class CarryingStore(PostgresStore):
    """The store of one database, and its side of the carriage (`CarriedWork`).

    Args:
        access: how to connect.
        number: of the database in its cluster.
        home_of: the number of the database where a node's queues are.
        clock: see `PostgresStore`.
        hints: see `PostgresStore`.

    Raises:
        StorageError: the database cannot be used.
    """

    def __init__(
        self,
        access: Access,
        *,
        number: int = 0,
        home_of: Callable[[ShortHash], int] = only_here,
        clock: Clock | None = None,
        hints: Hints | None = None,
    ) -> None:
        self._number = number
        self._home_of = home_of
        super().__init__(access, clock=clock, hints=hints)
        ((self._store_id, self._key),) = self._read("SELECT store_id::text, carriage_key FROM meta")

    @property
    def store_id(self) -> str:
        return str(self._store_id)

    @property
    def number(self) -> int:
        return self._number

    @property
    def carriage_key(self) -> bytes:
        return bytes(self._key)

    def unlanded(self, partitions: Collection[int], window: int) -> Sequence[Unlanded]:
        rows = self._read(UNLANDED, ps=list(partitions), m=window)
        return [unlanded_of(row) for row in rows]

    def contents(self, wanted: Mapping[Unlanded, int | None]) -> Sequence[Carried]:
        rows = self._read(CONTENTS, wanted=wanted_contents(wanted))
        return contents_of(rows, wanted, self.store_id)

    def inlets(self, streams: Collection[Stream]) -> Mapping[Stream, Inlet]:
        return dict(inlet_of(row) for row in self._read(INLETS, wanted=wanted_inlets(streams)))

    def places(self, partitions: Collection[int]) -> Mapping[TopicPartition, int]:
        return dict(place_of(row) for row in self._read(PLACES, ps=list(partitions)))

    def still_there(self, records: Sequence[Carried]) -> Sequence[Carried]:
        rows = self._read(STILL_THERE, wanted=wanted_contents(records))
        return found_of(rows, records)

    def acknowledge(self, records: Sequence[Carried]) -> None:
        said, number = acknowledged(records), records[0].target
        self._write(lambda session: session.run(ACKNOWLEDGE, number=number, said=said))

    def land(self, landing: Landing) -> None:
        said, values = landing_arguments(landing, self.store_id)
        self._write(
            lambda session: session.run(LAND, number=self._number, said=said, vals=list(values))
        )
        self._notices.committed(
            Committed(work=frozenset(record.queue for record in landing.records))
        )

    def leaving(self) -> Sequence[Backlog]:
        rows = self._read(LEAVING)
        return [Backlog(topic=t, records=n, oldest_at=EpochMs(at)) for t, n, at in rows]

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        """With what is on its way to the queues of any database."""
        rows = self._read(
            "SELECT topic, count(*), min(written_at) FROM (SELECT topic, written_at FROM work"
            " UNION ALL SELECT topic, written_at FROM outbox) held WHERE topic = ANY (:ts)"
            " GROUP BY topic ORDER BY topic",
            ts=list(topics),
        )
        return [Backlog(topic=t, records=n, oldest_at=EpochMs(at)) for t, n, at in rows]

    def work_of_node(self, node: ShortHash, after: int, limit: int) -> Sequence[NodeWork]:
        """See `NodeRecords.work_of_node`.

        Raises:
            StorageBusyError: some of it is on its way to its queue, which takes milliseconds.
            StorageError: the store cannot be read.
        """
        ((leaving,),) = self._read(COUNT_LEAVING, n=node)
        if leaving:
            raise StorageBusyError(
                f"{leaving} records of virtual node {node} are on their way to their queues",
                database=self._sessions.place,
            )
        return super().work_of_node(node, after, limit)

    def _arguments(self, unit: Unit) -> tuple[str, Sequence[bytes]]:
        return arguments_of(unit, self._partitions, self._home_of)

    def _committed(self, unit: Unit) -> Committed:
        """Work is told of as records of a log, its outbox: its queues do not have it yet."""
        found = committed_by(unit, self._partitions)
        leaving = {TopicPartition(topic=q.topic, partition=q.partition) for q in found.work}
        return Committed(logs=found.logs | leaving, due=found.due)
