"""A pool of threads that process partitions, and one that watches times.

The pool is a member of the flow group and processes the partitions that it owns; other members
may be pools of other processes. A worker claims any owned partition with work that no other worker
holds, so a guest that spins blocks one partition and one thread, never the others. Idle threads
wait; nothing polls, but for a slow rescan where other processes write into the store, too.
"""

import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.flow.engine import FlowEngine, Progress
from host.flow.messages import GROUP, WORK_TOPICS
from host.flow.upkeep import Upkeep
from host.ports.bus import Committed, WorkQueue
from host.ports.clock import Clock
from host.ports.groups import FencedError, Membership
from host.ports.topics import Retention
from host.ports.units import FlowStore

TRIM_AFTER_MS = 5_000
MEMBER_TTL_MS = 15_000
"""A pool that was silent for this long is taken for dead; who knows better tells at once."""
_BEATS_PER_TTL = 3
_STORE_RETRY_MS = 1_000
_KEEP_ALL = Retention()
_CHIEF = 0
"""Who owns this partition keeps logs bounded, for all members."""


class FlowWorkers:
    """Runs an engine until stopped.

    Args:
        engine: what processes partitions.
        units: the engine's store; its commits wake the threads.
        clock: real time; a simulated clock does not wake the timer thread.
        threads: guests that may run at once, at least 1.
        member: the pool's name in the group, which no other has had.
        rescan_ms: how often to look for work of other processes that nobody told of; None where
            there are none.
        retention: of topics that flows do not consume.
    """

    def __init__(
        self,
        *,
        engine: FlowEngine,
        units: FlowStore,
        clock: Clock,
        threads: int = 2,
        member: str = "flow",
        rescan_ms: int | None = None,
        retention: Retention = _KEEP_ALL,
    ) -> None:
        self._engine = engine
        self._store = units
        self._clock = clock
        self._member = member
        self._upkeep = Upkeep(units, clock, retention)
        self._rescan_s = None if rescan_ms is None else rescan_ms / 1000
        lock = threading.Lock()
        self._has_work = threading.Condition(lock)
        self._has_time = threading.Condition(lock)
        self._lock = lock
        self._epochs: Mapping[int, int] = {}
        self._generation = 0
        self._ready: dict[WorkQueue, None] = {}
        self._claimed: set[WorkQueue] = set()
        # By the monotonic clock: a retry must not wait for long though the time of day is put back.
        self._parked: dict[WorkQueue, float] = {}
        self._due: EpochMs | None = None
        self._trim_at: EpochMs | None = None
        # By the monotonic clock: a member must be heard of though the time of day is put back.
        self._beat_at = self._rescan_at = time.monotonic()
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"flow-{number}", daemon=True)
            for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="flow-time", daemon=True))

    def start(self) -> None:
        """Join the group, take up the work that the store holds, and start the threads.

        Raises:
            StorageError: the store cannot be used.
        """
        self._store.on_commit(self._committed)
        self._store.on_rebalance(self._rebalanced)
        self._adopt(self._store.join(GROUP, self._member, ttl_ms=MEMBER_TTL_MS))
        self._beat_at = time.monotonic() + MEMBER_TTL_MS / _BEATS_PER_TTL / 1000
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Let running steps finish, end the threads and leave the group.

        Returns:
            False when a step was still running after `timeout_s`; its work is not lost.
        """
        with self._lock:
            self._is_stopping = True
            self._has_work.notify_all()
            self._has_time.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)
        if any(thread.is_alive() for thread in self._threads):
            # Leaving now would have its commit refused, though it may end before the process does.
            return False
        with suppress(StorageError):
            self._store.leave(GROUP, self._member)
        return True

    def _committed(self, committed: Committed) -> None:
        due = min(
            (
                at
                for place, at in committed.due.items()
                if place.group == GROUP and place.partition in self._epochs
            ),
            default=None,
        )
        self._found(committed.work, due)

    def _found(self, work: Iterable[WorkQueue], due: EpochMs | None) -> None:
        with self._lock:
            owned = [
                source
                for source in work
                if source.topic in WORK_TOPICS and source.partition in self._epochs
            ]
            self._ready.update(dict.fromkeys(owned))
            self._has_work.notify(len(owned))
            if due is not None and (self._due is None or due < self._due):
                self._due = due
                self._has_time.notify()
            if owned and _CHIEF in self._epochs and self._trim_at is None:
                self._trim_at = EpochMs(self._clock.now_ms() + TRIM_AFTER_MS)
                self._has_time.notify()

    def _rebalanced(self, group: str) -> None:
        if group == GROUP:
            with self._lock:
                self._beat_at = time.monotonic()
                self._has_time.notify()

    def _adopt(self, membership: Membership) -> None:
        """Go on with the partitions that the pool owns now."""
        with self._lock:
            if membership.generation <= self._generation:
                return
            self._generation = membership.generation
            self._epochs = membership.epochs
            self._ready = {s: None for s in self._ready if s.partition in self._epochs}
            self._parked = {s: a for s, a in self._parked.items() if s.partition in self._epochs}
            self._due = None
            if _CHIEF not in self._epochs:
                self._trim_at = None
        self._look()

    def _look(self) -> None:
        """Take up what the store holds; what is committed later is told."""
        self._found(self._engine.ready(), self._engine.timers.next_due(self._epochs))

    def _work(self) -> None:
        while (claim := self._claim()) is not None:
            source, epoch = claim
            try:
                progress = self._engine.process(source, epoch)
            except Exception:
                self._release(source, Progress(worked=False))
                raise
            self._release(source, progress)

    def _claim(self) -> tuple[WorkQueue, int] | None:
        """Wait for a partition that nobody holds; None when the pool stops."""
        with self._lock:
            while True:
                if self._is_stopping:
                    return None
                for source in self._ready:
                    if source not in self._claimed:
                        del self._ready[source]
                        self._claimed.add(source)
                        return source, self._epochs[source.partition]
                self._has_work.wait()

    def _release(self, source: WorkQueue, progress: Progress) -> None:
        with self._lock:
            self._claimed.discard(source)
            if source.partition not in self._epochs:
                return
            if progress.worked:
                self._ready[source] = None
            elif progress.retry_at is not None:
                delay_ms = max(0, progress.retry_at - self._clock.now_ms())
                self._parked[source] = time.monotonic() + delay_ms / 1000
                self._has_time.notify()
            if source in self._ready:
                self._has_work.notify()

    def _watch(self) -> None:
        while self._wait_until_due():
            try:
                self._act()
            except StorageError:
                self._retry()
            except Exception:  # noqa: BLE001  # without its heartbeat the pool would be dead
                _report_failure()
                self._retry()

    def _retry(self) -> None:
        """Do all of it again in a moment."""
        with self._lock:
            self._beat_at = time.monotonic() + _STORE_RETRY_MS / 1000
            self._due = EpochMs(self._clock.now_ms() + _STORE_RETRY_MS)

    def _wait_until_due(self) -> bool:
        """Wait for the earliest time; False when the pool stops."""
        with self._lock:
            while not self._is_stopping:
                delay_s = self._delay_s()
                if delay_s <= 0:
                    return True
                self._has_time.wait(delay_s)
            return False

    def _delay_s(self) -> float:
        """Seconds until something is to be done."""
        times = [t for t in (self._due, self._trim_at) if t is not None]
        steady = [self._beat_at, *self._parked.values()]
        steady += [] if self._rescan_s is None else [self._rescan_at]
        until_steady = min(steady) - time.monotonic()
        return min([until_steady, *((t - self._clock.now_ms()) / 1000 for t in times)])

    def _act(self) -> None:
        self._beat()
        self._rescan()
        now = self._clock.now_ms()
        with self._lock:
            for source in [s for s, at in self._parked.items() if at <= time.monotonic()]:
                del self._parked[source]
                self._ready[source] = None
                self._has_work.notify()
            is_due = self._due is not None and self._due <= now
            is_trim = self._trim_at is not None and self._trim_at <= now
            self._due = None if is_due else self._due
            self._trim_at = None if is_trim else self._trim_at
        if is_due:
            owned = self._epochs
            try:
                self._engine.timers.fire_due(owned)
            except FencedError:
                self._rebalanced(GROUP)
            self._found((), self._engine.timers.next_due(owned))
        if is_trim:
            self._upkeep.run()

    def _beat(self) -> None:
        """Say that the pool lives, and learn what it owns."""
        if self._beat_at > time.monotonic():
            return
        # Set first: a rebalance that is told meanwhile brings it forward again.
        self._beat_at = time.monotonic() + MEMBER_TTL_MS / _BEATS_PER_TTL / 1000
        try:
            membership = self._store.heartbeat(GROUP, self._member)
        except FencedError:
            membership = self._store.join(GROUP, self._member, ttl_ms=MEMBER_TTL_MS)
        self._adopt(membership)

    def _rescan(self) -> None:
        if self._rescan_s is not None and self._rescan_at <= time.monotonic():
            self._rescan_at = time.monotonic() + self._rescan_s
            self._look()


def _report_failure() -> None:
    """Tell of the exception at hand as of one that ends a thread."""
    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
