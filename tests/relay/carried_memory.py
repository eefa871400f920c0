"""A cluster of databases and a broker in memory, which end their users at a chosen operation."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from host.domain.errors import HostError, UnavailableError
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import TopicPartition, WorkQueue
from host.ports.carriage import Carried, Inlet, Landing, Received, Stream, Unlanded
from host.ports.state import StateConflictError
from host.ports.work import Backlog

TOPIC = "flow.event"


class Crash(BaseException):
    """A process ends: nothing of it is left but what is stored."""


@dataclass
class Operations:
    """Counts what is done to databases and broker; ends a process before or after some."""

    crashes: Collection[int] = ()
    done: int = 0

    def begin(self) -> None:
        """An operation begins; even numbers are before it, odd ones after it."""
        self._pass()

    def end(self) -> None:
        self._pass()

    def _pass(self) -> None:
        self.done += 1
        if self.done - 1 in self.crashes:
            raise Crash


@dataclass
class MemoryDatabase:
    """A `CarriedWork`: outbox, inlets and queues of one database."""

    number: int
    operations: Operations
    outbox: dict[tuple[int, str, int, int], Carried] = field(default_factory=dict)
    outlets: dict[tuple[int, str, int], int] = field(default_factory=dict)
    stored: dict[Stream, Inlet] = field(default_factory=dict)
    stored_places: dict[TopicPartition, int] = field(default_factory=dict)
    queues: dict[WorkQueue, list[Carried]] = field(default_factory=dict)
    nonces: int = 0

    @property
    def store_id(self) -> str:
        return f"store-{self.number}"

    @property
    def carriage_key(self) -> bytes:
        return b"key"

    def write(self, target: int, partition: int, node: str, key: str, value: bytes) -> None:
        """A step's unit writes a record."""
        place = target, TOPIC, partition
        position = self.outlets.get(place, 0)
        self.outlets[place] = position + 1
        self.nonces += 1
        self.outbox[*place, position] = Carried(
            source=self.store_id,
            target=target,
            queue=WorkQueue(TOPIC, partition, ShortHash(node)),
            position=position,
            nonce=self.nonces,
            after=None,
            key=key,
            value=value,
            peer=None,
            written_at=EpochMs(0),
        )

    def unlanded(self, partitions: Collection[int], window: int) -> Sequence[Unlanded]:
        self.operations.begin()
        found: dict[tuple[int, WorkQueue], list[Unlanded]] = {}
        for each in sorted(self.outbox.values(), key=lambda e: e.position):
            way = found.setdefault((each.target, each.queue), [])
            if each.queue.partition in partitions and len(way) < window:
                way.append(
                    Unlanded(
                        target=each.target,
                        queue=each.queue,
                        position=each.position,
                        key=each.key,
                        size=len(each.value),
                    )
                )
        return [each for way in found.values() for each in way]

    def leaving(self) -> Sequence[Backlog]:
        held: dict[str, list[EpochMs]] = {}
        for each in self.outbox.values():
            held.setdefault(each.queue.topic, []).append(each.written_at)
        return [
            Backlog(topic=topic, records=len(at), oldest_at=min(at)) for topic, at in held.items()
        ]

    def contents(self, wanted: Mapping[Unlanded, int | None]) -> Sequence[Carried]:
        self.operations.begin()
        records = []
        for each, after in wanted.items():
            place = each.target, each.queue.topic, each.queue.partition, each.position
            if place in self.outbox:
                records.append(replace(self.outbox[place], after=after))
        return records

    def inlets(self, streams: Collection[Stream]) -> Mapping[Stream, Inlet]:
        return {each: self.stored[each] for each in streams if each in self.stored}

    def places(self, partitions: Collection[int]) -> Mapping[TopicPartition, int]:
        return {p: at for p, at in self.stored_places.items() if p.partition in partitions}

    def still_there(self, records: Sequence[Carried]) -> Sequence[Carried]:
        self.operations.begin()
        found = []
        for each in records:
            held = self.outbox.get(
                (each.target, each.queue.topic, each.queue.partition, each.position)
            )
            if held is not None and held.nonce == each.nonce:
                found.append(each)
        return found

    def acknowledge(self, records: Sequence[Carried]) -> None:
        self.operations.begin()
        self._leave(records)
        self.operations.end()

    def land(self, landing: Landing) -> None:
        self.operations.begin()
        for stream, inlet in landing.inlets.items():
            if self.stored.get(stream, Inlet()).version != inlet.version:
                raise StateConflictError("landed by another process")
        for stream, inlet in landing.inlets.items():
            self.stored[stream] = Inlet(landed=inlet.landed, version=inlet.version + 1)
        for each in landing.records:
            self.queues.setdefault(each.queue, []).append(each)
        self._leave([each for each in landing.records if each.source == self.store_id])
        self.stored_places |= landing.places
        self.operations.end()

    def _leave(self, records: Sequence[Carried]) -> None:
        for each in records:
            place = each.target, each.queue.topic, each.queue.partition, each.position
            self.outbox.pop(place, None)


@dataclass
class MemoryKafka:
    """Topics of a broker: a log for each database and partition."""

    operations: Operations
    logs: dict[tuple[int, TopicPartition], list[Carried]] = field(default_factory=dict)
    is_away: bool = False

    def lose_disk(self) -> None:
        self.logs.clear()


class MemoryBroker:
    """A `WorkBroker`, the client of one process for one database.

    `stored_max` records of each sending are stored; then it fails. `is_deaf` until it is made anew.
    """

    def __init__(self, kafka: MemoryKafka, number: int, stored_max: int | None = None) -> None:
        self._kafka = kafka
        self._number = number
        self.stored_max = stored_max
        self.is_deaf = False
        self._at: dict[TopicPartition, int] = {}

    def send(self, records: Sequence[Carried]) -> Mapping[TopicPartition, HostError]:
        failed: dict[TopicPartition, HostError] = {}
        for number, each in enumerate(records):
            place = TopicPartition(topic=each.queue.topic, partition=each.queue.partition)
            if self._kafka.is_away or (self.stored_max is not None and number >= self.stored_max):
                failed[place] = UnavailableError("the broker is away")
                continue
            self._kafka.operations.begin()
            self._kafka.logs.setdefault((each.target, place), []).append(each)
            self._kafka.operations.end()
        return failed

    def read_from(self, starts: Mapping[TopicPartition, int | None]) -> None:
        self._at = {place: start or 0 for place, start in starts.items()}
        self.is_deaf = False

    def receive(self) -> Sequence[Received]:
        found = []
        for place, at in self._at.items() if not self.is_deaf else ():
            log = self._kafka.logs.get((self._number, place), [])
            start = 0 if at > len(log) else at  # out of range: from the beginning
            for number, record in enumerate(log[start : start + 3], start + 1):
                found.append(Received(place=place, following=number, record=record))
                self._at[place] = number
        return found

    def close(self) -> None: ...
