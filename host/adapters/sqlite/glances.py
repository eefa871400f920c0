"""Glances in SQLite: one row beside the state of each status, read only by indexes."""

import sqlite3
from collections.abc import Callable, Sequence
from heapq import merge
from itertools import islice

from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.glances import (
    GLANCES_MAX,
    LAST_CHARACTER,
    MINUTE_MS,
    Ended,
    FlowGlance,
    GlanceQuery,
    GlanceWrite,
)

_COLUMNS = "key, node, responder, request, flow_id, class, status, started, updated, ended"


Read = Callable[[str, tuple[object, ...]], Sequence[tuple[object, ...]]]
"""Runs SQL with values."""


def write_glance(connection: sqlite3.Connection, key: str, write: GlanceWrite) -> None:
    """Write the glance of the status at `key`; the start time of a flow never changes."""
    ended = write.at if write.is_final else None
    connection.execute(
        f"INSERT INTO flow_glance ({_COLUMNS}, origin)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET flow_id = excluded.flow_id, status = excluded.status,"
        " updated = excluded.updated, ended = excluded.ended",
        (
            key,
            write.node,
            write.is_responder,
            write.request_id,
            write.flow_id,
            write.flow_class,
            write.status,
            write.at,
            write.at,
            ended,
            write.origin,
        ),
    )


def delete_glance(connection: sqlite3.Connection, key: str) -> None:
    """Delete the glance of a deleted state, if it has one."""
    connection.execute("DELETE FROM flow_glance WHERE key = ?", (key,))


def read_glances(
    read: Read,
    query: GlanceQuery,
    limit: int,
) -> Sequence[FlowGlance]:
    """The glances of one query; `read` runs SQL."""
    limit = max(0, min(limit, GLANCES_MAX))
    kinds = (0, 1) if query.responders else (0,)
    # Each kind of flow is a range of one index; a combined query would have to sort.
    found = [[_glance(row) for row in read(*_range(query, kind, limit))] for kind in kinds]
    return list(islice(merge(*found, key=lambda glance: glance.place, reverse=True), limit))


def read_requested(read: Read, prefix: str, limit: int) -> Sequence[FlowGlance]:
    """Client-started flows whose request id begins with `prefix`, in its order."""
    sql = (
        f"SELECT {_COLUMNS} FROM flow_glance INDEXED BY flow_glance_request"  # noqa: S608
        " WHERE request >= ? AND request < ? AND responder = 0 ORDER BY request, started LIMIT ?"
    )
    return [_glance(row) for row in read(sql, (prefix, prefix + LAST_CHARACTER, limit))]


def count_status(read: Read, status: str, most: int) -> int:
    """Client-started flows in a status, counted up to `most`."""
    sql = (
        "SELECT count(*) FROM (SELECT 1 FROM flow_glance WHERE responder = 0 AND status = ?"
        " LIMIT ?)"
    )
    ((count,),) = read(sql, (status, most))
    return int(str(count))


def read_ended(read: Read, since: EpochMs) -> Sequence[Ended]:
    """See `Glances.ended`."""
    sql = (
        f"SELECT node, status, ended / {MINUTE_MS}, responder, count(*) FROM flow_glance"  # noqa: S608
        " INDEXED BY flow_glance_ended WHERE ended >= ? GROUP BY 1, 2, 3, 4"
    )
    return [
        Ended(
            node=ShortHash(str(node)),
            status=str(status),
            minute=EpochMs(int(str(minute)) * MINUTE_MS),
            count=int(str(count)),
            is_responder=bool(responder),
        )
        for node, status, minute, responder, count in read(sql, (since,))
    ]


def _range(query: GlanceQuery, responder: int, limit: int) -> tuple[str, tuple[object, ...]]:
    sql = f"SELECT {_COLUMNS} FROM flow_glance WHERE responder = ?"  # noqa: S608
    values: list[object] = [responder]
    if query.node is not None:
        sql += " AND node = ?"
        values.append(query.node)
    if query.status is not None:
        sql += " AND status = ?"
        values.append(query.status)
    if query.origin is not None:
        sql += " AND origin = ?"
        values.append(query.origin)
    if query.before is not None:
        sql += " AND (started, key) < (?, ?)"
        values += [query.before.started_at, query.before.key]
    if query.until is not None:
        sql += " AND started <= ?"
        values.append(query.until)
    if query.since is not None:
        sql += " AND started >= ?"
        values.append(query.since)
    return sql + " ORDER BY started DESC, key DESC LIMIT ?", (*values, limit)


def _glance(row: tuple[object, ...]) -> FlowGlance:
    key, node, responder, request, flow_id, flow_class, status, started, updated, ended = row
    return FlowGlance(
        key=str(key),
        node=ShortHash(str(node)),
        request_id=str(request),
        flow_id=None if flow_id is None else FlowId(str(flow_id)),
        flow_class=str(flow_class),
        status=str(status),
        is_responder=bool(responder),
        started_at=_time(started),
        updated_at=_time(updated),
        ended_at=None if ended is None else _time(ended),
    )


def _time(value: object) -> EpochMs:
    return EpochMs(int(str(value)))
