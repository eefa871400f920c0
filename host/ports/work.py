"""Queues of work: records that stay until the step that processes them deletes them.

A record names its virtual node, so that nodes can be scheduled fairly. Positions are never reused:
a step is refused if it names a record that another step has processed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs
from host.ports.bus import WakeUps, WorkQueue
from host.ports.groups import Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRecord:
    """A waiting record. Positions grow in the order in which records enter the queues.

    That is the order of publishing; where a broker carries work, only for records of one key.
    """

    queue: WorkQueue
    position: int
    key: str
    value: bytes
    written_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkBatch:
    """The result of a query of a queue.

    Attributes:
        records: of one key, oldest first.
        more: whether the queue may hold other records, of keys that are not skipped.
    """

    records: Sequence[WorkRecord] = ()
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Records of a queue that a unit deletes, by position."""

    queue: WorkQueue
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Waiting records of a topic. `oldest_at` is the arrival time of the first of them."""

    topic: str
    records: int
    oldest_at: EpochMs


class Queues(Protocol):
    """Reading side of the queues."""

    def waiting(self, topics: Sequence[str]) -> Sequence[WorkQueue]:
        """Queues of `topics` with records."""
        ...

    def take(
        self,
        queue: WorkQueue,
        limit: int,
        skip: Collection[str] = (),
        *,
        bytes_max: int | None = None,
    ) -> WorkBatch:
        """The oldest record of a queue, and later records of its key.

        Args:
            queue: the queue.
            limit: how many of the queue's records are examined, at least 1.
            skip: keys to skip.
            bytes_max: no further record is added once the values have this many bytes.
        """
        ...


class Backlogs(Protocol):
    """Queue lengths, for operators."""

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        """Backlogs by topic; topics without waiting records are left out."""
        ...


class WorkSource(Queues, Groups, WakeUps, Protocol):
    """The source of work for worker pools: queues, their assignment, and notifications."""
