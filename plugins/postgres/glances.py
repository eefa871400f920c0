"""Glances in PostgreSQL: summaries of flows for lists, read only by indexes."""

from collections.abc import Callable, Sequence
from heapq import merge
from itertools import islice
from typing import Any

from host.domain.ids import EpochMs, ShortHash
from host.ports.glances import (
    GLANCES_MAX,
    LAST_CHARACTER,
    MINUTE_MS,
    Ended,
    FlowGlance,
    GlanceQuery,
)
from plugins.postgres.rows import GLANCE, glance_of

Read = Callable[..., list[Any]]
"""Runs SQL with named values."""


def read_glances(read: Read, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
    limit = max(0, min(limit, GLANCES_MAX))
    kinds = (False, True) if query.responders else (False,)
    # Each kind of flow is a range of one index; a combined query would have to sort.
    found = [[glance_of(row) for row in _range(read, query, kind, limit)] for kind in kinds]
    return list(islice(merge(*found, key=lambda g: g.place, reverse=True), limit))


def _range(read: Read, query: GlanceQuery, is_responder: bool, limit: int) -> list[Any]:  # noqa: FBT001  # a column
    sql = f"SELECT {GLANCE} FROM flow_glance WHERE responder = :r"  # noqa: S608  # constants
    values: dict[str, object] = {"r": is_responder, "m": limit}
    if query.node is not None:
        sql += " AND node = :n"
        values["n"] = query.node
    if query.status is not None:
        sql += " AND status = :s"
        values["s"] = query.status
    if query.origin is not None:
        sql += " AND origin = :o"
        values["o"] = query.origin
    if query.before is not None:
        sql += " AND (started, key) < (:at, :k)"
        values |= {"at": query.before.started_at, "k": query.before.key}
    if query.until is not None:
        sql += " AND started <= :u"
        values["u"] = query.until
    if query.since is not None:
        sql += " AND started >= :e"
        values["e"] = query.since
    return read(f"{sql} ORDER BY started DESC, key DESC LIMIT :m", **values)


def read_requested(read: Read, prefix: str, limit: int) -> Sequence[FlowGlance]:
    rows = read(
        f"SELECT {GLANCE} FROM flow_glance"  # noqa: S608  # constants
        ' WHERE request COLLATE "C" >= :a AND request COLLATE "C" < :z AND NOT responder'
        ' ORDER BY request COLLATE "C", started LIMIT :m',
        a=prefix,
        z=prefix + LAST_CHARACTER,
        m=limit,
    )
    return [glance_of(row) for row in rows]


def count_status(read: Read, status: str, most: int) -> int:
    ((count,),) = read(
        "SELECT count(*) FROM (SELECT 1 FROM flow_glance"
        " WHERE NOT responder AND status = :s LIMIT :m) AS found",
        s=status,
        m=most,
    )
    return int(count)


def read_ended(read: Read, since: EpochMs) -> Sequence[Ended]:
    rows = read(
        f"SELECT node, status, ended / {MINUTE_MS}, responder, count(*) FROM flow_glance"  # noqa: S608  # constants
        " WHERE ended >= :at GROUP BY 1, 2, 3, 4",
        at=since,
    )
    return [
        Ended(
            node=ShortHash(node),
            status=status,
            minute=EpochMs(int(minute) * MINUTE_MS),
            count=int(count),
            is_responder=responder,
        )
        for node, status, minute, responder, count in rows
    ]
