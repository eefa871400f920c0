"""Upkeep of logs, and reading them without a group.

Logs are bounded: by age and size (`Retention`), or to the latest record of each key (compaction).
Work is no part of them: it goes when it is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs
from host.ports.bus import Record, RecordPlace, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is kept of a topic; None keeps all.

    Attributes:
        age_ms: records younger than this.
        bytes_max: of each virtual node's records the newest, with this many bytes of values.
    """

    age_ms: int | None = None
    bytes_max: int | None = None


class Topics(Protocol):
    """Logs as such. Any record may be gone at the next call."""

    def topics(self, prefix: str = "") -> Sequence[str]:
        """Names of all logs that ever got a record, and that start with `prefix`."""
        ...

    def read(self, source: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        """Records of a partition from `offset` on, oldest first, whoever has consumed them."""
        ...

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        """The latest records of a topic, newest first, of those before `before`."""
        ...

    def latest(self, topic: str) -> Sequence[Record]:
        """The latest record of each key, by partition and offset.

        Keys whose latest value is empty are deleted: they are left out.
        """
        ...

    def compact(self, topic: str, *, tombstones_before: EpochMs) -> int:
        """Delete all but the latest record of each key.

        Args:
            topic: its name.
            tombstones_before: empty values that were written earlier are deleted, too: readers
                have had time to see them.

        Returns:
            The number of deleted records.

        Raises:
            StorageError: the store cannot be written.
        """
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
