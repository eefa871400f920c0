"""Upkeep of logs, and reading them without a group.

Logs are bounded by age and size (`Retention`). Work is no part of them: it goes when it is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.ports.bus import Record, RecordPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is kept of a topic; None keeps all.

    Attributes:
        age_ms: records younger than this.
        bytes_max: of each virtual node's records the newest, with this many bytes of values.
    """

    age_ms: int | None = None
    bytes_max: int | None = None


class Logs(Protocol):
    """Logs as such. Any record may be gone at the next call."""

    def topics(self, prefix: str = "") -> Sequence[str]:
        """Names of all logs that ever got a record, and that start with `prefix`."""
        ...

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        """The latest records of a topic, newest first, of those before `before`."""
        ...


class TopicUpkeep(Protocol):
    """Keeps logs, and the room that they take, within bounds."""

    def topics(self, prefix: str = "") -> Sequence[str]:
        """See `Logs.topics`."""
        ...

    def expire(self, topic: str, retention: Retention) -> int:
        """Delete the oldest records beyond what is to be kept, consumed or not.

        Returns:
            The number of deleted records.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def shrink(self) -> int:
        """Give the disk back a small part of the room that deleted records have left.

        Commits wait meanwhile, a few milliseconds; who wants more calls again.

        Returns:
            Bytes that are still to be given back; 0 when it is not worth while.

        Raises:
            StorageError: the store cannot be written.
        """
        ...
