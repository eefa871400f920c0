"""Logs in SQLite tables: deletion of expired records. The caller holds a transaction."""

import sqlite3

from host.adapters.sqlite.pieces import whole
from host.domain.ids import EpochMs
from host.ports.bus import RecordPlace, TopicPartition

_NEWEST = (
    f"SELECT topic, partition, position, key, {whole('records')}, written_at FROM records"  # noqa: S608  # constants
    " WHERE topic = ?{}"
    " ORDER BY written_at DESC, partition DESC, position DESC LIMIT ?"
)


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
