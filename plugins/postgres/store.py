"""The flow store in PostgreSQL: every step is one call of the database function `commit_unit`.

A commit is durable when it returns, if the server's `fsync` and `synchronous_commit` are on. Any
number of processes on any number of hosts use one database; connections share the flush of the
server's log by themselves.
"""

import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from itertools import count
from typing import TypeVar

from host.adapters.commit_notices import CommitNotices
from host.adapters.group_assignment import GroupAssignment
from host.adapters.partitions import PARTITIONS, committed_by
from host.domain.accounts import Discrepancy
from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.ports.bus import CommitListener, Committed, TopicPartition
from host.ports.clock import Clock, two_clocks
from host.ports.database import Schema
from host.ports.groups import Membership, RebalanceListener
from host.ports.hints import Hint, Hints
from host.ports.topics import Retention
from host.ports.units import Unit
from plugins.postgres.accounts import CORRECT, CORRECT_JOURNALS, RECOUNT, discrepancy_of
from plugins.postgres.connections import Access, Session, Sessions
from plugins.postgres.database_time import DatabaseTime
from plugins.postgres.errors import RETRIED, sqlstate
from plugins.postgres.groups import load_roster, lock_roster, save_roster
from plugins.postgres.store_reads import StoreReads
from plugins.postgres.tables import make_schema
from plugins.postgres.unit_arguments import arguments_of

T = TypeVar("T")

SCHEMA = "cordbox_flow"
_TABLES, _COMMIT_UNIT, _CARRIAGE = (
    files(__package__).joinpath(name).read_text("utf-8")
    for name in ("flows.sql", "commit_unit.sql", "flows_carriage.sql")
)
FLOWS = Schema(
    name="flows",
    version=3,
    statements={"postgresql": (_TABLES, _COMMIT_UNIT, _CARRIAGE)},
    migrations={
        # Units of version 1 dropped no records of logs.
        1: {"postgresql": (_COMMIT_UNIT,)},
        2: {"postgresql": (_CARRIAGE,)},
    },
)
_COMMIT = "SELECT commit_unit(:unit::jsonb, :vals::bytea[], :at::bigint)"
_READ_ONE_STATE = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TRIES_MAX = 3
"""Attempts of a transaction that the server aborts because of others."""
_COMMITS_PER_FOLD = 128
"""Commits of a process after which it adds up the changes of accounts."""
_FOLDED_MAX = 10_000
"""Changes that one transaction adds up."""
_GONE = (
    "changed AS (SELECT charge(array_agg(ROW (node, 'bus', NULL,"
    " -octet_length(key) - octet_length(value), -1, 0)::change)) FROM gone)"
    " SELECT count(*) FROM gone, changed"
)
_EXPIRE_BY_AGE = (
    "WITH gone AS (DELETE FROM records WHERE topic = :t AND written_at <="  # noqa: S608  # constants
    f" coalesce(:now::bigint, present_ms()) - :age::bigint RETURNING *), {_GONE}"
)
_EXPIRE_BY_SIZE = (
    "WITH gone AS (DELETE FROM records WHERE topic = :t AND (partition, position) IN (SELECT"  # noqa: S608  # constants
    " partition, position FROM (SELECT partition, position, sum(octet_length(value)) OVER"
    " (PARTITION BY node ORDER BY written_at DESC, partition DESC, position DESC) AS newer"
    f" FROM records WHERE topic = :t) aged WHERE newer > :most) RETURNING *), {_GONE}"
)


