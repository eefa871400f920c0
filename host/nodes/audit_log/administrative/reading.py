"""Reads the administrative log: its entries as they are stored, and acts with their outcomes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sql

from host.database.sql import Position
from host.domain.ids import EpochMs
from host.nodes.audit_log import chain
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import Act, ActQuery, ActView
from host.nodes.audit_log.administrative.floods import Count
from host.nodes.audit_log.administrative.tables import ENTRIES, HEAD
from host.nodes.audit_log.head import HeadLine

_READ_AT_ONCE = 1_000
_ACTS = (acts.INTENT, acts.REFUSAL)


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
        return head_of(self._connection)


def page_of(
    connection: sql.Connection, query: ActQuery, *, before: int | None, limit: int
) -> Sequence[ActView]:
    """Acts and refusals, the newest first; see `AdministrativeRegister.page`."""
    where: list[sql.ColumnElement[bool]] = [ENTRIES.c.kind.in_(_ACTS)]
    where += [] if before is None else [ENTRIES.c.seq < before]
    where += [] if query.user is None else [ENTRIES.c.user == query.user]
    where += [] if query.since is None else [ENTRIES.c.at >= query.since]
    where += [] if query.until is None else [ENTRIES.c.at < query.until]
    if query.resource is not None:
        where.append(Position(ENTRIES.c.path, query.resource) > 0)
    chosen = sql.select(ENTRIES).where(*where).order_by(ENTRIES.c.seq.desc()).limit(limit)
    found = connection.execute(chosen).all()
    after = sql.select(ENTRIES.c.entry).where(ENTRIES.c.of_seq.in_([row.seq for row in found]))
    later: dict[int, list[dict[str, Any]]] = {}
    for (text,) in connection.execute(after):
        entry = json.loads(text)
        later.setdefault(entry["of"], []).append(entry)
    return [_view(row, later.get(row.seq, ())) for row in found]


def head_of(connection: sql.Connection) -> HeadLine | None:
    """The content of the log's head, unchecked; None for a log without one."""
    row = connection.execute(sql.select(HEAD.c.line)).one_or_none()
    return None if row is None else parsed_head(row.line)


def parsed_head(line: str) -> HeadLine:
    """A stored head; one that no log writes if it is damaged."""
    try:
        return msgspec.json.decode(line, type=HeadLine)
    except (ValueError, RecursionError):
        return HeadLine(v=0, seq=-1, hash=chain.NO_HASH, mac="")


def last_of(connection: sql.Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; -1 and no hash for a log without entries."""
    query = sql.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (-1, chain.NO_HASH) if row is None else (int(row.seq), str(row.hash))


def counts_of(connection: sql.Connection) -> list[Count]:
    """Refusals that were counted and have no entry yet."""
    row = connection.execute(sql.select(HEAD.c.counts)).one_or_none()
    return [] if row is None else msgspec.json.decode(row.counts, type=list[Count])


def _view(row: Any, later: Sequence[Mapping[str, Any]]) -> ActView:
    entry = json.loads(row.entry)
    is_refusal = entry["kind"] == acts.REFUSAL
    ended = next((each for each in later if each["kind"] == acts.OUTCOME), None)
    ended_by = entry if is_refusal else (ended or {})
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
        status=ended_by.get("status"),
        code=ended_by.get("code"),
        result=json.loads(ended_by.get("result", "{}")),
        ended_at=None if ended is None else EpochMs(ended["at"]),
        count=1 + sum(each["count"] for each in later if each["kind"] == acts.REPEATS),
    )
