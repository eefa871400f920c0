"""The relay: sends the records of outward topics to a message broker, at least once and in order.

It is a consumer group of the store. Positions move on only once the broker has acknowledged what is
before them; a record of which nothing is known is sent again, with the same id. What was sent of
external messages and statuses is deleted with that, and leaves its node's account.

A partition whose record the broker refuses waits, and so do only the records behind it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from host.domain.errors import HostError, UnavailableError
from host.domain.ids import EpochMs
from host.flow.core.messages import DEAD_LETTER_TOPIC
from host.network.outward.troubles import GROUP, PLACES_MAX, Trouble, write_trouble
from host.ports.bus import Record, TopicPartition
from host.ports.clock import TwoClocks
from host.ports.outward import EXTERNAL_PREFIX, STATUS_TOPIC, OutwardBroker
from host.ports.units import Consumed, FlowStore, Unit

RECORDS_MAX = 500
"""Records of one partition that are sent together."""
PARTITION_BYTES_MAX = 1024 * 1024
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Bytes that are sent before the next positions are stored; one record more may be in it."""
BATCH_RECORDS_MAX = 20_000
RETRY_MS_MIN = 1_000
RETRY_MS_MAX = 30_000
RESCAN_MS = 1_000
"""A lost notification of another process delays records by this at most."""


class RelayObserver(Protocol):
    """Is told of what the relay does."""

    def delivered(self, topic: str, records: int) -> None:
        """The broker has acknowledged records."""
        ...

    def refused(self, place: TopicPartition, error: HostError) -> None:
        """Records of a partition did not arrive, or it is not known whether they did."""
        ...

    def blocked(self, places: int) -> None:
        """So many partitions wait now, because their records did not arrive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """A partition whose records did not arrive. `retry_at` is steady time."""

    error: HostError
    since: EpochMs
    tries: int
    retry_at: int


class Relay:
    """The work of the partitions that a process owns. Used by one thread.

    Args:
        store: of the topics.
        broker: where their records go.
        clock: of retries.
        observer: is told of each delivery.
        host: name of this host, for what others read of its troubles.
    """

    def __init__(
        self,
        store: FlowStore,
        broker: OutwardBroker,
        clock: TwoClocks,
        observer: RelayObserver,
        *,
        host: str,
    ) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._observer = observer
        self._host = host
        self._epochs: Mapping[int, int | None] = {}
        self._waits: dict[TopicPartition, _Wait] = {}
        self._last = ""
        self._turn = 0
        self._told: Trouble | None = None
        self._has_told = False

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Send the records of these partitions from now on."""
        self._epochs = dict(epochs)
        self._waits = {place: w for place, w in self._waits.items() if place.partition in epochs}

    def work(self) -> bool:
        """Send what waits, up to `BATCH_BYTES_MAX`; whether more may be sent at once.

        Raises:
            ConflictError: a partition has another owner; what was sent is sent again by it.
            StorageError: the store cannot be used.
        """
        batches = list(self._batches())
        if not batches:
            self._tell()
            return False
        failed = self._broker.deliver(batches)
        arrived = [batch for batch in batches if batch[0].source not in failed]
        if arrived:
            self._store.commit(Unit(consumed=tuple(map(self._consumed, arrived))))
        for batch in arrived:
            self._waits.pop(batch[0].source, None)
            self._observer.delivered(batch[0].source.topic, len(batch))
        for place, error in failed.items():
            self._fail(place, error)
        self._tell()
        return bool(arrived)

    def pause_ms(self) -> int:
        """How long nothing is to be sent, unless records are written."""
        now = self._clock.steady_ms()
        return min((max(w.retry_at - now, 0) for w in self._waits.values()), default=RESCAN_MS)

    def _batches(self) -> Iterator[Sequence[Record]]:
        """The next records of topics in turns, so that one that has many does not hold others."""
        size = count = 0
        for source in self._sources():
            limit = 1 if source in self._waits else RECORDS_MAX  # a refused one is tried alone
            batch = self._store.poll(GROUP, source, limit, bytes_max=PARTITION_BYTES_MAX)
            if not batch:
                continue
            self._last = source.topic
            yield batch
            size += sum(len(record.value) for record in batch)
            count += len(batch)
            if size >= BATCH_BYTES_MAX or count >= BATCH_RECORDS_MAX:
                return

    def _sources(self) -> Sequence[TopicPartition]:
        now = self._clock.steady_ms()
        ready = [
            place
            for place in self._store.ready(GROUP, outward_topics(self._store.topics))
            if place.partition in self._epochs
            and (place not in self._waits or self._waits[place].retry_at <= now)
        ]
        self._turn += 1
        return in_turns(ready, after=self._last, turn=self._turn)

    def _consumed(self, batch: Sequence[Record]) -> Consumed:
        source, start = batch[0].source, batch[0].offset
        return Consumed(
            group=GROUP,
            source=source,
            start=start,
            count=batch[-1].offset + 1 - start,
            epoch=self._epochs[source.partition],
            is_dropped=source.topic != DEAD_LETTER_TOPIC,  # operators look into these
        )

    def _fail(self, place: TopicPartition, error: HostError) -> None:
        before = self._waits.get(place)
        tries = 1 if before is None else before.tries + 1
        delay = min(RETRY_MS_MIN << min(tries - 1, 16), RETRY_MS_MAX)
        self._waits[place] = _Wait(
            error=error,
            since=self._clock.now_ms() if before is None else before.since,
            tries=tries,
            retry_at=self._clock.steady_ms() + delay,
        )
        self._observer.refused(place, error)

    def _tell(self) -> None:
        """Record what is wrong where others see it, if that has changed."""
        trouble = _trouble_of(self._waits)
        self._observer.blocked(len(self._waits))
        if self._has_told and trouble == self._told:
            return
        write_trouble(self._store, self._host, trouble)
        self._told, self._has_told = trouble, True


def in_turns(
    places: Sequence[TopicPartition], *, after: str, turn: int
) -> Sequence[TopicPartition]:
    """One partition of each topic, then another of each, and so on.

    Args:
        places: partitions.
        after: the topic whose turn was last.
        turn: a number that grows; it decides which partition of a topic comes first.
    """
    of_topic: dict[str, list[TopicPartition]] = {}
    for place in sorted(places):
        of_topic.setdefault(place.topic, []).append(place)
    topics = sorted(of_topic, key=lambda topic: (topic <= after, topic))
    rotated = []
    for topic in topics:
        found = of_topic[topic]
        first = turn % len(found)
        rotated.append([*found[first:], *found[:first]])
    return [place for row in zip_longest(*rotated) for place in row if place is not None]


def outward_topics(topics: Callable[[str], Sequence[str]]) -> Sequence[str]:
    """The topics of a store that leave the cluster, given what lists those of a prefix."""
    return [DEAD_LETTER_TOPIC, STATUS_TOPIC, *topics(EXTERNAL_PREFIX)]


def _trouble_of(waits: Mapping[TopicPartition, _Wait]) -> Trouble | None:
    """What is wrong: a broker that is away first, else the oldest refusal."""
    if not waits:
        return None
    oldest = min(waits.values(), key=lambda w: (not isinstance(w.error, UnavailableError), w.since))
    places = sorted(waits)[:PLACES_MAX]
    return Trouble(
        since=oldest.since,
        code=oldest.error.code,
        message=oldest.error.message,
        places=tuple(f"{place.topic}-{place.partition}" for place in places),
    )
