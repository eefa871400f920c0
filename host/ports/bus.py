"""The bus: topics of records, split into partitions by key.

A topic is one of two kinds. *Work* waits in queues until the step that does it deletes it
(`host.ports.work`); each of its records names the virtual node whose work it is. The records of a
*log* stay until they are too old, and consumer groups read them by their offsets. Records of one
key keep their order. Publishing and consuming happen in a unit of work (`host.ports.units`), so
that a step's output and what it consumes are one transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, ShortHash


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TopicPartition:
    topic: str
    partition: int


class WorkQueue(NamedTuple):
    """The work of one virtual node in one partition of a topic.

    A tuple: each step looks some thirty times for what belongs to a queue.
    """

    topic: str
    partition: int
    node: ShortHash


NOBODY = ShortHash("")
"""Whose work a record is that names no virtual node, because it is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record to publish. With a `node` it is that node's work, else it goes to a log.

    It counts to its node's account `bus`. `peer` is who sent it, of work that another node caused;
    `owner` whose account bears a record of a log.
    """

    topic: str
    key: str
    value: bytes
    node: ShortHash | None = None
    peer: ShortHash | None = None
    owner: ShortHash | None = None

    @property
    def size(self) -> int:
        """Bytes that count."""
        return len(self.key.encode()) + len(self.value)

    @property
    def charge(self) -> Charge | None:
        """Whose account bears it; None of what nobody is known to have caused."""
        owner = self.node or self.owner
        return Charge(node=owner, account=Account.BUS, peer=self.peer) if owner else None


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RecordPlace:
    """Where a record stands in the order of a topic by time."""

    written_at: EpochMs
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored record of a log.

    Offsets of a partition count from 0; records that expired or were compacted leave gaps.
    """

    source: TopicPartition
    offset: int
    key: str
    value: bytes
    written_at: EpochMs

    @property
    def place(self) -> RecordPlace:
        return RecordPlace(
            written_at=self.written_at, partition=self.source.partition, offset=self.offset
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a state is to lie: in the partition of `group` that `key` selects, as for records."""

    group: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DuePlace:
    """Who looks at states with a due time: the owner of `partition` in `group`."""

    group: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a commit left for others to do.

    Attributes:
        logs: partitions of logs that got records.
        work: queues that got records.
        due: the earliest due time that was written, by who looks at it.
    """

    logs: frozenset[TopicPartition] = frozenset()
    work: frozenset[WorkQueue] = frozenset()
    due: Mapping[DuePlace, EpochMs] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.logs or self.work or self.due)


CommitListener = Callable[[Committed], None]


class LogSource(Protocol):
    """Reading side of the logs for consumer groups."""

    def poll(self, group: str, source: TopicPartition, limit: int) -> Sequence[Record]:
        """The next records that `group` has not consumed, oldest first, at most `limit`."""
        ...

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        """Partitions of `topics` with records that `group` has not consumed."""
        ...


class WakeUps(Protocol):
    """News of commits, so that nobody has to look for work all the time."""

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener` after each commit that publishes a record or writes a due time.

        It is called on the committing thread and must not block. Commits of other processes are
        told as soon as they are heard of, on another thread; one may be missed.
        """
        ...
