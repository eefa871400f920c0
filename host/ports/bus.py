"""The bus: topics of records, split into partitions by key.

A topic is one of two kinds. *Work* stays in queues until the step that processes it deletes it
(`host.ports.work`); each work record names its virtual node. The records of a *log* stay until they
expire, and consumer groups read them by their offsets. Records of one key keep their order.
Publishing and consuming happen in a unit of work (`host.ports.units`), so that a step's output and
what it consumes are one transaction.
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

    A tuple, for speed: each step makes about thirty look-ups by queue.
    """

    topic: str
    partition: int
    node: ShortHash


NOBODY = ShortHash("")
"""The node of a work record that names none because it is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record to publish. With a `node` it is work of that node, otherwise a log record.

    It is charged to the account `bus` of its node. `peer` is the sender of work that another node
    caused; `owner` is the node to which a log record is charged.
    """

    topic: str
    key: str
    value: bytes
    node: ShortHash | None = None
    peer: ShortHash | None = None
    owner: ShortHash | None = None

    @property
    def size(self) -> int:
        """Bytes that are charged."""
        return len(self.key.encode()) + len(self.value)

    @property
    def charge(self) -> Charge | None:
        """The account to charge; None if no node is known to have caused the record."""
        owner = self.node or self.owner
        return Charge(node=owner, account=Account.BUS, peer=self.peer) if owner else None


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RecordPlace:
    """The position of a record in the time order of its topic."""

    written_at: EpochMs
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored record of a log.

    Offsets of a partition count from 0; records that expired or were compacted leave gaps.
    `owner` is the node to which it is charged.
    """

    source: TopicPartition
    offset: int
    key: str
    value: bytes
    written_at: EpochMs
    owner: ShortHash | None = None

    @property
    def place(self) -> RecordPlace:
        return RecordPlace(
            written_at=self.written_at, partition=self.source.partition, offset=self.offset
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The partition of a state: the one of `group` that `key` selects, as for records."""

    group: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DuePlace:
    """The owner of states with a due time: the owner of `partition` in `group`."""

    group: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """New work that a commit has created.

    Attributes:
        logs: partitions of logs that got records.
        work: queues that got records.
        due: the earliest due time that was written, by the owner that handles it.
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

    def poll(
        self, group: str, source: TopicPartition, limit: int, *, bytes_max: int | None = None
    ) -> Sequence[Record]:
        """The next records that `group` has not consumed, oldest first, at most `limit`.

        With `bytes_max`, no further record once the values reach it; the first is always returned.
        """
        ...

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        """Partitions of `topics` with records that `group` has not consumed."""
        ...

    def unread(self, group: str, topics: Sequence[str]) -> Mapping[str, int]:
        """Offsets of each topic that `group` has not consumed: its records, and gaps between them.

        Topics without any are left out.
        """
        ...


class WakeUps(Protocol):
    """Notifications of commits, so that workers need not poll."""

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener` after each commit that publishes a record or writes a due time.

        It is called on the committing thread and must not block. Commits of other processes are
        reported as soon as their notification arrives, on another thread; a notification may be
        lost.
        """
        ...
