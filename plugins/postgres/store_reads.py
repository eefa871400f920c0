"""The reads of a flow store in PostgreSQL: one prepared statement each, of committed data."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from host.domain.accounts import NOTHING, Account, Balance, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import Record, RecordPlace, TopicPartition, WorkQueue
from host.ports.clock import TwoClocks
from host.ports.glances import Ended, FlowGlance, GlanceQuery
from host.ports.node_records import NodeJournal, NodeState, NodeWork
from host.ports.state import StateRecord
from host.ports.work import Backlog, WorkBatch, WorkRecord
from plugins.postgres.connections import Sessions
from plugins.postgres.glances import (
    count_status,
    read_ended,
    read_glances,
    read_requested,
)
from plugins.postgres.log_reads import COUNT_UNREAD, unread
from plugins.postgres.rows import (
    RECORD,
    STATE,
    balance_of,
    record_of,
    state_of,
)

_LAST = "\U0010ffff"
"""Sorts after every text."""
_WHOLE = ""
"""Value of `peer` in the row of an account's total."""
_WAITING = (
    "WITH RECURSIVE found AS ("
    " (SELECT partition, node FROM work WHERE topic = :t ORDER BY partition, node LIMIT 1)"
    " UNION ALL SELECT next.partition, next.node FROM found, LATERAL ("
    " SELECT w.partition, w.node FROM work w WHERE w.topic = :t"
    " AND (w.partition, w.node) > (found.partition, found.node)"
    " ORDER BY w.partition, w.node LIMIT 1) next)"
    " SELECT partition, node FROM found"
)
"""One look-up of the index per queue, independent of its number of records."""
_QUEUE = (
    "FROM work WHERE topic = :t AND partition = :p AND node = :n AND key <> ALL (:skip)"
    " ORDER BY position LIMIT"
)
_TAKE = (
    f"SELECT position, key, CASE WHEN key = (SELECT key {_QUEUE} 1) THEN value END,"
    f" written_at {_QUEUE} :m"
)
"""Values may be large: only returned ones are read."""


