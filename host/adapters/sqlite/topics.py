"""Logs in SQLite tables: deletion of expired records. The caller holds a transaction."""

import sqlite3

from host.adapters.sqlite.pieces import whole
from host.domain.ids import EpochMs
from host.ports.bus import RecordPlace, TopicPartition
from host.ports.state import StateConflictError
from host.ports.units import Dropped

_NEWEST = (
    f"SELECT topic, partition, position, key, {whole('records')}, written_at, node FROM records"  # noqa: S608  # constants
    " WHERE topic = ?{}"
    " ORDER BY written_at DESC, partition DESC, position DESC LIMIT ?"
)


_FIRST_UNREAD = (
    "coalesce((SELECT next FROM offsets WHERE consumer = ?3 AND topic = ?1 AND partition = ?2), 0)"
)
_UNREAD = (
    f"SELECT topic, partition, position, key, {whole('records')}, written_at, node FROM records"  # noqa: S608  # constants
    f" WHERE topic = ?1 AND partition = ?2 AND position >= {_FIRST_UNREAD}"
)
_WITHIN_BYTES = (
    " AND position <= (SELECT max(position) FROM (SELECT position, sum(length(value) + large_bytes)"  # noqa: S608  # constants
    " OVER (ORDER BY position) - length(value) - large_bytes AS before FROM records"
    f" WHERE topic = ?1 AND partition = ?2 AND position >= {_FIRST_UNREAD}"
    " ORDER BY position LIMIT ?4) WHERE before < ?5)"
)


def unread(
    group: str, source: TopicPartition, limit: int, bytes_max: int | None
) -> tuple[str, tuple[str | int, ...]]:
    """The query of `LogSource.poll` and its values."""
    values = (source.topic, source.partition, group, limit)
    end = " ORDER BY position LIMIT ?4"
    if bytes_max is None:
        return _UNREAD + end, values
    return _UNREAD + _WITHIN_BYTES + end, (*values, bytes_max)


def drop_before(connection: sqlite3.Connection, source: TopicPartition, offset: int) -> bool:
    """Delete the records of a partition before an offset; whether a large value was among them."""
    gone = connection.execute(
        "DELETE FROM records WHERE topic = ? AND partition = ? AND position < ? RETURNING pieces",
        (source.topic, source.partition, offset),
    ).fetchall()
    return any(pieces is not None for (pieces,) in gone)


def drop(connection: sqlite3.Connection, dropped: Dropped) -> bool:
    """Delete one record; whether its value was a large one.

    Raises:
        StateConflictError: it is no longer there.
    """
    source = dropped.source
    gone = connection.execute(
        "DELETE FROM records WHERE topic = ? AND partition = ? AND position = ? RETURNING pieces",
        (source.topic, source.partition, dropped.offset),
    ).fetchall()
    if not gone:
        raise StateConflictError(
            f"record {dropped.offset} of {source.topic}-{source.partition} is not there"
        )
    return gone[0][0] is not None


def newest(topic: str, limit: int, before: RecordPlace | None) -> tuple[str, tuple[str | int, ...]]:
    """The query of `Logs.newest` and its values."""
    if before is None:
        return _NEWEST.format(""), (topic, limit)
    place = (before.written_at, before.partition, before.offset)
    return _NEWEST.format(" AND (written_at, partition, position) < (?, ?, ?)"), (
        topic,
        *place,
        limit,
    )


def expire_by_age(connection: sqlite3.Connection, topic: str, before: EpochMs) -> int:
    """Delete records written before a time."""
    return connection.execute(
        "DELETE FROM records WHERE topic = ? AND written_at <= ?", (topic, before)
    ).rowcount


def expire_by_size(connection: sqlite3.Connection, topic: str, bytes_max: int) -> int:
    """Delete each node's oldest records until the values of the others fit the limit."""
    return connection.execute(
        "DELETE FROM records WHERE topic = ?1 AND (partition, position) IN (SELECT partition,"
        " position FROM (SELECT partition, position, sum(length(value) + large_bytes)"
        " OVER (PARTITION BY node ORDER BY written_at"
        " DESC, partition DESC, position DESC) AS newer FROM records WHERE topic = ?1)"
        " WHERE newer > ?2)",
        (topic, bytes_max),
    ).rowcount


def has_gap(connection: sqlite3.Connection, source: TopicPartition, start: int, stop: int) -> bool:
    """Whether there is no record with an offset from `start` to `stop - 1`."""
    return (
        connection.execute(
            "SELECT 1 FROM records WHERE topic = ? AND partition = ? AND position >= ?"
            " AND position < ? LIMIT 1",
            (source.topic, source.partition, start, stop),
        ).fetchone()
        is None
    )
