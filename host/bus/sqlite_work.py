"""Queues of work in SQLite tables: what waits, and for whom."""

import json
import sqlite3
from collections.abc import Collection, Sequence

from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import WorkQueue
from host.ports.work import Backlog, WorkRecord

_NEXT_QUEUE = (
    "SELECT partition, node FROM work WHERE topic = ? AND (partition, node) > (?, ?)"
    " ORDER BY partition, node LIMIT 1"
)
_TAKE = (
    "WITH looked_at AS (SELECT position, key FROM work INDEXED BY work_queues"
    " WHERE topic = ?1 AND partition = ?2 AND node = ?3{skipping} ORDER BY position LIMIT ?4),"
    # The length of a value is known without reading it.
    " sized AS (SELECT w.position AS position,"
    " sum(length(w.value)) OVER (ORDER BY w.position) - length(w.value) AS before"
    " FROM looked_at l JOIN work w ON w.position = l.position"
    " WHERE l.key = (SELECT key FROM looked_at ORDER BY position LIMIT 1))"
    " SELECT w.position, w.key, w.value, w.written_at FROM sized s"
    " JOIN work w ON w.position = s.position WHERE s.before < ?5 ORDER BY w.position"
)
_SKIPPING = " AND key NOT IN (SELECT value FROM json_each(?6))"
_EVER_SO_MANY = 1 << 62
"""Bytes, where nothing bounds them."""


def waiting(connection: sqlite3.Connection, topics: Sequence[str]) -> Sequence[WorkQueue]:
    """See `WorkSource.waiting`. One look-up for each queue, however many records wait in it."""
    found: list[WorkQueue] = []
    for topic in sorted(set(topics)):
        partition, node = -1, ""
        while row := connection.execute(_NEXT_QUEUE, (topic, partition, node)).fetchone():
            partition, node = row
            found.append(WorkQueue(topic=topic, partition=partition, node=ShortHash(node)))
    return found


def take(
    connection: sqlite3.Connection,
    queue: WorkQueue,
    limit: int,
    skip: Collection[str],
    bytes_max: int | None,
) -> Sequence[WorkRecord]:
    """See `WorkSource.take`. Only the records that are answered are read whole."""
    most = _EVER_SO_MANY if bytes_max is None else max(1, bytes_max)
    values: list[object] = [queue.topic, queue.partition, queue.node, limit, most]
    if skip:
        values.append(json.dumps(list(skip)))
    rows = connection.execute(_TAKE.format(skipping=_SKIPPING if skip else ""), values)
    return [
        WorkRecord(queue=queue, position=position, key=key, value=value, written_at=EpochMs(at))
        for position, key, value, at in rows
    ]


def backlogs(connection: sqlite3.Connection, topics: Sequence[str]) -> Sequence[Backlog]:
    """See `WorkSource.backlogs`."""
    rows = connection.execute(
        "SELECT topic, count(*), min(written_at) FROM work"
        " WHERE topic IN (SELECT value FROM json_each(?)) GROUP BY topic ORDER BY topic",
        (json.dumps(list(topics)),),
    )
    return [Backlog(topic=t, records=n, oldest_at=EpochMs(at)) for t, n, at in rows]