class StoreReads:
    """What a flow store answers.

    Args:
        sessions: connections to the database; closed with the store.
        time: the store's time.

    Raises:
        StorageError: the database cannot be used.
    """

    def __init__(self, sessions: Sessions, time: TwoClocks) -> None:
        self._sessions = sessions
        self._time = time
        ((partitions,),) = self._read("SELECT partitions FROM meta")
        self._partitions = int(partitions)

    @property
    def time(self) -> TwoClocks:
        return self._time

    @property
    def partitions(self) -> int:
        return self._partitions

    def poll(
        self, group: str, source: TopicPartition, limit: int, *, bytes_max: int | None = None
    ) -> Sequence[Record]:
        sql, limits = unread(limit, bytes_max)
        rows = self._read(sql, t=source.topic, p=source.partition, g=group, **limits)
        return [record_of(row) for row in rows]

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        rows = self._read(
            "SELECT t.topic, t.partition FROM tails t LEFT JOIN offsets o ON o.consumer = :g"
            " AND o.topic = t.topic AND o.partition = t.partition"
            " WHERE t.topic = ANY (:ts) AND coalesce(o.next, 0) < t.next"
            " ORDER BY t.topic, t.partition",
            g=group,
            ts=list(topics),
        )
        return [TopicPartition(topic=t, partition=p) for t, p in rows]

    def unread(self, group: str, topics: Sequence[str]) -> Mapping[str, int]:
        return dict(self._read(COUNT_UNREAD, g=group, ts=list(topics)))

    def waiting(self, topics: Sequence[str]) -> Sequence[WorkQueue]:
        return [
            WorkQueue(topic=topic, partition=partition, node=ShortHash(node))
            for topic in sorted(set(topics))
            for partition, node in self._read(_WAITING, t=topic)
        ]

    def take(
        self,
        queue: WorkQueue,
        limit: int,
        skip: Collection[str] = (),
        *,
        bytes_max: int | None = None,
    ) -> WorkBatch:
        rows = self._read(
            _TAKE, t=queue.topic, p=queue.partition, n=queue.node, skip=list(skip), m=limit + 1
        )
        found, size, more = list[WorkRecord](), 0, False
        for number, (position, key, value, at) in enumerate(rows):
            if value is None:
                more = True
                continue
            if number >= limit or (found and bytes_max is not None and size >= bytes_max):
                more = True
                break
            size += len(value)
            found.append(
                WorkRecord(
                    queue=queue, position=position, key=key, value=value, written_at=EpochMs(at)
                )
            )
        return WorkBatch(records=found, more=more)

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        rows = self._read(
            "SELECT topic, count(*), min(written_at) FROM work WHERE topic = ANY (:ts)"
            " GROUP BY topic ORDER BY topic",
            ts=list(topics),
        )
        return [Backlog(topic=t, records=n, oldest_at=EpochMs(at)) for t, n, at in rows]

    def topics(self, prefix: str = "") -> Sequence[str]:
        rows = self._read(
            "SELECT DISTINCT topic FROM tails WHERE topic >= :a AND topic < :b ORDER BY topic",
            a=prefix,
            b=prefix + _LAST,
        )
        return [topic for (topic,) in rows]

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        order = " ORDER BY written_at DESC, partition DESC, position DESC LIMIT :m"
        select = f"SELECT {RECORD} FROM records WHERE topic = :t"  # noqa: S608  # constants
        if before is None:
            rows = self._read(select + order, t=topic, m=limit)
        else:
            rows = self._read(
                f"{select} AND (written_at, partition, position) < (:at, :p, :o){order}",
                t=topic,
                at=before.written_at,
                p=before.partition,
                o=before.offset,
                m=limit,
            )
        return [record_of(row) for row in rows]

    def states_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeState]:
        rows = self._read(
            "SELECT s.key, version, value, due_at, consumer, partition, account, peer, started,"
            " origin FROM states s LEFT JOIN flow_glance g ON g.key = s.key"
            " WHERE s.node = :n AND account IS NOT NULL AND s.key > :a ORDER BY s.key LIMIT :m",
            n=node,
            a=after,
            m=limit,
        )
        return [
            NodeState(
                state=state_of(row[:6]),
                charge=Charge(node=node, account=Account(row[6]), peer=row[7]),
                started_at=row[8],
                origin=row[9],
            )
            for row in rows
        ]

    def work_of_node(self, node: ShortHash, after: int, limit: int) -> Sequence[NodeWork]:
        rows = self._read(
            "SELECT position, topic, partition, key, value, written_at, peer FROM work"
            " WHERE node = :n AND position > :a ORDER BY position LIMIT :m",
            n=node,
            a=after,
            m=limit,
        )
        return [
            NodeWork(
                record=WorkRecord(
                    queue=WorkQueue(topic, partition, node),
                    position=position,
                    key=key,
                    value=value,
                    written_at=EpochMs(at),
                ),
                peer=peer,
            )
            for position, topic, partition, key, value, at, peer in rows
        ]

    def journals_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeJournal]:
        rows = self._read(
            "SELECT flow_id, account, peer FROM journals WHERE node = :n AND flow_id > :a"
            " ORDER BY flow_id LIMIT :m",
            n=node,
            a=after,
            m=limit,
        )
        return [
            NodeJournal(
                flow_id=FlowId(flow_id),
                charge=Charge(node=node, account=Account(account), peer=peer),
            )
            for flow_id, account, peer in rows
        ]

    def logs_of_node(
        self, node: ShortHash, topic: str, after: RecordPlace | None, limit: int
    ) -> Sequence[Record]:
        at, partition, offset = (
            (-1, -1, -1) if after is None else (after.written_at, after.partition, after.offset)
        )
        rows = self._read(
            f"SELECT {RECORD} FROM records WHERE topic = :t AND node = :n"  # noqa: S608  # constants
            " AND (written_at, partition, position) > (:at, :p, :o)"
            " ORDER BY written_at, partition, position LIMIT :m",
            t=topic,
            n=node,
            at=at,
            p=partition,
            o=offset,
            m=limit,
        )
        return [record_of(row) for row in rows]

    def get(self, key: str) -> StateRecord | None:
        rows = self._states("key = :k", k=key)
        return rows[0] if rows else None

    def get_many(self, keys: Collection[str]) -> Mapping[str, StateRecord]:
        found = self._states("key = ANY (:ks)", ks=list(keys))
        return {record.key: record for record in found}

    def scan(self, prefix: str, limit: int | None = None) -> Sequence[StateRecord]:
        return self._states(
            "key >= :a AND key < :b ORDER BY key LIMIT :m", a=prefix, b=prefix + _LAST, m=limit
        )

    def due(
        self, group: str, now: EpochMs, limit: int, partitions: Collection[int]
    ) -> Sequence[StateRecord]:
        return self._states(
            # Only the keys are sorted: values may be large, and most are not returned.
            "key IN (SELECT key FROM states WHERE consumer = :g AND partition = ANY (:ps)"
            " AND due_at IS NOT NULL AND due_at <= :now ORDER BY due_at, key LIMIT :m)"
            " ORDER BY due_at, key",
            g=group,
            ps=list(partitions),
            now=now,
            m=limit,
        )

    def next_due(self, group: str, partitions: Collection[int]) -> EpochMs | None:
        ((found,),) = self._read(
            "SELECT min((SELECT due_at FROM states WHERE consumer = :g AND partition = p"
            " AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)) FROM unnest(:ps::integer[]) p",
            g=group,
            ps=list(partitions),
        )
        return found  # type: ignore[no-any-return]  # a column of the driver

    def placed(self, group: str, partitions: Collection[int]) -> Sequence[StateRecord]:
        return self._states(
            "consumer = :g AND partition = ANY (:ps) ORDER BY key", g=group, ps=list(partitions)
        )

    def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
        return self._states(
            "node = :n AND account = :a AND peer IS NOT DISTINCT FROM :peer AND due_at IS NOT NULL"
            " AND account IN ('status', 'history') ORDER BY due_at LIMIT :m",
            n=charge.node,
            a=charge.account.value,
            peer=charge.peer,
            m=limit,
        )

    def glances(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        return read_glances(self._read, query, limit)

    def requested(self, prefix: str, limit: int) -> Sequence[FlowGlance]:
        return read_requested(self._read, prefix, limit)

    def status_count(self, status: str, most: int) -> int:
        return count_status(self._read, status, most)

    def ended(self, since: EpochMs) -> Sequence[Ended]:
        return read_ended(self._read, since)

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        rows = self._read("SELECT value FROM journal WHERE flow_id = :f ORDER BY number", f=flow_id)
        return [value for (value,) in rows]

    def journal_rows(self, flow_id: FlowId, first: int, limit: int) -> Sequence[bytes]:
        rows = self._read(
            "SELECT value FROM journal WHERE flow_id = :f AND number >= :a"
            " ORDER BY number LIMIT :m",
            f=flow_id,
            a=first,
            m=limit,
        )
        return [value for (value,) in rows]

    def journal_bytes(self, flow_id: FlowId) -> int:
        ((size,),) = self._read(
            "SELECT coalesce(sum(octet_length(value)), 0)::bigint FROM journal WHERE flow_id = :f",
            f=flow_id,
        )
        return int(size)

    def balance(self, node: ShortHash, account: Account) -> Balance:
        return self.share(Charge(node=node, account=account))

    def share(self, charge: Charge) -> Balance:
        return self._balances(charge).get(charge.peer or _WHOLE, NOTHING)

    def whole_and_share(self, charge: Charge) -> tuple[Balance, Balance]:
        found = self._balances(charge)
        return found.get(_WHOLE, NOTHING), found.get(charge.peer or _WHOLE, NOTHING)

    def _balances(self, charge: Charge) -> dict[str, Balance]:
        rows = self._read(
            "SELECT peer, bytes, things, lasting FROM balances WHERE node = :n AND name = :a"
            " AND peer IN ('', :peer)",
            n=charge.node,
            a=charge.account.value,
            peer=charge.peer or _WHOLE,
        )
        return {peer: balance_of(row) for peer, *row in rows}

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        rows = self._read(
            "SELECT name, bytes, things, lasting FROM balances WHERE node = :n AND peer = ''",
            n=node,
        )
        return {Account(name): balance_of(row) for name, *row in rows}

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        rows = self._read(
            "SELECT peer, bytes, things, lasting FROM balances WHERE node = :n AND name = :a"
            " AND peer <> ''",
            n=node,
            a=account.value,
        )
        return {ShortHash(peer): balance_of(row) for peer, *row in rows}

    def total(self, account: Account) -> Balance:
        (row,) = self._read(
            "SELECT coalesce(sum(bytes), 0)::bigint, coalesce(sum(things), 0)::bigint,"
            " coalesce(sum(lasting), 0)::bigint FROM balances WHERE name = :a AND peer = ''",
            a=account.value,
        )
        return balance_of(row)

    def close(self) -> None:
        """Close all connections; the store is not usable afterwards."""
        self._sessions.close()

    def _states(self, where: str, **values: object) -> list[StateRecord]:
        rows = self._read(f"SELECT {STATE} FROM states WHERE {where}", **values)  # noqa: S608  # constants
        return [state_of(row) for row in rows]

    def _read(self, sql: str, **values: object) -> list[Any]:
        return self._sessions.read(lambda session: session.run(sql, **values))
