"""Lands what the broker delivers: records enter the queues of their nodes, once and in order.

The queue is a table, so what waits in it is bounded by its node's account alone, and no node's
backlog is in the way of another's: landing never waits for work to be done. Several processes may
land the same partition, while it moves: the versions of the inlets let one of them win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from host.domain.errors import HostError
from host.domain.landed import Verdict
from host.network.carriage.sender import CarriageObserver
from host.ports.bus import TopicPartition
from host.ports.carriage import (
    Carried,
    CarriedWork,
    Inlet,
    Landing,
    Received,
    Stream,
    WorkBroker,
)
from host.ports.clock import TwoClocks

RENEW_MS = 10_000
"""After this time without records, though some are on their way, the broker is connected to anew:
a client may wait for minutes until it asks again for a topic that was made anew."""
FOREIGN = "foreign"
"""What is said of records that are not ours, or were changed on the way."""


@dataclass(slots=True)
class _Batch:
    """What is landed together, as it grows."""

    inlets: dict[Stream, Inlet]
    records: list[Carried] = field(default_factory=list)
    repeated: list[Carried] = field(default_factory=list)
    changed: dict[Stream, Inlet] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def add(self, record: Carried) -> None:
        stream = record.stream
        inlet = self.inlets.get(stream, Inlet())
        verdict = inlet.landed.judge(record.position, record.after)
        if verdict is not Verdict.NEW:
            if verdict is Verdict.REPEATED:
                self.repeated.append(record)
            self.leave(verdict)
            return
        landed = inlet.landed.with_(record.position)
        after = Inlet(landed=landed, version=inlet.version)
        self.inlets[stream] = self.changed[stream] = after
        self.records.append(record)

    def leave(self, why: str, count: int = 1) -> None:
        if count:
            self.left[why] = self.left.get(why, 0) + count


class Lander:
    """The landing of the partitions that a process owns. Used by one thread.

    Args:
        work: the store in which they land.
        sources: the stores that write them, by their ids, `work` among them.
        broker: the side of the broker.
        topics: that are carried.
        clock: tells how long nothing has come.
        observer: is told of what is done.
    """

    def __init__(  # noqa: PLR0917  # each is another role
        self,
        work: CarriedWork,
        sources: Mapping[str, CarriedWork],
        broker: WorkBroker,
        topics: Sequence[str],
        clock: TwoClocks,
        observer: CarriageObserver,
    ) -> None:
        self._work = work
        self._sources = sources
        self._broker = broker
        self._topics = topics
        self._clock = clock
        self._heard_at = 0
        self._observer = observer
        self._owned: frozenset[int] = frozenset()
        self._inlets: dict[Stream, Inlet] = {}
        self._is_reading = False

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Land the records of these partitions from now on."""
        owned = frozenset(epochs)
        if owned != self._owned:
            self._owned, self._is_reading = owned, False

    def work(self) -> bool:
        """Land what has come; whether there was anything.

        Raises:
            HostError: the store or the broker cannot be used; the next call reads the same again.
        """
        if not self._is_reading:
            self._begin()
        try:
            received = self._broker.receive()
            if received:
                self._heard_at = self._clock.steady_ms()
                self._land(received)
            elif self._is_deaf():
                self._is_reading = False
        except HostError:
            self._is_reading = False
            raise
        return bool(received)

    def pause_ms(self) -> int:
        """The broker is waited for, not the store."""
        return 0 if self._owned else 1_000

    def _begin(self) -> None:
        """Read from where the stored state of each partition says."""
        self._inlets.clear()
        stored = self._work.places(self._owned)
        places = [
            TopicPartition(topic=topic, partition=partition)
            for topic in self._topics
            for partition in sorted(self._owned)
        ]
        self._broker.read_from({place: stored.get(place) for place in places})
        self._is_reading = True
        self._heard_at = self._clock.steady_ms()

    def _is_deaf(self) -> bool:
        """Whether nothing has come for a while, though something is on its way here."""
        now = self._clock.steady_ms()
        if now - self._heard_at < RENEW_MS:
            return False
        self._heard_at = now
        return any(
            each.target == self._work.number
            for source in self._sources.values()
            for each in source.unlanded(self._owned, 1)
        )

    def _land(self, received: Sequence[Received]) -> None:
        batch = _Batch(inlets=self._known(received))
        ours = [
            each.record
            for each in received
            if each.record is not None and each.record.source in self._sources
        ]
        batch.leave(FOREIGN, len(received) - len(ours))
        there = self._still_there(ours)
        batch.leave(Verdict.REPEATED, len(ours) - len(there))
        for record in there:
            batch.add(record)
        if batch.records:
            places = {each.place: each.following for each in received}
            self._work.land(Landing(records=batch.records, inlets=batch.changed, places=places))
            for stream, inlet in batch.changed.items():
                self._inlets[stream] = Inlet(landed=inlet.landed, version=inlet.version + 1)
            self._observer.landed(len(batch.records))
        self._acknowledge([*batch.records, *batch.repeated])
        for why, count in batch.left.items():
            self._observer.left(why, count)

    def _still_there(self, records: Sequence[Carried]) -> Sequence[Carried]:
        """The records that their stores still have to carry, in their order."""
        found = set[Carried]()
        for source, work in self._sources.items():
            of_source = [each for each in records if each.source == source]
            found.update(work.still_there(of_source) if of_source else ())
        return [each for each in records if each in found]

    def _acknowledge(self, records: Sequence[Carried]) -> None:
        """Acknowledge what has landed, again if it came again: the first answer may be lost.

        Those of this database have left its outbox as they landed.
        """
        for source, work in self._sources.items():
            found = [each for each in records if each.source == source]
            if found and source != self._work.store_id:
                work.acknowledge(found)

    def _known(self, received: Sequence[Received]) -> dict[Stream, Inlet]:
        """The inlets of these records; those that are not known are read."""
        wanted = {each.record.stream for each in received if each.record is not None}
        new = [stream for stream in wanted if stream not in self._inlets]
        if new:
            self._inlets |= self._work.inlets(new)
        return {stream: self._inlets[stream] for stream in wanted if stream in self._inlets}
