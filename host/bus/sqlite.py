"""The flow store in one SQLite file: write-ahead log, synchronous=FULL, one writer at a time.

A commit is durable when it returns: the log is synchronised to disk. Each thread reads through
its own connection and sees committed data only. Any number of processes may use the file at once.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from host.bus import sqlite_topics
from host.bus.doorbell import Doorbell, Hint
from host.bus.roster import Roster
from host.bus.schema import prepare
from host.bus.sqlite_groups import load_roster, save_roster
from host.bus.unit_writer import write_unit
from host.bus.writer import Writer
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, FlowId
from host.ports.bus import Backlog, CommitListener, Record, TopicPartition
from host.ports.clock import Clock
from host.ports.groups import Membership, RebalanceListener
from host.ports.state import StateRecord
from host.ports.topics import Retention
from host.ports.units import Unit
from host.sqlite_files import SHRINKING, give_back
from host.system import SystemClock

_BUSY_MS = 10_000
_TRIM_MAX = 2_000
_LAST = "\U0010ffff"
"""Behind every text."""


class SqliteStore:
    """Opens or creates `path`.

    Args:
        path: the file; its write-ahead log and its lock file stand beside it.
        clock: tells when records were written and members were heard of.
        doorbell: tells of commits to and by other processes; closed with the store.

    Raises:
        StorageError: the file cannot be opened, is damaged, or has another schema version.
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, doorbell: Doorbell | None = None
    ) -> None:
        self._path = path
        self._doorbell = doorbell
        self._clock = clock or SystemClock()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._listeners: list[CommitListener] = []
        self._rebalance_listeners: list[RebalanceListener] = []
        self._is_closed = False
        with self._translated():
            connection = _open(path)
        self._writer = Writer(path, connection)
        try:
            self._writer.write(lambda c: prepare(c, self._clock.now_ms()))
        except BaseException:
            self.close()
            raise
        if doorbell is not None:
            doorbell.listen(self._tell)

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

    def backlogs(self, group: str, topics: Sequence[str]) -> Sequence[Backlog]:
        rows = self._read(
            "SELECT r.topic, count(*), min(r.written_at) FROM tails t"
            " LEFT JOIN offsets o ON o.consumer = ?"
            " AND o.topic = t.topic AND o.partition = t.partition"
            " JOIN records r ON r.topic = t.topic AND r.partition = t.partition"
            " AND r.position >= coalesce(o.next, 0)"
            " WHERE t.topic IN (SELECT value FROM json_each(?)) AND coalesce(o.next, 0) < t.next"
            " GROUP BY r.topic ORDER BY r.topic",
            (group, json.dumps(list(topics))),
        )
        return [Backlog(topic=t, records=n, oldest_at=at) for t, n, at in rows]

    def on_commit(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def trim(self, groups: Sequence[tuple[str, str]]) -> int:
        return sum(self._trim(topic, group) for topic, group in groups)

    def _trim(self, topic: str, group: str) -> int:
        """In parts, so that commits need not wait until all is deleted."""
        deleted = 0
        while True:
            part = self._count(lambda c: sqlite_topics.trim(c, topic, group, _TRIM_MAX))
            deleted += part
            if part < _TRIM_MAX:
                return deleted

    def topics(self, prefix: str = "") -> Sequence[str]:
        rows = self._read(
            "SELECT DISTINCT topic FROM tails WHERE topic >= ? AND topic < ? ORDER BY topic",
            (prefix, prefix + _LAST),
        )
        return [topic for (topic,) in rows]

    def read(self, source: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        rows = self._read(
            "SELECT topic, partition, position, key, value, written_at FROM records"
            " WHERE topic = ? AND partition = ? AND position >= ? ORDER BY position LIMIT ?",
            (source.topic, source.partition, offset, limit),
        )
        return [_record(row) for row in rows]

    def newest(self, topic: str, limit: int) -> Sequence[Record]:
        rows = self._read(
            "SELECT topic, partition, position, key, value, written_at FROM records WHERE topic = ?"
            " ORDER BY written_at DESC, partition DESC, position DESC LIMIT ?",
            (topic, limit),
        )
        return [_record(row) for row in rows]

    def latest(self, topic: str) -> Sequence[Record]:
        rows = self._read(
            sqlite_topics.LATEST,
            (topic,),
        )
        return [_record(row) for row in rows]

    def compact(self, topic: str, *, tombstones_before: EpochMs) -> int:
        return self._count(lambda c: sqlite_topics.compact(c, topic, tombstones_before))

    def expire(self, topic: str, retention: Retention) -> int:
        age_ms, bytes_max = retention.age_ms, retention.bytes_max
        deleted = 0
        if age_ms is not None:
            before = EpochMs(self._clock.now_ms() - age_ms)
            deleted += self._count(lambda c: sqlite_topics.expire_by_age(c, topic, before))
        if bytes_max is not None:
            deleted += self._count(lambda c: sqlite_topics.expire_by_size(c, topic, bytes_max))
        return deleted

    def shrink(self) -> int:
        free: list[int] = []
        self._writer.write(lambda connection: free.append(give_back(connection)))
        if free[-1] == 0:
            with self._translated():
                self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        return free[-1]

    def _count(self, delete: Callable[[sqlite3.Connection], int]) -> int:
        counts: list[int] = []
        self._writer.write(lambda connection: counts.append(delete(connection)))
        # Whoever was tried with others first may have been tried twice.
        return counts[-1]

    def get(self, key: str) -> StateRecord | None:
        rows = self._read("SELECT key, version, value, due_at FROM states WHERE key = ?", (key,))
        return _state(rows[0]) if rows else None

    def scan(self, prefix: str) -> Sequence[StateRecord]:
        rows = self._read(
            "SELECT key, version, value, due_at FROM states WHERE key >= ? AND key < ?"
            " ORDER BY key",
            (prefix, prefix + _LAST),
        )
        return [_state(row) for row in rows]

    def count_lasting(self, prefix: str) -> int:
        rows = self._read(
            "SELECT count(*) FROM states WHERE key >= ? AND key < ? AND due_at IS NULL",
            (prefix, prefix + _LAST),
        )
        found: int = rows[0][0]
        return found

    def due(self, now: EpochMs, limit: int) -> Sequence[StateRecord]:
        rows = self._read(
            "SELECT key, version, value, due_at FROM states WHERE due_at IS NOT NULL AND"
            " due_at <= ? ORDER BY due_at, key LIMIT ?",
            (now, limit),
        )
        return [_state(row) for row in rows]

    def next_due(self) -> EpochMs | None:
        rows = self._read("SELECT min(due_at) FROM states WHERE due_at IS NOT NULL", ())
        found: EpochMs | None = rows[0][0]
        return found

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
        with self._translated():
            roster = load_roster(self._connection(), group)
        return [roster.membership(member) for member in sorted(roster.pulses)]

    def on_rebalance(self, listener: RebalanceListener) -> None:
        self._rebalance_listeners.append(listener)

    def _change(self, group: str, change: Callable[[Roster, EpochMs], Roster]) -> Roster:
        rosters: list[Roster] = []

        def write(connection: sqlite3.Connection) -> None:
            before = load_roster(connection, group)
            after = change(before, self._clock.now_ms())
            save_roster(connection, before, after)
            rosters.extend((before, after))

        self._writer.write(write)
        before, after = rosters[-2:]
        if after.generation != before.generation:
            self._announce(Hint(groups=[group]))
        return after

    def commit(self, unit: Unit) -> None:
        self._writer.write(lambda connection: write_unit(connection, unit, self._clock.now_ms()))
        touched, due = unit.touched(), unit.next_due()
        if touched or due is not None:
            self._announce(Hint.of_commit(touched, due))

    def _announce(self, hint: Hint) -> None:
        self._tell(hint)
        if self._doorbell is not None:
            self._doorbell.ring(hint)

    def _tell(self, hint: Hint) -> None:
        """Tell this process's listeners what it, or another process, has committed."""
        touched = self._all_partitions() if hint.too_many else hint.partitions()
        if touched or hint.due is not None:
            due = None if hint.due is None else EpochMs(hint.due)
            for listener in self._listeners:
                listener(touched, due)
        for group in hint.groups:
            for rebalanced in self._rebalance_listeners:
                rebalanced(group)

    def _all_partitions(self) -> frozenset[TopicPartition]:
        try:
            rows = self._read("SELECT topic, partition FROM tails", ())
        except StorageError:
            return frozenset()
        return frozenset(TopicPartition(topic=t, partition=p) for t, p in rows)

    def close(self) -> None:
        """Close every thread's connection; the store is not usable afterwards."""
        if self._doorbell is not None:
            self._doorbell.close()
        with self._guard:
            self._is_closed = True
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()
        self._writer.close()

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is not None:
            return found
        with self._guard:
            if self._is_closed:
                raise StorageError(f"flow store {self._path} is closed", path=str(self._path))
            connection = _open(self._path)
            self._connections.append(connection)
        self._local.connection = connection
        return connection

    def _read(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        with self._translated():
            return self._connection().execute(sql, values).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise StorageError(f"flow store {self._path}: {exc}", path=str(self._path)) from exc


def _open(path: Path) -> sqlite3.Connection:
    with suppress(OSError):  # told by SQLite
        path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
    )
    try:
        for pragma in SHRINKING:  # before anything is written: a file keeps what it began with
            connection.execute(pragma)
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


def _state(row: Any) -> StateRecord:
    key, version, value, due_at = row
    return StateRecord(key=key, version=version, value=value, due_at=due_at)