class PostgresStore(StoreReads):
    """The store in the schema `cordbox_flow` of a database, where `make_tables` has made it.

    Args:
        access: how to connect.
        clock: the time of records and of members' heartbeats; by default the database's.
        hints: sends and receives notifications of commits; closed with the store.

    Raises:
        StorageError: the database cannot be used.
    """

    def __init__(
        self, access: Access, *, clock: Clock | None = None, hints: Hints | None = None
    ) -> None:
        self._clock = clock
        self._measured = DatabaseTime()
        sessions = Sessions(access.within(SCHEMA))
        super().__init__(sessions, self._measured if clock is None else two_clocks(clock))
        self._notices = CommitNotices(hints, self._everything)
        self._commits = count(1)
        self._sessions.read(self._measure)
        self._notices.start()

    def commit(self, unit: Unit) -> None:
        said, values = self._arguments(unit)
        self._write(lambda session: self._commit(session, said, values))
        self._notices.committed(self._committed(unit))
        if next(self._commits) % _COMMITS_PER_FOLD == 0:
            self._fold()

    def on_commit(self, listener: CommitListener) -> None:
        self._notices.on_commit(listener)

    def expire(self, topic: str, retention: Retention) -> int:
        deleted = 0
        now = None if self._clock is None else self._clock.now_ms()
        if retention.age_ms is not None:
            deleted += self._counted(_EXPIRE_BY_AGE, t=topic, now=now, age=retention.age_ms)
        if retention.bytes_max is not None:
            deleted += self._counted(_EXPIRE_BY_SIZE, t=topic, most=retention.bytes_max)
        return deleted

    def shrink(self) -> int:
        """Add up the accounts; the server itself releases disk space."""
        self._fold()
        return 0

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        def look(session: Session) -> Sequence[Discrepancy]:
            with session.transaction():
                found = [discrepancy_of(row) for row in session.run(RECOUNT)]
                if repair:
                    session.run(CORRECT_JOURNALS)
                    for one in found:
                        more = one.counted - one.kept
                        session.run(
                            CORRECT,
                            n=one.node,
                            a=one.account.value,
                            p=one.peer or "",
                            bytes=more.bytes,
                            things=more.rows,
                            lasting=more.lasting,
                        )
                return found

        return self._write(look)

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        return self._change(group, lambda r, now: r.joined(member, ttl_ms, now)).membership(member)

    def heartbeat(self, group: str, member: str) -> Membership:
        # In a suspended machine its monotonic clock stands still, and the database's goes on.
        self._sessions.read(self._measure)
        return self._change(group, lambda r, now: r.beaten(member, now)).membership(member)

    def leave(self, group: str, member: str) -> None:
        self._change(group, lambda r, now: r.left(member, now))

    def members(self, group: str) -> Sequence[Membership]:
        def look(session: Session) -> GroupAssignment:
            with session.transaction(_READ_ONE_STATE):
                return load_roster(session, group, self._partitions)

        roster = self._sessions.read(look)
        return [roster.membership(member) for member in sorted(roster.pulses)]

    def on_rebalance(self, listener: RebalanceListener) -> None:
        self._notices.on_rebalance(listener)

    def close(self) -> None:
        """Close all connections; the store is not usable afterwards."""
        self._notices.close()
        super().close()

    def _arguments(self, unit: Unit) -> tuple[str, Sequence[bytes]]:
        """The unit as `commit_unit` takes it."""
        return arguments_of(unit, self._partitions)

    def _committed(self, unit: Unit) -> Committed:
        """What the commit of a unit tells of."""
        return committed_by(unit, self._partitions)

    def _commit(self, session: Session, said: str, values: Sequence[bytes]) -> None:
        at = None if self._clock is None else self._clock.now_ms()
        before = time.monotonic()
        ((told,),) = session.run(_COMMIT, unit=said, vals=list(values), at=at)
        self._measured.measured(told, before, time.monotonic())

    def _measure(self, session: Session) -> None:
        before = time.monotonic()
        ((told,),) = session.run("SELECT present_ms()")
        self._measured.measured(told, before, time.monotonic())

    def _write(self, work: Callable[[Session], T]) -> T:
        """What `work` returns; tried again if the server aborts it because of others."""
        for left in reversed(range(_TRIES_MAX)):
            try:
                return self._sessions.use(work)
            except StorageError as exc:
                if not left or sqlstate(exc.__cause__) not in RETRIED:
                    raise
        raise AssertionError

    def _counted(self, sql: str, **values: object) -> int:
        ((deleted,),) = self._write(lambda session: session.run(sql, **values))
        return int(deleted)

    def _fold(self) -> None:
        while self._counted(f"SELECT fold_accounts({_FOLDED_MAX})") >= _FOLDED_MAX:
            pass

    def _change(
        self, group: str, change: Callable[[GroupAssignment, EpochMs], GroupAssignment]
    ) -> GroupAssignment:
        def write(session: Session) -> tuple[GroupAssignment, GroupAssignment]:
            with session.transaction():
                now = lock_roster(session, group)
                if self._clock is not None:
                    now = EpochMs(self._time.steady_ms())
                before = load_roster(session, group, self._partitions)
                after = change(before, now)
                save_roster(session, before, after)
                return before, after

        before, after = self._write(write)
        if after.generation != before.generation:
            self._notices.rebalanced(group)
        return after

    def _everything(self, hint: Hint) -> Committed:
        """All partitions that may have new records."""
        try:
            logs = self._read("SELECT topic, partition FROM tails")
            topics = self._read("SELECT DISTINCT topic FROM work")
            work = self.waiting([topic for (topic,) in topics])
        except StorageError:
            return hint.committed
        return Committed(
            logs=frozenset(TopicPartition(topic=t, partition=p) for t, p in logs),
            work=frozenset(work),
            due=hint.committed.due,
        )


def make_tables(access: Access, *, partitions: int = PARTITIONS) -> None:
    """Create or migrate the tables of the flow store; of several processes, one at a time does.

    Args:
        access: the owner's.
        partitions: of new tables; those of older ones stay.

    Raises:
        SchemaTooNewError: a newer release has written the database.
        StorageError: the database cannot be written.
    """

    def choose(session: Session) -> None:
        session.run(
            "INSERT INTO meta (partitions) VALUES (:n) ON CONFLICT DO NOTHING", n=partitions
        )

    make_schema(access, SCHEMA, FLOWS, then=choose)
