"""The flow store in one SQLite file: write-ahead log, synchronous=FULL, one writer at a time.

A commit is durable when it returns: the log is synchronised to disk. Reads see only committed data,
each through a connection of its own; the pool grows to the maximum number used at the same time.
Any number of processes may use the file at once.
"""

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from host.adapters.commit_notices import CommitNotices
from host.adapters.files.identity import Mark
from host.adapters.files.open_databases import note_closed, note_opened
from host.adapters.group_assignment import GroupAssignment
from host.adapters.os.system import SystemClock
from host.adapters.partitions import committed_by
from host.adapters.sqlite import accounts as sqlite_accounts
from host.adapters.sqlite import topics as sqlite_topics
from host.adapters.sqlite.connections import open_connection
from host.adapters.sqlite.files import give_back
from host.adapters.sqlite.group_commit import GroupCommit, Write, refusal_of
from host.adapters.sqlite.groups import load_roster, save_roster
from host.adapters.sqlite.journals import PORTION_BYTES, sweep
from host.adapters.sqlite.pieces import forget_staged, forget_stale, stage, sweep_pieces
from host.adapters.sqlite.store_reads import StoreReads
from host.adapters.sqlite.store_schema import prepare
from host.adapters.sqlite.unit_writer import write_unit
from host.domain.accounts import Discrepancy
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.ports.bus import CommitListener, Committed, TopicPartition
from host.ports.clock import Clock
from host.ports.groups import Membership, RebalanceListener
from host.ports.hints import Hint, Hints
from host.ports.topics import Retention
from host.ports.units import Unit

_SWEEPS_MAX = 64
"""Maximum portions that one commit deletes: those of a journal of 64 MiB."""


class SqliteStore(StoreReads):
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
        super().__init__(path, clock or SystemClock())
        self._notices = CommitNotices(hints, self._everything)
        self._is_closed = False
        note_opened(path)
        try:
            connection, copying = open_connection(path), open_connection(path)
        except sqlite3.Error as exc:
            note_closed(path)
            raise refusal_of(path, exc) from exc
        self._writer = GroupCommit(path, connection, copying, mark)
        try:
            self._writer.write(lambda c: prepare(c, str(path)))
        except BaseException:
            self.close()
            raise
        self._notices.start()

    def commit(self, unit: Unit) -> None:
        forgotten: list[bool] = []
        write = partial(self._write, lane=unit.node)
        staged = stage(unit, write, self._time.steady_ms())
        rest = sum(len(v) for place, v in enumerate(unit.values()) if place not in staged)
        try:
            write(
                lambda c: forgotten.append(write_unit(c, unit, self._time.now_ms(), staged)), rest
            )
        except BaseException:
            forget_staged(staged, write)
            raise
        self._notices.committed(committed_by(unit))
        if forgotten[-1]:
            with suppress(StorageError):  # the unit is committed; later commits delete the rest
                self._sweep(_SWEEPS_MAX)

    def _write(self, write: Write, size: int, *, lane: Hashable = None) -> None:
        self._writer.write(write, size=size, lane=lane)

    def on_commit(self, listener: CommitListener) -> None:
        self._notices.on_commit(listener)

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
        self._writer.write(lambda c: forget_stale(c, self._time.steady_ms()))
        if self._sweep(1):
            return PORTION_BYTES
        free: list[int] = []
        self._writer.write(lambda connection: free.append(give_back(connection)))
        if free[-1] == 0:
            self._reading(lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").close())
        return free[-1]

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        found: list[Sequence[Discrepancy]] = []

        def look(connection: sqlite3.Connection) -> None:
            found.append(sqlite_accounts.recount(connection))
            if repair:
                sqlite_accounts.repair(connection, found[-1])

        self._writer.write(look)
        return found[-1]

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        return self._change(group, lambda r, now: r.joined(member, ttl_ms, now)).membership(member)

    def heartbeat(self, group: str, member: str) -> Membership:
        return self._change(group, lambda r, now: r.beaten(member, now)).membership(member)

    def leave(self, group: str, member: str) -> None:
        self._change(group, lambda r, now: r.left(member, now))

    def on_rebalance(self, listener: RebalanceListener) -> None:
        self._notices.on_rebalance(listener)

    def close(self) -> None:
        """Close all connections; the store is not usable afterwards."""
        self._notices.close()
        was_open, self._is_closed = not self._is_closed, True
        super().close()
        self._writer.close()
        if was_open:
            note_closed(self._path)

    def _count(self, delete: Callable[[sqlite3.Connection], int]) -> int:
        counts: list[int] = []
        self._writer.write(lambda connection: counts.append(delete(connection)))
        # A unit that was first tried together with others may have been executed twice.
        return counts[-1]

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
            self._notices.rebalanced(group)
        return after

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
