"""Sends the outbox of the store to the broker, at least once, nodes in turns.

Of each queue the first `WINDOW` records that have not landed are known, so memory is bounded and no
node's backlog hides another's. What does not land in time is sent again: so it comes through also
where the broker has lost it. There is no fence: whatever a sender that lost its partition sends is
a repetition.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Protocol

from host.domain.errors import HostError
from host.ports.bus import TopicPartition, WorkQueue
from host.ports.carriage import CarriedWork, Unlanded, WorkBroker
from host.ports.clock import TwoClocks

WINDOW = 64
"""Records of one queue that may be on their way."""
BYTES_MAX = 4 * 1024 * 1024
"""Values of one sending; one record more may be in it."""
RESCAN_MS = 1_000
"""A lost notification of another process delays records by this at most."""
RESEND_MS_MIN = 2_000
RESEND_MS_MAX = 60_000


_Way = tuple[int, WorkQueue]
"""A queue, and the number of its database."""


class CarriageObserver(Protocol):
    """Is told of what senders and landers do."""

    def sent(self, records: int) -> None:
        """The broker has acknowledged records."""
        ...

    def waits(self, failed: Mapping[TopicPartition, HostError]) -> None:
        """Partitions of which a record may not have arrived, after each sending; none: all have."""
        ...

    def landed(self, records: int) -> None:
        """Records have entered their queues."""
        ...

    def left(self, verdict: str, records: int) -> None:
        """Records that came were not taken: `repeated`, `early` or `foreign`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """What was sent of a queue.

    Attributes:
        first: the first record that had not landed.
        upto: the last one that the broker has acknowledged.
        since: steady time at which `first` became the first, or was sent again.
        tries: how often it was sent again.
    """

    first: int
    upto: int
    since: int
    tries: int = 0

    def is_overdue(self, now: int) -> bool:
        return now - self.since >= min(RESEND_MS_MIN << min(self.tries, 16), RESEND_MS_MAX)


class Sender:
    """The sending of the partitions that a process owns. Used by one thread."""

    def __init__(
        self,
        work: CarriedWork,
        broker: WorkBroker,
        clock: TwoClocks,
        observer: CarriageObserver,
    ) -> None:
        self._work = work
        self._broker = broker
        self._clock = clock
        self._observer = observer
        self._owned: frozenset[int] = frozenset()
        self._sent: dict[_Way, _Sent] = {}

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Send the records of these partitions from now on."""
        self._owned = frozenset(epochs)
        self._sent = {
            way: sent for way, sent in self._sent.items() if way[1].partition in self._owned
        }

    def work(self) -> bool:
        """Send what waits, up to `BYTES_MAX`; whether more may be sent at once.

        Raises:
            StorageError: the store cannot be used.
        """
        if not self._owned:
            return False
        ways = _by_way(self._work.unlanded(self._owned, WINDOW))
        self._look(ways)
        chosen = dict(self._chosen(ways))
        if not chosen:
            return False
        records = self._work.contents(chosen)
        failed = self._broker.send(records) if records else {}
        arrived = 0
        for each in chosen:
            way = _way(each)
            place = TopicPartition(topic=each.queue.topic, partition=each.queue.partition)
            if place not in failed:
                self._sent[way] = replace(self._sent[way], upto=each.position)
                arrived += 1
        self._observer.sent(arrived)
        self._observer.waits(failed)
        return arrived > 0

    def pause_ms(self) -> int:
        """How long nothing is to be sent, unless records are written."""
        return RESCAN_MS

    def _look(self, ways: Mapping[_Way, Sequence[Unlanded]]) -> None:
        """Note what has landed, and what is to be sent again."""
        now, before = self._clock.steady_ms(), self._sent
        self._sent = {}
        for way, records in ways.items():
            first, sent = records[0].position, before.get(way)
            if sent is None or sent.first != first:
                upto = -1 if sent is None else sent.upto
                sent = _Sent(first=first, upto=upto, since=now)
            elif sent.is_overdue(now):
                sent = _Sent(first=first, upto=-1, since=now, tries=sent.tries + 1)
            self._sent[way] = sent

    def _chosen(
        self, ways: Mapping[_Way, Sequence[Unlanded]]
    ) -> Iterator[tuple[Unlanded, int | None]]:
        """What is sent next: one record of each queue, then another of each, and so on.

        Records of one queue keep their order. With each, the one of its key before it.
        """
        waiting = [self._unsent(way, records) for way, records in ways.items()]
        size = 0
        for row in zip_longest(*waiting):
            for each in row:
                if each is not None:
                    yield each
                    size += each[0].size
                    if size >= BYTES_MAX:
                        return

    def _unsent(
        self, way: _Way, records: Sequence[Unlanded]
    ) -> Sequence[tuple[Unlanded, int | None]]:
        last: dict[str, int] = {}
        found = []
        for each in records:
            if each.position > self._sent[way].upto:
                found.append((each, last.get(each.key)))
            last[each.key] = each.position
        return found


def _way(record: Unlanded) -> _Way:
    return record.target, record.queue


def _by_way(records: Sequence[Unlanded]) -> Mapping[_Way, Sequence[Unlanded]]:
    return {way: list(found) for way, found in groupby(records, key=_way)}
