"""The keys that are set aside in a pool's partitions, and the times of their retries.

The store is authoritative; this copy saves each step a query. Only the owner of a partition sets
its keys aside, and it loads all of them when it becomes the owner. Thread-safe.
"""

import heapq
import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from host.domain.ids import EpochMs, ShortHash
from host.flow.core.aside import ASIDE_GROUP, Aside, WorkKey, key_of, read_head, read_set_aside
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.taken import BYTES_MAX, Taken
from host.ports.groups import Fence
from host.ports.state import StateRecord
from host.ports.units import StateStore
from host.ports.work import WorkRecord


class Asides:
    """The keys that are set aside."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._epochs: Mapping[int, int | None] = {}
        self._due: dict[WorkKey, _Due] = {}
        self._queue: list[tuple[EpochMs, WorkKey]] = []
        self._parked: dict[ShortHash, dict[WorkKey, None]] = {}
        self._noted_last = EpochMs(0)

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Load the keys of the partitions that are owned from now on.

        A partition whose epoch has changed had another owner meanwhile, and is read again.

        Raises:
            StorageError: the store cannot be read; nothing has changed.
        """
        new = {n for n, epoch in epochs.items() if self._epochs.get(n, -1) != epoch}
        found = self._store.placed(ASIDE_GROUP, new) if new else ()
        with self._lock:
            self._epochs = dict(epochs)
            for key in [k for k in self._due if k.queue.partition not in epochs.keys() - new]:
                del self._due[key]
                self._parked.get(key.queue.node, {}).pop(key, None)
            for record in found:
                self._know(record)

    def __contains__(self, key: WorkKey) -> bool:
        return key in self._due

    def next_due(self) -> EpochMs | None:
        """The time of the next retry of a key, or of the next call."""
        with self._lock:
            while self._queue and self._is_stale(*self._queue[0]):
                heapq.heappop(self._queue)
            return self._queue[0][0] if self._queue else None

    def due(self, now: EpochMs, owned: Collection[int] | None = None) -> Sequence[WorkKey]:
        """The due keys of `owned`, or of all partitions; each is reported once per due time.

        While partitions are adopted, the caller may not own all of them yet: their due keys are
        reported once it calls as their owner.

        A due time that was written at a clock time later than now counts as due: the clock was set
        back, and a retry must not wait for it.
        """
        with self._lock:
            found = dict.fromkeys(self._noted_after(now))
            while self._queue and self._queue[0][0] <= now:
                at, key = heapq.heappop(self._queue)
                if not self._is_stale(at, key):
                    found[key] = None
            reported = [key for key in found if owned is None or key.queue.partition in owned]
            for key in reported:
                self._due[key].is_reported = True
            for key in found:
                due = self._due[key]
                if not due.is_reported and due.at is not None and due.at <= now:
                    heapq.heappush(self._queue, (due.at, key))
            return reported

    def load(self, key: WorkKey, fence: Fence | None) -> Aside:
        """Read the key from the store; the owner updates this copy if needed.

        Raises:
            FlowRecordDamagedError: its head cannot be read.
            StorageError: the store cannot be read.
        """
        record = self._store.get(key.state_key)
        with self._lock:
            if self._is_owners(fence):
                if record is None:
                    self._due.pop(key, None)
                else:
                    self._know(record)
        return Aside(key=key) if record is None else read_head(record)

    def records(self, aside: Aside, limit: int) -> Sequence[WorkRecord]:
        """The first records of a key, at most `limit`, within the limits of a step.

        Raises:
            FlowRecordDamagedError: the first of them cannot be read.
            StorageError: the store cannot be read.
        """
        found, size = list[WorkRecord](), 0
        first = aside.head.first
        for number in range(first, min(first + limit, aside.head.after)):
            if size >= BYTES_MAX:
                break
            record = self._store.get(aside.key.record_key(number))
            if record is None:
                if not found:
                    raise FlowRecordDamagedError(
                        f"record {aside.key.record_key(number)!r} is missing"
                    )
                break
            found.append(read_set_aside(aside.key, record))
            size += len(record.value)
        return found

    def taken(
        self, aside: Aside, records: Sequence[WorkRecord], fence: Fence | None, now: EpochMs
    ) -> Taken:
        """The first records of a key, for a step, which deletes them and makes the rest due."""
        states = aside.without_first(len(records), now)
        return Taken(records=records, states=states, fence=fence)

    def left(self, aside: Aside, count: int, now: EpochMs, fence: Fence | None) -> None:
        """Report that a step with the first `count` records of a key was committed."""
        with self._lock:
            if not self._is_owners(fence):
                return
            if count == len(aside):
                self._due.pop(aside.key, None)
            else:
                self._note(aside.key, now, now)

    def note(
        self, key: WorkKey, due: EpochMs | None, noted_at: EpochMs, fence: Fence | None
    ) -> None:
        """Report that a head was written: `due` is the key's next retry, set at time `noted_at`."""
        with self._lock:
            if self._is_owners(fence):
                self._note(key, due, noted_at)

    def park(self, key: WorkKey, fence: Fence | None) -> None:
        """Let a key wait until its node is no longer paused, whatever its due time is."""
        with self._lock:
            if self._is_owners(fence) and key in self._due:
                self._note(key, None, EpochMs(0))

    def resume(self, is_paused: Callable[[ShortHash], bool], now: EpochMs) -> bool:
        """Make the keys due whose nodes are no longer paused; returns whether there are any.

        Pauses are found here and nowhere else, so nobody has to report that one has ended: not even
        a process that dies between setting a key aside and noting it.
        """
        with self._lock:
            nodes = tuple(self._parked)
        ended = [node for node in nodes if not is_paused(node)]
        with self._lock:
            keys = [key for node in ended for key in self._parked.pop(node, ())]
            waiting = [k for k in keys if (due := self._due.get(k)) is not None and due.at is None]
            for key in waiting:
                self._note(key, now, now)
        return bool(waiting)

    def forget(self, key: WorkKey, fence: Fence | None) -> None:
        """Report that a head was deleted: no record of the key is set aside any more."""
        with self._lock:
            if self._is_owners(fence):
                self._due.pop(key, None)

    def _is_owners(self, fence: Fence | None) -> bool:
        """Whether the caller owns the key's partition with the epoch that is known here.

        A thread may be delayed between its commit and its report, while the partition moves away
        and back: the data loaded then is newer. The caller holds the lock.
        """
        return fence is None or self._epochs.get(fence.partition) == fence.epoch

    def _noted_after(self, now: EpochMs) -> Sequence[WorkKey]:
        """Keys that are due because the clock was set back; searched for only in that case."""
        if now >= self._noted_last:
            return ()
        self._noted_last = max((due.noted_at for due in self._due.values()), default=EpochMs(0))
        return [
            key
            for key, due in self._due.items()
            if due.at is not None and due.noted_at > now and not due.is_reported
        ]

    def _know(self, record: StateRecord) -> None:
        key = key_of(record)
        try:
            failures = read_head(record).head.failures
        except FlowRecordDamagedError:
            failures = None  # reported by the thread that works on the key
        noted_at = failures.last if failures is not None else EpochMs(0)
        self._note(key, record.due_at, noted_at)

    def _note(self, key: WorkKey, due: EpochMs | None, noted_at: EpochMs) -> None:
        self._due[key] = _Due(due, noted_at)
        self._noted_last = max(self._noted_last, noted_at)
        if due is None:
            self._parked.setdefault(key.queue.node, {})[key] = None
        else:
            heapq.heappush(self._queue, (due, key))

    def _is_stale(self, at: EpochMs, key: WorkKey) -> bool:
        due = self._due.get(key)
        return due is None or due.is_reported or due.at != at


class _Due:
    """Due time of a key, when it was recorded, and whether it was reported."""

    __slots__ = ("at", "is_reported", "noted_at")

    def __init__(self, at: EpochMs | None, noted_at: EpochMs) -> None:
        self.at = at
        self.noted_at = noted_at
        self.is_reported = False
