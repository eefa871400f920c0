"""What a flow store in SQLite answers: committed data, each read by a connection of its own."""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from host.adapters.partitions import PARTITIONS
from host.adapters.sqlite import accounts as sqlite_accounts
from host.adapters.sqlite import node_records as sqlite_node_records
from host.adapters.sqlite import states as sqlite_states
from host.adapters.sqlite import topics as sqlite_topics
from host.adapters.sqlite import work as sqlite_work
from host.adapters.sqlite.connections import ReadConnections
from host.adapters.sqlite.glances import (
    count_status,
    read_ended,
    read_glances,
    read_requested,
)
from host.adapters.sqlite.groups import load_roster
from host.adapters.sqlite.pieces import whole
from host.domain.accounts import Account, Balance, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import Record, RecordPlace, TopicPartition, WorkQueue
from host.ports.clock import Clock, TwoClocks, two_clocks
from host.ports.glances import Ended, FlowGlance, GlanceQuery
from host.ports.groups import Membership
from host.ports.node_records import NodeJournal, NodeState, NodeWork
from host.ports.state import StateRecord
from host.ports.work import Backlog, WorkBatch

T = TypeVar("T")

_JOURNAL_VALUES = f"SELECT {whole('journal')} FROM journal"  # noqa: S608  # a constant
_LAST = "\U0010ffff"
"""Sorts after every text."""


