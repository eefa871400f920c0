"""Work that a message broker carries, from the store of the step that writes it to its queue.

A step's unit writes its work records to an outbox, whose records are numbered for each topic and
partition: a *stream*. A sender reads the outbox and sends; whoever owns the partition lands what
arrives: the record enters its queue, in one transaction with which positions of the stream have
landed, and leaves the outbox. So nothing is only on the broker, and what it repeats, disorders or
loses does no harm. The queue may be in another database than the outbox: databases have numbers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from host.domain.errors import HostError
from host.domain.ids import EpochMs, ShortHash
from host.domain.landed import Landed
from host.ports.bus import TopicPartition, WorkQueue
from host.ports.work import Backlog


class Stream(NamedTuple):
    """Records that are numbered together, of those for one database.

    `source` is the id of the store that wrote them.
    """

    source: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlanded:
    """A record of the outbox, without its value.

    Attributes:
        target: the database to whose queue it goes, by its number.
        queue: where it is going to.
        position: in its stream.
        key: its key.
        size: bytes of its value.
    """

    target: int
    queue: WorkQueue
    position: int
    key: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A record on its way.

    Attributes:
        source: id of the store that wrote it.
        target: the database to whose queue it goes, by its number.
        queue: where it is going to.
        position: in its stream.
        nonce: chosen at random when it was written.
        after: position of the record of its key before it, if that had not landed when it was sent.
        key: its key.
        value: its value.
        peer: the node that caused it, if that is another one.
        written_at: when it was written.
    """

    source: str
    target: int
    queue: WorkQueue
    position: int
    nonce: int
    after: int | None
    key: str
    value: bytes
    peer: ShortHash | None
    written_at: EpochMs

    @property
    def stream(self) -> Stream:
        return Stream(self.source, self.queue.topic, self.queue.partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A record that a broker delivers.

    Attributes:
        place: its partition on the broker, by the topic's name in the store.
        following: the place after it there, from which to go on.
        record: None if it is not ours, or was changed on the way.
    """

    place: TopicPartition
    following: int
    record: Carried | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inlet:
    """The receiving end of a stream; `version` counts its writes from 1, 0 if there is none yet."""

    landed: Landed = field(default_factory=Landed)
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """One transaction: records enter their queues and leave the outbox.

    Attributes:
        records: in the order in which they came.
        inlets: the new state of each stream, with the version that it replaces.
        places: where reading goes on, in each partition of the broker.
    """

    records: Sequence[Carried]
    inlets: Mapping[Stream, Inlet]
    places: Mapping[TopicPartition, int]


@runtime_checkable
class CarriedWork(Protocol):
    """The side of the store. Thread-safe."""

    @property
    def store_id(self) -> str:
        """See `Stream.source`."""
        ...

    @property
    def number(self) -> int:
        """Of its database."""
        ...

    @property
    def carriage_key(self) -> bytes:
        """Authenticates records on the broker: secret, the same for all databases of a cluster."""
        ...

    def unlanded(self, partitions: Collection[int], window: int) -> Sequence[Unlanded]:
        """The first records of each queue that have not landed, at most `window` of each.

        Records of one queue are together, oldest first.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def leaving(self) -> Sequence[Backlog]:
        """What has not landed, of each topic that has any.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def contents(self, wanted: Mapping[Unlanded, int | None]) -> Sequence[Carried]:
        """The records with their values, in this order, without those that have landed meanwhile.

        Args:
            wanted: records, each with the position after which it lands (`Carried.after`).

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def inlets(self, streams: Collection[Stream]) -> Mapping[Stream, Inlet]:
        """The receiving ends of these streams, of those that exist.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def places(self, partitions: Collection[int]) -> Mapping[TopicPartition, int]:
        """Where reading goes on in these partitions of all topics, for those that had a record.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def still_there(self, records: Sequence[Carried]) -> Sequence[Carried]:
        """Those of the records that the outbox has, with the same nonces.

        The others have landed, or were written before the store was restored.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def acknowledge(self, records: Sequence[Carried]) -> None:
        """Take records out of the outbox that have landed in another database; may be repeated.

        Raises:
            StorageError: the store cannot be written.
        """
        ...

    def land(self, landing: Landing) -> None:
        """Write all of it durably, or nothing.

        Raises:
            StateConflictError: another process has landed records of a stream meanwhile.
            StorageError: the store cannot be written.
        """
        ...


class WorkBroker(Protocol):
    """The side of the broker. Sending and receiving are each used by one thread."""

    def send(self, records: Sequence[Carried]) -> Mapping[TopicPartition, HostError]:
        """Send records, and wait until the broker has stored all, or refused some.

        Returns:
            For each partition of which a record may not have arrived, why; none: all have arrived.
        """
        ...

    def read_from(self, starts: Mapping[TopicPartition, int | None]) -> None:
        """Receive from these partitions alone, from these places on; None: from the beginning.

        Raises:
            HostError: the broker cannot be used.
        """
        ...

    def receive(self) -> Sequence[Received]:
        """What has come, in the order of each partition; it waits for a short time for something.

        Its bytes are bounded.

        Raises:
            HostError: the broker cannot be used.
        """
        ...

    def close(self) -> None:
        """Forget what was not sent."""
        ...
