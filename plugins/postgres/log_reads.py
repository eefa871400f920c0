"""What a group has not read of logs, as statements. Pure."""

from collections.abc import Mapping

from plugins.postgres.rows import RECORD

COUNT_UNREAD = (
    "SELECT t.topic, sum(t.next - coalesce(o.next, 0))::bigint FROM tails t"
    " LEFT JOIN offsets o ON o.consumer = :g AND o.topic = t.topic"
    " AND o.partition = t.partition WHERE t.topic = ANY (:ts)"
    " GROUP BY t.topic HAVING sum(t.next - coalesce(o.next, 0)) > 0"
)
_UNREAD = (
    "records WHERE topic = :t AND partition = :p AND position >= coalesce((SELECT next FROM offsets"
    " WHERE consumer = :g AND topic = :t AND partition = :p), 0)"
)
_WITHIN_BYTES = (
    "AND position <= (SELECT max(position) FROM (SELECT position, sum(octet_length(value)) OVER"  # noqa: S608  # constants
    f" (ORDER BY position) - octet_length(value) AS before FROM {_UNREAD}"
    " ORDER BY position LIMIT :m) aged WHERE before < :b)"
)


def unread(limit: int, bytes_max: int | None) -> tuple[str, Mapping[str, int]]:
    """The query of `LogSource.poll`, and its limits by the names of their parameters."""
    if bytes_max is None:
        return f"SELECT {RECORD} FROM {_UNREAD} ORDER BY position LIMIT :m", {"m": limit}  # noqa: S608  # constants
    sql = f"SELECT {RECORD} FROM {_UNREAD} {_WITHIN_BYTES} ORDER BY position LIMIT :m"  # noqa: S608  # constants
    return sql, {"m": limit, "b": bytes_max}
