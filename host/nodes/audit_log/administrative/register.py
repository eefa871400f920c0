"""The administrative log in the registers: one chain, extended under their writer lock.

An entry is bound to the one before by its hash, and carries a MAC under the host's key. When
entries are deleted, an entry `pruned` keeps their numbers and last hash, so that the chain can be
verified across the gap.
"""

import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sql
import structlog

from host.database.sql import Position
from host.domain.errors import HostError
from host.domain.ids import EpochMs
from host.nodes.audit_log import chain
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import Act, ActQuery, ActView, Content
from host.nodes.audit_log.administrative.floods import Count
from host.nodes.audit_log.administrative.tables import ENTRIES, HEAD
from host.nodes.audit_log.head import NEWEST, HeadLine, is_genuine, line_bytes
from host.ports.clock import Clock
from host.ports.database import SqlDatabase
from host.ports.live import Fixed, Live

PRUNE_EVERY = 1_000
_DELETED_AT_ONCE_MAX = 5_000
_GAPS_MAX = 500
_SLACK = 20
"""Entries are deleted when there are 5% more than the limit."""
_SLACK_MIN = 8
"""Deleting adds an entry itself, which must not cause the next deletion."""
_READ_AT_ONCE = 1_000
_log = structlog.get_logger("cordbox.administrative")
_ACTS = (acts.INTENT, acts.REFUSAL)
_OPEN_MAX = 10_000
"""Acts without an outcome of which it is remembered whether they are on flows."""
_OLD_HEAD = sql.select(HEAD.c.line, HEAD.c.counts)
_NEW_HEAD = (
    sql.update(HEAD)
    .where(HEAD.c.id == 1)
    .values(line=sql.bindparam("new_line"), counts=sql.bindparam("new_counts"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How many entries are kept; the oldest are deleted first.

    Attributes:
        entries_max: entries of refusals and of all acts except those on flows.
        flow_entries_max: entries of acts that start or end flows.
    """

    entries_max: int = 200_000
    flow_entries_max: int = 40_000


class Reading:
    """The log as it was at one moment."""

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection

    def entries(self) -> Iterator[tuple[int, str]]:
        """Number and text of all entries, the oldest first."""
        last = -1
        while True:
            query = (
                sql.select(ENTRIES.c.seq, ENTRIES.c.entry)
                .where(ENTRIES.c.seq > last)
                .order_by(ENTRIES.c.seq)
                .limit(_READ_AT_ONCE)
            )
            rows = self._connection.execute(query).all()
            if not rows:
                return
            for row in rows:
                last = row.seq
                yield row.seq, row.entry

    def head(self) -> HeadLine | None:
        """The content of the log's head, unchecked; None for a log without one."""
        return _head(self._connection)


class AdministrativeRegister:
    """The log's rows. Thread-safe; several processes may use the same log.

    Args:
        database: the registers.
        key: the host's, which authenticates entries.
        clock: the time of entries.
        retention: how much is kept.
    """

    def __init__(
        self,
        database: SqlDatabase,
        *,
        key: bytes,
        clock: Clock,
        retention: Live[Retention] | None = None,
    ) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._retention = retention or Fixed(Retention())
        self._lock = threading.Lock()
        self._added = PRUNE_EVERY
        self._is_checked = False
        self._open: dict[int, bool] = {}

    def append(
        self, contents: Sequence[Content], counts: Sequence[Count] | None = None
    ) -> Sequence[int]:
        """Add entries, all or none.

        Args:
            contents: the contents of the entries.
            counts: of refusals, kept beside the log until an entry reports them; None: unchanged.

        Returns:
            Their numbers.

        Raises:
            StorageError: the registers cannot be written.
            StorageBusyError: another process holds the writer lock for too long.
        """
        with self._lock:
            numbers = self._database.transact(
                lambda connection: self._append(connection, contents, counts)
            )
            self._is_checked = True
            self._remember(numbers, contents)
            self._added += len(contents)
            is_due = self._added >= PRUNE_EVERY
            self._added = 0 if is_due else self._added
        if is_due:
            try:
                self.prune()
            except HostError as error:
                _log.warning("administrative-log-not-pruned", code=error.code, reason=error.message)
        return numbers

    def counts(self) -> Sequence[Count]:
        """Refusals that an ended process counted and did not report in an entry."""
        with self._database.read() as connection:
            return _counts(connection)

    def prune(self) -> int:
        """Delete the oldest entries beyond the limit, and add an entry about it.

        Returns:
            The number of deleted entries.

        Raises:
            StorageError: the registers cannot be written.
        """
        kept = self._retention.get()
        went = 0
        for is_flow, most in ((True, kept.flow_entries_max), (False, kept.entries_max)):
            last_to_go = partial(_last_to_go, most=most, is_flow=is_flow)
            with self._lock:
                last = self._database.transact(last_to_go)
            while last is not None:
                # In portions, so that other writers do not wait long.
                delete = partial(self._delete, last=last, is_flow=is_flow)
                with self._lock:
                    deleted = self._database.transact(delete)
                went += deleted
                last = last if deleted else None
        return went

    def page(self, query: ActQuery, *, before: int | None, limit: int) -> Sequence[ActView]:
        """Acts and refusals, the newest first.

        Args:
            query: which.
            before: only those with a lower number.
            limit: maximum number of items.

        Raises:
            StorageError: the registers cannot be read.
        """
        where: list[sql.ColumnElement[bool]] = [ENTRIES.c.kind.in_(_ACTS)]
        where += [] if before is None else [ENTRIES.c.seq < before]
        where += [] if query.user is None else [ENTRIES.c.user == query.user]
        where += [] if query.since is None else [ENTRIES.c.at >= query.since]
        where += [] if query.until is None else [ENTRIES.c.at < query.until]
        if query.resource is not None:
            where.append(Position(ENTRIES.c.path, query.resource) > 0)
        chosen = sql.select(ENTRIES).where(*where).order_by(ENTRIES.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            found = connection.execute(chosen).all()
            after = sql.select(ENTRIES.c.entry).where(
                ENTRIES.c.of_seq.in_([row.seq for row in found])
            )
            later: dict[int, list[dict[str, Any]]] = {}
            for (text,) in connection.execute(after):
                entry = json.loads(text)
                later.setdefault(entry["of"], []).append(entry)
        return [_view(row, later.get(row.seq, ())) for row in found]

    @contextmanager
    def reading(self) -> Iterator["Reading"]:
        """A consistent view of the whole log for the duration of the block.

        Raises:
            StorageError: the registers cannot be read.
        """
        with self._database.read() as connection:
            yield Reading(connection)

    def _append(
        self,
        connection: sql.Connection,
        contents: Sequence[Content],
        counts: Sequence[Count] | None = None,
    ) -> Sequence[int]:
        old = connection.execute(_OLD_HEAD).one_or_none()
        head = None if old is None else _head_of(old.line)
        if self._is_checked and head is not None:
            seq, digest = head.seq, head.hash
        else:
            seq, digest = _last(connection)
            before = self._first_contents(head, seq, digest)
            seq, digest = self._insert(connection, before, seq, digest)
        first = seq + 1
        seq, digest = self._insert(connection, contents, seq, digest)
        line = line_bytes(NEWEST, seq=seq, digest=digest, boot="", key=self._key).decode().strip()
        if counts is not None:
            kept = msgspec.json.encode(counts).decode()
        else:
            kept = "[]" if old is None else old.counts
        if old is None:
            connection.execute(HEAD.insert().values(id=1, line=line, counts=kept))
        else:
            connection.execute(_NEW_HEAD, {"new_line": line, "new_counts": kept})
        return range(first, first + len(contents))

    def _remember(self, numbers: Sequence[int], contents: Sequence[Content]) -> None:
        """Keep which of the acts that have begun are on flows, for their outcomes."""
        if len(self._open) > _OPEN_MAX:
            self._open.clear()
        for number, content in zip(numbers, contents, strict=True):
            if content["kind"] == acts.INTENT:
                self._open[number] = bool(content.get("isFlow"))
            elif content["kind"] == acts.OUTCOME and isinstance(ended := content["of"], int):
                self._open.pop(ended, None)

    def _of_flows(self, connection: sql.Connection, numbers: Collection[int]) -> frozenset[int]:
        """Those of the numbers whose acts are on flows."""
        known = {number for number in numbers if self._open.get(number)}
        others = [number for number in numbers if number not in self._open]
        if others:  # of another process, or of this one before it was started anew
            query = sql.select(ENTRIES.c.seq).where(
                ENTRIES.c.seq.in_(others), ENTRIES.c.is_flow.is_(True)
            )
            known |= {number for (number,) in connection.execute(query)}
        return frozenset(known)

    def _first_contents(self, head: HeadLine | None, seq: int, digest: str) -> Sequence[Content]:
        """The entries to add before the first entry of this process."""
        now = self._clock.now_ms()
        contents: list[Content] = []
        if seq < 0:
            contents.append({"kind": acts.GENESIS, "at": now})
        if head is None or not is_genuine(head, NEWEST, self._key):
            is_new = head is None and seq < 0
            known = None if is_new else (-1 if head is None else head.seq, chain.NO_HASH)
        else:
            known = None if (head.seq, head.hash) == (seq, digest) else (head.seq, head.hash)
        if known is not None:
            contents.append(acts.recovery(head_seq=known[0], head_hash=known[1], at=now))
        return contents

    def _insert(
        self, connection: sql.Connection, contents: Sequence[Content], seq: int, digest: str
    ) -> tuple[int, str]:
        rows = []
        for content in contents:
            entry = chain.sealed(content, seq=seq + 1, previous=digest, key=self._key)
            seq, digest = seq + 1, str(entry["hash"])
            rows.append(_row(entry))
        ended = {row["of_seq"] for row in rows if row["kind"] == acts.OUTCOME}
        if ended:
            known = self._of_flows(connection, ended)
            for row in rows:
                row["is_flow"] = row["is_flow"] or row["of_seq"] in known
        if rows:
            connection.execute(ENTRIES.insert(), rows)
        return seq, digest

    def _delete(self, connection: sql.Connection, last: int, *, is_flow: bool) -> int:
        """Delete some of the oldest entries up to number `last`, and add an entry about it."""
        which = ENTRIES.c.seq <= last
        if is_flow:
            which &= ENTRIES.c.is_flow.is_(True)
        oldest = sql.select(ENTRIES.c.seq, ENTRIES.c.hash).where(which).order_by(ENTRIES.c.seq)
        rows = connection.execute(oldest.limit(_DELETED_AT_ONCE_MAX)).all()
        gaps: list[tuple[int, int, str]] = []
        count = 0
        for row in rows:
            if gaps and gaps[-1][1] == row.seq - 1:
                gaps[-1] = (gaps[-1][0], row.seq, row.hash)
            elif len(gaps) < _GAPS_MAX:
                gaps.append((row.seq, row.seq, row.hash))
            else:
                break
            count += 1
        if not gaps:
            return 0
        end = gaps[-1][1]
        connection.execute(ENTRIES.delete().where(which, ENTRIES.c.seq <= end))
        if connection.execute(sql.select(ENTRIES.c.seq).where(ENTRIES.c.seq <= end).limit(1)).all():
            told = gaps
        else:
            # Entries that recorded older gaps may be among the deleted ones.
            told = [(0, end, gaps[-1][2])]
        content = acts.pruned(told, count=count, at=self._clock.now_ms())
        self._append(connection, (content,))
        return count


def _counts(connection: sql.Connection) -> list[Count]:
    row = connection.execute(sql.select(HEAD.c.counts)).one_or_none()
    return [] if row is None else msgspec.json.decode(row.counts, type=list[Count])


def _last_to_go(connection: sql.Connection, most: int, *, is_flow: bool) -> int | None:
    """Number of the newest entry beyond the limit; None if there are too few to delete."""
    same = ENTRIES.c.is_flow.is_(is_flow)
    count = connection.execute(sql.select(sql.func.count()).select_from(ENTRIES).where(same))
    if int(count.scalar_one()) <= most + max(most // _SLACK, _SLACK_MIN):
        return None
    beyond = (
        sql.select(ENTRIES.c.seq).where(same).order_by(ENTRIES.c.seq.desc()).limit(1).offset(most)
    )
    found = connection.execute(beyond).scalar_one_or_none()
    return None if found is None else int(found)


def _head(connection: sql.Connection) -> HeadLine | None:
    row = connection.execute(sql.select(HEAD.c.line)).one_or_none()
    return None if row is None else _head_of(row.line)


def _head_of(line: str) -> HeadLine:
    try:
        return msgspec.json.decode(line, type=HeadLine)
    except (ValueError, RecursionError):
        return HeadLine(v=0, seq=-1, hash=chain.NO_HASH, mac="")


def _last(connection: sql.Connection) -> tuple[int, str]:
    query = sql.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (-1, chain.NO_HASH) if row is None else (int(row.seq), str(row.hash))


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seq": entry["seq"],
        "kind": entry["kind"],
        "at": entry["at"],
        "hash": entry["hash"],
        "of_seq": entry.get("of"),
        "user": entry.get("user"),
        "path": entry.get("path"),
        "is_flow": bool(entry.get("isFlow")),
        "entry": chain.canonical(entry).decode(),
    }


def _view(row: Any, later: Sequence[Mapping[str, Any]]) -> ActView:
    entry = json.loads(row.entry)
    is_refusal = entry["kind"] == acts.REFUSAL
    ended = next((each for each in later if each["kind"] == acts.OUTCOME), None)
    told = entry if is_refusal else (ended or {})
    return ActView(
        seq=entry["seq"],
        hash=entry["hash"],
        at=EpochMs(entry["at"]),
        act=Act(
            source=entry["source"],
            user=entry["user"],
            address=entry["address"],
            request_id=entry["requestId"],
            method=entry["method"],
            path=entry["path"],
            operation=entry["operation"],
            parameters=json.loads(entry["parameters"]),
            is_flow=bool(entry["isFlow"]),
        ),
        is_refusal=is_refusal,
        status=told.get("status"),
        code=told.get("code"),
        result=json.loads(told.get("result", "{}")),
        ended_at=None if ended is None else EpochMs(ended["at"]),
        count=1 + sum(each["count"] for each in later if each["kind"] == acts.REPEATS),
    )