class StoreReads:
    """The reads of the store in the file `path`, which exists."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._time = two_clocks(clock)
        self._connections = ReadConnections(path)

    @property
    def time(self) -> TwoClocks:
        return self._time

    @property
    def partitions(self) -> int:
        return PARTITIONS

    def poll(
        self, group: str, source: TopicPartition, limit: int, *, bytes_max: int | None = None
    ) -> Sequence[Record]:
        return [
            _record(row)
            for row in self._read(*sqlite_topics.unread(group, source, limit, bytes_max))
        ]

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        rows = self._read(
            "SELECT t.topic, t.partition FROM tails t LEFT JOIN offsets o ON o.consumer = ?"
            " AND o.topic = t.topic AND o.partition = t.partition"
            " WHERE t.topic IN (SELECT value FROM json_each(?)) AND coalesce(o.next, 0) < t.next"
            " ORDER BY t.topic, t.partition",
            (group, json.dumps(list(topics))),
        )
        return [TopicPartition(topic=t, partition=p) for t, p in rows]

    def unread(self, group: str, topics: Sequence[str]) -> Mapping[str, int]:
        rows = self._read(
            "SELECT t.topic, sum(t.next - coalesce(o.next, 0)) AS found FROM tails t"
            " LEFT JOIN offsets o ON o.consumer = ? AND o.topic = t.topic"
            " AND o.partition = t.partition WHERE t.topic IN (SELECT value FROM json_each(?))"
            " GROUP BY t.topic HAVING found > 0",
            (group, json.dumps(list(topics))),
        )
        return dict(rows)

    def waiting(self, topics: Sequence[str]) -> Sequence[WorkQueue]:
        return self._reading(lambda c: sqlite_work.waiting(c, topics))

    def take(
        self,
        queue: WorkQueue,
        limit: int,
        skip: Collection[str] = (),
        *,
        bytes_max: int | None = None,
    ) -> WorkBatch:
        return self._reading(lambda c: sqlite_work.take(c, queue, limit, skip, bytes_max))

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        return self._reading(lambda c: sqlite_work.backlogs(c, topics))

    def topics(self, prefix: str = "") -> Sequence[str]:
        rows = self._read(
            "SELECT DISTINCT topic FROM tails WHERE topic >= ? AND topic < ? ORDER BY topic",
            (prefix, prefix + _LAST),
        )
        return [topic for (topic,) in rows]

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        return [_record(row) for row in self._read(*sqlite_topics.newest(topic, limit, before))]

    def get(self, key: str) -> StateRecord | None:
        return self._reading(lambda c: sqlite_states.get(c, key))

    def get_many(self, keys: Collection[str]) -> Mapping[str, StateRecord]:
        return self._reading(lambda c: sqlite_states.get_many(c, keys))

    def scan(self, prefix: str, limit: int | None = None) -> Sequence[StateRecord]:
        return self._reading(lambda c: sqlite_states.scan(c, prefix, limit))

    def due(
        self, group: str, now: EpochMs, limit: int, partitions: Collection[int]
    ) -> Sequence[StateRecord]:
        return self._reading(lambda c: sqlite_states.due(c, group, now, limit, partitions))

    def next_due(self, group: str, partitions: Collection[int]) -> EpochMs | None:
        return self._reading(lambda c: sqlite_states.next_due(c, group, partitions))

    def placed(self, group: str, partitions: Collection[int]) -> Sequence[StateRecord]:
        return self._reading(lambda c: sqlite_states.placed(c, group, partitions))

    def glances(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        return read_glances(self._read, query, limit)

    def requested(self, prefix: str, limit: int) -> Sequence[FlowGlance]:
        return read_requested(self._read, prefix, limit)

    def status_count(self, status: str, most: int) -> int:
        return count_status(self._read, status, most)

    def ended(self, since: EpochMs) -> Sequence[Ended]:
        return read_ended(self._read, since)

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        rows = self._read(f"{_JOURNAL_VALUES} WHERE flow_id = ? ORDER BY number", (flow_id,))
        return [row[0] for row in rows]

    def journal_rows(self, flow_id: FlowId, first: int, limit: int) -> Sequence[bytes]:
        rows = self._read(
            f"{_JOURNAL_VALUES} WHERE flow_id = ? AND number >= ? ORDER BY number LIMIT ?",
            (flow_id, first, limit),
        )
        return [row[0] for row in rows]

    def journal_bytes(self, flow_id: FlowId) -> int:
        sql = "SELECT coalesce(sum(length(value) + large_bytes), 0) FROM journal WHERE flow_id = ?"
        return int(self._read(sql, (flow_id,))[0][0])

    def states_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeState]:
        return self._reading(lambda c: sqlite_node_records.states_of_node(c, node, after, limit))

    def work_of_node(self, node: ShortHash, after: int, limit: int) -> Sequence[NodeWork]:
        return self._reading(lambda c: sqlite_node_records.work_of_node(c, node, after, limit))

    def journals_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeJournal]:
        return self._reading(lambda c: sqlite_node_records.journals_of_node(c, node, after, limit))

    def logs_of_node(
        self, node: ShortHash, topic: str, after: RecordPlace | None, limit: int
    ) -> Sequence[Record]:
        return self._reading(
            lambda c: sqlite_node_records.logs_of_node(c, node, topic, after, limit)
        )

    def balance(self, node: ShortHash, account: Account) -> Balance:
        return self.share(Charge(node=node, account=account))

    def share(self, charge: Charge) -> Balance:
        return self._reading(lambda c: sqlite_accounts.share(c, charge))

    def whole_and_share(self, charge: Charge) -> tuple[Balance, Balance]:
        return self._reading(lambda c: sqlite_accounts.whole_and_share(c, charge))

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        return self._reading(lambda c: sqlite_accounts.balances(c, node))

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        return self._reading(lambda c: sqlite_accounts.shares(c, node, account))

    def total(self, account: Account) -> Balance:
        return self._reading(lambda c: sqlite_accounts.total(c, account))

    def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
        return self._reading(lambda c: sqlite_states.oldest(c, charge, limit))

    def members(self, group: str) -> Sequence[Membership]:
        roster = self._reading(lambda c: load_roster(c, group))
        return [roster.membership(member) for member in sorted(roster.pulses)]

    def close(self) -> None:
        """Close all connections; the store is not usable afterwards."""
        self._connections.close()

    def _read(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        return self._reading(lambda c: c.execute(sql, values).fetchall())

    def _reading(self, read: Callable[[sqlite3.Connection], T]) -> T:
        return self._connections.run(read)


def _record(row: Any) -> Record:
    topic, partition, position, key, value, written_at, owner = row
    return Record(
        source=TopicPartition(topic=topic, partition=partition),
        offset=position,
        key=key,
        value=value,
        written_at=written_at,
        owner=owner,
    )
