"""The bus: topics of records, split into partitions by key, read by consumer groups.

Records of one key keep their order. Publishing and consuming happen in a unit of work
(`host.ports.units`), so that a step's output and its consumed offset are one transaction.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs

PARTITIONS = 32
"""Partitions of every topic: the bound on how many flows can run at once."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TopicPartition:
    topic: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    topic: str
    key: str
    value: bytes

    @property
    def target(self) -> TopicPartition:
        """The partition that the key selects, the same on every machine."""
        return TopicPartition(
            topic=self.topic, partition=zlib.crc32(self.key.encode()) % PARTITIONS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored record.

    Offsets of a partition count from 0; records that expired or were compacted leave gaps.
    """

    source: TopicPartition
    offset: int
    key: str
    value: bytes
    written_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Records of a topic that a group has not consumed. `oldest_at` is when the first came in."""

    topic: str
    records: int
    oldest_at: EpochMs


CommitListener = Callable[[frozenset[TopicPartition], EpochMs | None], None]
"""Told the partitions that got records, and the earliest due time that was written."""


class Bus(Protocol):
    """Reading side of the bus."""

    def poll(self, group: str, source: TopicPartition, limit: int) -> Sequence[Record]:
        """The next records that `group` has not consumed, oldest first, at most `limit`."""
        ...

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        """Partitions of `topics` with records that `group` has not consumed."""
        ...

    def backlogs(self, group: str, topics: Sequence[str]) -> Sequence[Backlog]:
        """What waits for `group`, by topic; topics in which nothing waits are left out."""
        ...

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener` after each commit that publishes a record or writes a due time.

        It is called on the committing thread and must not block. Commits of other processes are
        told as soon as they are heard of, on another thread; one may be missed.
        """
        ...

    def trim(self, groups: Sequence[tuple[str, str]]) -> int:
        """Delete records that were consumed, given pairs of topic and its one group.

        Returns:
            The number of deleted records.
        """
        ...
