"""A cache of suspended guests for their flows' next steps: an optimisation without other effects.

A parked guest has made exactly the calls of its flow's stored journal, which only grows: while the
journal has that length, resuming the guest is equivalent to a replay. A guest is parked after its
step was committed, and dropped in case of any doubt.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from host.domain.ids import FlowId, ShortHash
from host.flow.core.journal import Entries
from host.ports.bus import NOBODY
from host.ports.guest import FlowRun, ParkedRun

IDLE_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A suspended guest, its start argument, and its flow's journal as stored."""

    run: ParkedRun
    facts: FlowRun
    journal: Entries

    @property
    def bytes(self) -> int:
        """Memory of the guest and of the journal's texts."""
        return self.run.memory_bytes + self.journal.bytes


@dataclass(frozen=True, slots=True)
class _Place:
    parked: Parked
    since: float
    bytes: int

    @property
    def node(self) -> ShortHash:
        return self.parked.facts.node or NOBODY


class StickyCache:
    """Parked guests, bounded in number and memory. Thread-safe.

    Beyond a bound, guests of the node with the largest share are evicted: the oldest if there are
    too many, the largest if they use too much memory. So no node can evict the others' guests.

    Args:
        most: maximum number of guests; each uses a thread and its guest's memory; 0 parks none.
        bytes_max: maximum memory of all guests.
        node_bytes_max: maximum memory of one node's guests, in addition to the node's quota.
        idle_seconds_max: a guest that is parked for longer is dropped.
        monotonic: a monotonic clock in seconds.
    """

    def __init__(
        self,
        most: int,
        *,
        bytes_max: int | None = None,
        node_bytes_max: int | None = None,
        idle_seconds_max: float = IDLE_SECONDS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._bytes_max = bytes_max
        self._node_bytes_max = node_bytes_max
        self._idle_seconds_max = idle_seconds_max
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._places: OrderedDict[FlowId, _Place] = OrderedDict()
        self._counts = Counter[ShortHash]()
        self._sizes = Counter[ShortHash]()
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._places)

    def bytes_of(self, node: ShortHash) -> int:
        """Memory of the node's parked guests, including their journals."""
        with self._lock:
            return self._sizes[node]

    def park(self, flow_id: FlowId, parked: Parked) -> None:
        """Park a guest whose calls are all stored; this may evict others, or the guest itself."""
        place = _Place(parked, self._monotonic(), parked.bytes)
        with self._lock:
            gone = self._removed([flow_id])
            self._places[flow_id] = place
            self._counts[place.node] += 1
            self._sizes[place.node] += place.bytes
            while (surplus := self._surplus(place)) is not None:
                gone += self._removed([surplus])
            self._see_to_idle()
        _drop(gone)

    def _removed(self, flow_ids: Iterable[FlowId]) -> list[_Place]:
        """Remove guests and return those that existed. The caller holds the lock."""
        found = [place for i in flow_ids if (place := self._places.pop(i, None)) is not None]
        for place in found:
            self._sizes[place.node] -= place.bytes
            self._counts[place.node] -= 1
            if not self._counts[place.node]:
                del self._counts[place.node], self._sizes[place.node]
        return found

    def _surplus(self, newest: _Place) -> FlowId | None:
        """The flow whose guest is evicted next; None if all bounds are met."""
        if len(self._places) > self._most:
            node = max(self._counts, key=self._counts.__getitem__)
            return next(i for i, place in self._places.items() if place.node == node)
        quota = newest.parked.facts.quota.parked_bytes_max
        limits = (quota, self._node_bytes_max)
        if self._sizes[newest.node] > min(limit for limit in limits if limit is not None):
            return self._largest(newest.node)
        if self._bytes_max is not None and self._sizes.total() > self._bytes_max:
            return self._largest(max(self._sizes, key=self._sizes.__getitem__))
        return None

    def _largest(self, node: ShortHash) -> FlowId:
        """The flow of the node's largest guest, of equal ones the oldest."""
        own = [(i, place) for i, place in self._places.items() if place.node == node]
        return max(own, key=lambda one: one[1].bytes)[0]

    def take(self, flow_id: FlowId, calls: int) -> Parked | None:
        """Remove and return the flow's guest if it has made exactly `calls` calls; else drop it."""
        with self._lock:
            found = self._removed([flow_id])
        if found and len(found[0].parked.journal) == calls:
            return found[0].parked
        _drop(found)
        return None

    def drop(self, flow_id: FlowId) -> None:
        """Drop the flow's guest, if there is one."""
        with self._lock:
            found = self._removed([flow_id])
        _drop(found)

    def drop_idle(self) -> None:
        """Drop the guests that have been parked for too long."""
        with self._lock:
            oldest = self._monotonic() - self._idle_seconds_max
            gone = self._removed([i for i, p in self._places.items() if p.since <= oldest])
            self._timer = None
            self._see_to_idle()
        _drop(gone)

    def close(self) -> None:
        """Drop all guests, and stop parking."""
        with self._lock:
            self._most = 0
            gone = self._removed(list(self._places))
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        _drop(gone)

    def _see_to_idle(self) -> None:
        """Schedule the next check for when the longest parked guest expires."""
        if self._places and self._timer is None:
            first = next(iter(self._places.values()))
            delay = first.since + self._idle_seconds_max - self._monotonic()
            self._timer = threading.Timer(max(0.0, delay), self.drop_idle)
            self._timer.daemon = True
            self._timer.start()


def _drop(places: list[_Place]) -> None:
    for place in places:
        place.parked.run.drop()
