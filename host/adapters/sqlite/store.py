"""The flow store in one SQLite file: write-ahead log, synchronous=FULL, one writer at a time.

A commit is durable when it returns: the log is synchronised to disk. Reads see only committed data,
each through a connection of its own; the pool grows to the maximum number used at the same time.
Any number of processes may use the file at once.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from host.adapters.files.identity import Mark
from host.adapters.files.open_databases import note_closed, note_opened
from host.adapters.group_assignment import GroupAssignment
from host.adapters.os.system import SystemClock
from host.adapters.partitions import PARTITIONS, committed_by
from host.adapters.sqlite import accounts as sqlite_accounts
from host.adapters.sqlite import states as sqlite_states
from host.adapters.sqlite import topics as sqlite_topics
from host.adapters.sqlite import work as sqlite_work
from host.adapters.sqlite.files import give_back, let_shrink
from host.adapters.sqlite.glances import read_glances
from host.adapters.sqlite.group_commit import GroupCommit, refusal_of
from host.adapters.sqlite.groups import load_roster, save_roster
from host.adapters.sqlite.journals import PORTION_BYTES, sweep
from host.adapters.sqlite.pieces import sweep_pieces
from host.adapters.sqlite.store_schema import prepare
from host.adapters.sqlite.unit_writer import write_unit
from host.domain.accounts import Account, Balance, Charge, Discrepancy
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import CommitListener, Committed, Record, RecordPlace, TopicPartition, WorkQueue
from host.ports.clock import Clock, TwoClocks, two_clocks
from host.ports.glances import FlowGlance, GlanceQuery
from host.ports.groups import Membership, RebalanceListener
from host.ports.hints import Hint, Hints
from host.ports.state import StateRecord
from host.ports.topics import Retention
from host.ports.units import Unit
from host.ports.work import Backlog, Look

T = TypeVar("T")

_BUSY_MS = 10_000
_SWEEPS_MAX = 64
"""Maximum portions that one commit deletes: those of a journal of 64 MiB."""
_LAST = "\U0010ffff"
"""Sorts after every text."""


class SqliteStore:
    """Opens or creates `path`.

    Args:
        path: the file; its write-ahead log and its lock file stand beside it.
        clock: the time of records and of members' heartbeats.
        hints: sends and receives notifications of commits; closed with the store.
        mark: stores the number of the newest commit, so that an older copy is recognised.

    Raises:
        StorageError: the file cannot be opened, is damaged, or has another schema version.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        hints: Hints | None = None,
        mark: Mark | None = None,
    ) -> None:
        self._path = path
        self._hints = hints
        self._time = two_clocks(clock or SystemClock())
        self._idle: list[sqlite3.Connection] = []
        self._listeners: list[CommitListener] = []
        self._rebalance_listeners: list[RebalanceListener] = []
        self._is_closed = False
        note_opened(path)
        try:
            connection = _open(path)
        except sqlite3.Error as exc:
            note_closed(path)
            raise self._refused(exc) from exc
        self._writer = GroupCommit(path, connection, mark)
        try:
            self._writer.write(lambda c: prepare(c, str(path)))
        except BaseException:
            self.close()
            raise
        if hints is not None:
            hints.listen(self._tell)

    @property
    def partitions(self) -> int:
        return PARTITIONS

    @property
    def time(self) -> TwoClocks:
        return self._time

    def poll(self, group: str, source: TopicPartition, limit: int) -> Sequence[Record]:
        rows = self._read(
            "SELECT topic, partition, position, key, value, written_at FROM records"
            " WHERE topic = ?1 AND partition = ?2 AND"
            " position >= coalesce((SELECT next FROM offsets WHERE consumer = ?3 AND topic = ?1 AND"
            " partition = ?2), 0) ORDER BY position LIMIT ?4",
            (source.topic, source.partition, group, limit),
        )
        return [_record(row) for row in rows]

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        rows = self._read(
            "SELECT t.topic, t.partition FROM tails t LEFT JOIN offsets o ON o.consumer = ?"
            " AND o.topic = t.topic AND o.partition = t.partition"
            " WHERE t.topic IN (SELECT value FROM json_each(?)) AND coalesce(o.next, 0) < t.next"
            " ORDER BY t.topic, t.partition",
            (group, json.dumps(list(topics))),
        )
        return [TopicPartition(topic=t, partition=p) for t, p in rows]

    def waiting(self, topics: Sequence[str]) -> Sequence[WorkQueue]:
        return self._reading(lambda c: sqlite_work.waiting(c, topics))

    def take(
        self,
        queue: WorkQueue,
        limit: int,
        skip: Collection[str] = (),
        *,
        bytes_max: int | None = None,
    ) -> Look:
        return self._reading(lambda c: sqlite_work.take(c, queue, limit, skip, bytes_max))

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        return self._reading(lambda c: sqlite_work.backlogs(c, topics))

    def on_commit(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def topics(self, prefix: str = "") -> Sequence[str]:
        rows = self._read(
            "SELECT DISTINCT topic FROM tails WHERE topic >= ? AND topic < ? ORDER BY topic",
            (prefix, prefix + _LAST),
        )
        return [topic for (topic,) in rows]

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        return [_record(row) for row in self._read(*sqlite_topics.newest(topic, limit, before))]

    def expire(self, topic: str, retention: Retention) -> int:
        age_ms, bytes_max = retention.age_ms, retention.bytes_max
        deleted = 0
        if age_ms is not None:
            before = EpochMs(self._time.now_ms() - age_ms)
            deleted += self._count(lambda c: sqlite_topics.expire_by_age(c, topic, before))
        if bytes_max is not None:
            deleted += self._count(lambda c: sqlite_topics.expire_by_size(c, topic, bytes_max))
        return deleted

    def shrink(self) -> int:
        if self._sweep(1):
            return PORTION_BYTES
        free: list[int] = []
        self._writer.write(lambda connection: free.append(give_back(connection)))
        if free[-1] == 0:
            self._reading(lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").close())
        return free[-1]

    def _count(self, delete: Callable[[sqlite3.Connection], int]) -> int:
        counts: list[int] = []
        self._writer.write(lambda connection: counts.append(delete(connection)))
        # A unit that was first tried together with others may have been executed twice.
        return counts[-1]

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

    def journal_rows(self, flow_id: FlowId, first: int, limit: int) -> Sequence[bytes]:
        rows = self._read(
            "SELECT value FROM journal WHERE flow_id = ? AND number >= ? ORDER BY number LIMIT ?",
            (flow_id, first, limit),
        )
        return [row[0] for row in rows]

    def journal_bytes(self, flow_id: FlowId) -> int:
        sql = "SELECT coalesce(sum(length(value)), 0) FROM journal WHERE flow_id = ?"
        return int(self._read(sql, (flow_id,))[0][0])

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

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        found: list[Sequence[Discrepancy]] = []

        def look(connection: sqlite3.Connection) -> None:
            found.append(sqlite_accounts.recount(connection))
            if repair:
                sqlite_accounts.repair(connection, found[-1])

        self._writer.write(look)
        return found[-1]

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        rows = self._read("SELECT value FROM journal WHERE flow_id = ? ORDER BY number", (flow_id,))
        return [row[0] for row in rows]

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        return self._change(group, lambda r, now: r.joined(member, ttl_ms, now)).membership(member)

    def heartbeat(self, group: str, member: str) -> Membership:
        return self._change(group, lambda r, now: r.beaten(member, now)).membership(member)

    def leave(self, group: str, member: str) -> None:
        self._change(group, lambda r, now: r.left(member, now))

    def members(self, group: str) -> Sequence[Membership]:
        roster = self._reading(lambda c: load_roster(c, group))
        return [roster.membership(member) for member in sorted(roster.pulses)]

    def on_rebalance(self, listener: RebalanceListener) -> None:
        self._rebalance_listeners.append(listener)

    def _change(
        self, group: str, change: Callable[[GroupAssignment, EpochMs], GroupAssignment]
    ) -> GroupAssignment:
        rosters: list[GroupAssignment] = []

        def write(connection: sqlite3.Connection) -> None:
            before = load_roster(connection, group)
            after = change(before, EpochMs(self._time.steady_ms()))
            save_roster(connection, before, after)
            rosters.extend((before, after))

        self._writer.write(write)
        before, after = rosters[-2:]
        if after.generation != before.generation:
            self._announce(Hint(groups=frozenset({group})))
        return after

    def commit(self, unit: Unit) -> None:
        forgotten: list[bool] = []
        self._writer.write(
            lambda connection: forgotten.append(write_unit(connection, unit, self._time.now_ms())),
            size=unit.size,
        )
        if committed := committed_by(unit):
            self._tell_committed(committed)
            if self._hints is not None and self._hints.has_listeners:
                self._hints.tell(Hint(committed=committed))
        if forgotten[-1]:
            with suppress(StorageError):  # the unit is committed; later commits delete the rest
                self._sweep(_SWEEPS_MAX)

    def _sweep(self, portions: int) -> bool:
        """Delete forgotten data in portions, between which others can commit.

        Returns:
            Whether there may be more.
        """
        more: list[bool] = [True]
        while portions and more[-1]:
            self._writer.write(
                lambda connection: more.append(sweep(connection) or sweep_pieces(connection)),
                size=PORTION_BYTES,
            )
            portions -= 1
        return more[-1]

    def _announce(self, hint: Hint) -> None:
        self._tell(hint)
        if self._hints is not None:
            self._hints.tell(hint)

    def _tell(self, hint: Hint) -> None:
        """Notify this process's listeners of its own or another process's commit."""
        committed = self._everything(hint) if hint.is_incomplete else hint.committed
        if committed:
            self._tell_committed(committed)
        for group in hint.groups:
            for rebalanced in self._rebalance_listeners:
                rebalanced(group)

    def _tell_committed(self, committed: Committed) -> None:
        for listener in self._listeners:
            listener(committed)

    def _everything(self, hint: Hint) -> Committed:
        """All partitions that may have new records."""
        try:
            logs = self._read("SELECT topic, partition FROM tails", ())
            topics = self._read("SELECT DISTINCT topic FROM work", ())
            work = self.waiting([topic for (topic,) in topics])
        except StorageError:
            return hint.committed
        return Committed(
            logs=frozenset(TopicPartition(topic=t, partition=p) for t, p in logs),
            work=frozenset(work),
            due=hint.committed.due,
        )

    def glances(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        return read_glances(self._read, query, limit)

    def close(self) -> None:
        """Close all connections; the store is not usable afterwards."""
        if self._hints is not None:
            self._hints.close()
        was_open, self._is_closed = not self._is_closed, True
        self._close_idle()
        self._writer.close()
        if was_open:
            note_closed(self._path)

    def _borrowed(self) -> sqlite3.Connection:
        """A connection for one read; a thread-local one would stay open after the thread's end."""
        with suppress(IndexError):
            return self._idle.pop()
        if self._is_closed:
            raise StorageError(f"flow store {self._path} is closed", path=str(self._path))
        return _open(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._is_closed:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _read(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        return self._reading(lambda c: c.execute(sql, values).fetchall())

    def _reading(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._borrowed()
            try:
                return read(connection)
            finally:
                self._give_back(connection)
        except sqlite3.Error as exc:
            raise self._refused(exc) from exc

    def _refused(self, exc: sqlite3.Error) -> StorageError:
        return refusal_of(self._path, exc)


def _open(path: Path) -> sqlite3.Connection:
    with suppress(OSError):  # reported by SQLite
        path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
    )
    try:
        let_shrink(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _record(row: Any) -> Record:
    topic, partition, position, key, value, written_at = row
    return Record(
        source=TopicPartition(topic=topic, partition=partition),
        offset=position,
        key=key,
        value=value,
        written_at=written_at,
    )
