"""Queues of work in SQLite tables."""

import json
import sqlite3
from collections.abc import Collection, Sequence

from host.adapters.sqlite.pieces import whole
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import WorkQueue
from host.ports.work import Backlog, WorkBatch, WorkRecord

_NEXT_QUEUE = (
    "SELECT partition, node FROM work WHERE topic = ? AND (partition, node) > (?, ?)"
    " ORDER BY partition, node LIMIT 1"
)
_QUEUE = (
    "FROM work INDEXED BY work_queues WHERE topic = ?1 AND partition = ?2 AND node = ?3{}"
    " ORDER BY position LIMIT"
)
# Values may be large: only returned ones are read.
_TAKE = (
    f"SELECT position, key, CASE WHEN key = (SELECT key {_QUEUE} 1) THEN {whole('work')} END,"
    f" written_at {_QUEUE} ?4"
)
_TAKE_ALL = _TAKE.format("", "")
_TAKE_BUT_ONE = _TAKE.format(*[" AND key != ?5"] * 2)
_TAKE_BUT_SEVERAL = _TAKE.format(*[" AND key NOT IN (SELECT value FROM json_each(?5))"] * 2)


def waiting(connection: sqlite3.Connection, topics: Sequence[str]) -> Sequence[WorkQueue]:
    """See `WorkSource.waiting`. One look-up per queue, independent of its number of records."""
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
) -> WorkBatch:
    """See `WorkSource.take`. Only the returned records, and one more, are read completely."""
    place = (queue.topic, queue.partition, queue.node, limit + 1)
    match list(skip):
        case []:
            rows = connection.execute(_TAKE_ALL, place)
        case [key]:
            rows = connection.execute(_TAKE_BUT_ONE, (*place, key))
        case keys:
            rows = connection.execute(_TAKE_BUT_SEVERAL, (*place, json.dumps(keys)))
    found, size, more = list[WorkRecord](), 0, False
    for number, (position, key, value, at) in enumerate(rows):
        if value is None:
            more = True
            continue
        if number >= limit or (found and bytes_max is not None and size >= bytes_max):
            more = True
            break
        size += len(value)
        written_at = EpochMs(at)
        found.append(
            WorkRecord(queue=queue, position=position, key=key, value=value, written_at=written_at)
        )
    rows.close()
    return WorkBatch(records=found, more=more)


def backlogs(connection: sqlite3.Connection, topics: Sequence[str]) -> Sequence[Backlog]:
    """See `WorkSource.backlogs`."""
    rows = connection.execute(
        "SELECT topic, count(*), min(written_at) FROM work"
        " WHERE topic IN (SELECT value FROM json_each(?)) GROUP BY topic ORDER BY topic",
        (json.dumps(list(topics)),),
    )
    return [Backlog(topic=t, records=n, oldest_at=EpochMs(at)) for t, n, at in rows]
