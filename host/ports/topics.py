"""Upkeep of logs, and reading them without a group.

Logs are bounded by age and size (`Retention`). Work is not part of logs: it is deleted when it is
done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.ports.bus import Record, RecordPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The records of a topic that are kept; None keeps all.

    Attributes:
        age_ms: maximum age of records.
        bytes_max: maximum bytes of values of each virtual node's records; the newest are kept.
    """

    age_ms: int | None = None
    bytes_max: int | None = None


class Logs(Protocol):
    """Logs, read without a group. Any record may be deleted before the next call."""

    def topics(self, prefix: str = "") -> Sequence[str]:
        """Names, starting with `prefix`, of all logs that ever had a record."""
        ...

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        """The latest records of a topic, newest first, of those before `before`."""
        ...


class TopicUpkeep(Protocol):
    """Keeps logs, and their disk space, within bounds."""

    def topics(self, prefix: str = "") -> Sequence[str]:
        """See `Logs.topics`."""
        ...

    def expire(self, topic: str, retention: Retention) -> int:
        """Delete the oldest records beyond the retention, consumed or not.

        Returns:
            The number of deleted records.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def shrink(self) -> int:
        """Release a small part of the disk space that deleted records occupied.

        This blocks commits for a few milliseconds; call again to release more.

        Returns:
            Bytes that remain to be released; 0 if too few for another call.

        Raises:
            StorageError: the store cannot be written.
        """
        ...
