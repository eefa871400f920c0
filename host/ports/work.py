"""Work that waits in queues: records that stay until the step that does them deletes them.

A record names the virtual node whose work it is, so that nodes can take turns. Its position is
given once and never again: a step that names a record which another step has done is refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import EpochMs
from host.ports.bus import WakeUps, WorkQueue
from host.ports.groups import Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRecord:
    """A waiting record. Positions grow in the order of publishing, over all queues."""

    queue: WorkQueue
    position: int
    key: str
    value: bytes
    written_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look into a queue has found.

    Attributes:
        records: of one key, oldest first.
        more: whether other records may wait in the queue, of keys that are not passed over.
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
    """Records of a topic that wait. `oldest_at` is when the first of them came in."""

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
    ) -> Look:
        """The oldest record of a queue, and later ones of its key.

        Args:
            queue: where to look.
            limit: how many of the queue's records are looked at, at least 1.
            skip: keys that are passed over.
            bytes_max: no record follows when those before it have so many bytes in their values.
        """
        ...


class Backlogs(Protocol):
    """What operators see of the queues."""

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        """What waits, by topic; topics in which nothing waits are left out."""
        ...


class WorkSource(Queues, Groups, WakeUps, Protocol):
    """Where pools of workers have their work from: queues, who does them, and news of them."""
