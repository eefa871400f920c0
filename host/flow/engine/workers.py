"""A pool of threads that process the work of nodes in turns, and one thread for due times.

The pool is a member of the flow group and does the work of the partitions that it owns; other
members may be pools of other processes. Nodes take turns (`host.flow.core.turns`) over all
partitions:
`threads` steps run at once, and no more than that of one node. When long steps occupy all of them,
spare threads, up to a bound, serve nodes without a running step: so no node can delay another one
by occupying threads, even if it acquired them while no other node waited. A step that has only its
commit left does not count as running: another one begins, and its commit joins the same
synchronisation of the disk. Idle threads wait; there is no polling, except for a slow rescan if
other processes also write to the store.
"""

import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.flow.core.aside import WorkKey
from host.flow.core.dispatch import COMMITTING_MAX, Dispatch, Job
from host.flow.core.messages import GROUP, WORK_TOPICS
from host.flow.engine.engine import FlowEngine
from host.flow.engine.flow_time import FlowTime
from host.flow.engine.thread_priority import is_lowered
from host.flow.engine.tick import Tick
from host.flow.engine.upkeep import Upkeep
from host.ports.bus import Committed, WorkQueue
from host.ports.clock import Clock
from host.ports.groups import FencedError, Membership
from host.ports.units import StateStore
from host.ports.work import WorkRecord, WorkSource

TRIM_AFTER_MS = 5_000
MEMBER_TTL_MS = 15_000
"""A pool without a heartbeat for this time is removed; known deaths are reported at once."""
SPARE_THREADS = 8
_BEATS_PER_TTL = 3
TICK_MS = 1_000
_STORE_RETRY_MS = 1_000
_LASTING_S = 0.005
"""After a step has run for this time, a waiting node gets a spare thread."""
_LEADER_PARTITION = 0
"""The owner of this partition runs the upkeep of logs, for all members."""


class PoolStore(WorkSource, StateStore, Protocol):
    """The store of a pool: work, and the shared shift of the clock."""


class FlowWorkers:
    """Runs an engine until stopped.

    Args:
        engine: processes the work.
        units: the engine's store; its commits wake the threads.
        clock: real time; a simulated clock does not wake the timer thread.
        threads: steps that may run at once, and the most of one node; at least 1.
        spare: maximum additional steps, each of a node without a running step.
        member: the pool's name in the group, never used before.
        rescan_ms: interval of scans for work of other processes whose notification was lost; None
            if there are no other processes.
        upkeep: of topics that flows do not consume; by default everything is kept.
        flow_time: the clock, if its shift is shared with other processes.
    """

    def __init__(
        self,
        *,
        engine: FlowEngine,
        units: PoolStore,
        clock: Clock,
        threads: int = 2,
        spare: int = SPARE_THREADS,
        member: str = "flow",
        rescan_ms: int | None = None,
        upkeep: Upkeep | None = None,
        flow_time: FlowTime | None = None,
    ) -> None:
        self._engine = engine
        self._store = units
        self._clock = clock
        self._member = member
        self._upkeep = upkeep
        self._flow_time = flow_time
        self._shared_ms = 0
        self._rescan_s = None if rescan_ms is None else rescan_ms / 1000
        self._shared, self._running_max = threads, threads + spare
        self._most = self._running_max + COMMITTING_MAX
        lock = threading.Lock()
        self._has_work = threading.Condition(lock)
        self._has_time = threading.Condition(lock)
        self._lock = lock
        self._epochs: Mapping[int, int] = {}
        self._generation = 0
        self._dispatch = Dispatch(threads)
        self._due: EpochMs | None = None
        self._tick = Tick()
        self._trim_at: EpochMs | None = None
        # By the monotonic clock: heartbeats must be sent even if the time of day is set back.
        self._beat_at = self._rescan_at = time.monotonic()
        self._is_stopping = False
        self._idle = self._missing = 0
        self._is_timed = False
        self._workers: set[threading.Thread] = set()
        self._watcher = threading.Thread(target=self._watch, name="flow-time", daemon=True)

    def start(self) -> None:
        """Join the group, load the pending work from the store, and start the threads.

        Raises:
            StorageError: the store cannot be used.
        """
        self._store.on_commit(self._committed)
        self._store.on_rebalance(self._rebalanced)
        self._adopt(self._store.join(GROUP, self._member, ttl_ms=MEMBER_TTL_MS))
        self._beat_at = time.monotonic() + MEMBER_TTL_MS / _BEATS_PER_TTL / 1000
        self._share_shift()
        with self._lock:
            for _ in range(self._shared):
                self._hire()
        self._watcher.start()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Let running steps finish, end the threads and leave the group.

        Returns:
            False if a step was still running after `timeout_s`; its work is not lost.
        """
        with self._lock:
            self._is_stopping = True
            self._has_work.notify_all()
            self._has_time.notify_all()
            threads = [*self._workers, self._watcher]
        end = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            # Leaving now would make its commit fail, although it may finish before the process
            # ends.
            return False
        with suppress(StorageError):
            self._store.leave(GROUP, self._member)
        return True

    def _committed(self, committed: Committed) -> None:
        due = None
        for place, at in committed.due.items():
            if place.group == GROUP and place.partition in self._epochs:
                due = at if due is None else min(due, at)
        if committed.work or due is not None:
            self._found(committed.work, due)

    def _found(self, work: Iterable[WorkQueue], due: EpochMs | None) -> None:
        with self._lock:
            owned = [
                queue
                for queue in work
                if queue.topic in WORK_TOPICS and queue.partition in self._epochs
            ]
            self._dispatch.offer(owned)
            self._call()
            if due is not None and (self._due is None or due < self._due):
                self._due = due
                self._has_time.notify()
            if owned and _LEADER_PARTITION in self._epochs and self._trim_at is None:
                self._trim_at = EpochMs(self._clock.now_ms() + TRIM_AFTER_MS)
                self._has_time.notify()

    def _rebalanced(self, group: str) -> None:
        if group == GROUP:
            with self._lock:
                self._beat_at = time.monotonic()
                self._has_time.notify()

    def _adopt(self, membership: Membership) -> None:
        """Continue with the partitions that the pool owns now.

        The keys that are set aside in them are loaded before any of their work is done.
        """
        if membership.generation <= self._generation:
            return
        self._engine.adopt(membership.epochs)
        with self._lock:
            self._generation = membership.generation
            self._epochs = membership.epochs
            self._dispatch.keep(self._epochs)
            self._due = None
            if _LEADER_PARTITION not in self._epochs:
                self._trim_at = None
        self._look()

    def _look(self) -> None:
        """Load the pending work from the store; later commits are notified."""
        self._found(self._engine.ready(), self._engine.timers.next_due(self._epochs))
        with self._lock:
            self._has_time.notify()

    def _call(self) -> None:
        """Wake a thread if a turn is pending; it wakes the next one. The caller holds the lock.

        For a node that must wait for a shared thread, one thread with a timeout is enough.
        """
        running = self._dispatch.running
        is_full = running >= self._shared
        if not self._idle or running >= self._running_max or (is_full and self._is_timed):
            return
        if self._dispatch.has_job(only_fresh=is_full):
            self._has_work.notify()

    def _hire(self) -> None:
        """Start a thread, or retry later if the system has none. The caller holds the lock."""
        thread = threading.Thread(target=self._work, name="flow", daemon=True)
        self._workers.add(thread)
        try:
            thread.start()
        except RuntimeError:  # "can't start new thread": a running thread or the heartbeat retries
            self._workers.discard(thread)
            self._missing += 1

    def _work(self) -> None:
        try:
            while (job := self._claim()) is not None:
                self._do(job)
                if is_lowered():
                    self._replace()
                    break
        finally:
            with self._lock:
                self._workers.discard(threading.current_thread())

    def _replace(self) -> None:
        """Let another thread replace the calling one, which is going to end.

        This thread cannot start it: threads inherit the priority of their creator.
        """
        with self._lock:
            self._workers.discard(threading.current_thread())
            self._missing += 1
            self._has_time.notify()

    def _claim(self) -> Job | None:
        """Wait for a turn; None if the pool stops.

        Spare threads started for long steps are kept: otherwise each such step would start one.
        """
        with self._lock:
            self._idle += 1
            try:
                while not self._is_stopping:
                    wait_s = self._wait_s()
                    if wait_s <= 0 and self._dispatch.running < self._running_max:
                        only_fresh = self._dispatch.running >= self._shared
                        job = self._dispatch.next(time.monotonic(), only_fresh=only_fresh)
                        if job is not None:
                            self._call()
                            return job
                    self._sleep(wait_s)
                self._call()
                return None
            finally:
                self._idle -= 1
                if not self._idle and not self._is_stopping and len(self._workers) < self._most:
                    # One thread must be available for a new node while all others run long steps.
                    self._hire()

    def _sleep(self, wait_s: float) -> None:
        """Wait for a notification; one of the threads waits with a timeout for the next turn."""
        if wait_s <= 0 or self._is_timed:
            self._has_work.wait()
            return
        self._is_timed = True
        try:
            self._has_work.wait(wait_s)
        finally:
            self._is_timed = False

    def _wait_s(self) -> float:
        """How long to wait for a shared thread before a spare one takes the next turn."""
        if self._dispatch.running < self._shared or not self._dispatch.has_job(only_fresh=True):
            return 0.0
        youngest = self._dispatch.youngest()
        return 0.0 if youngest is None else youngest + _LASTING_S - time.monotonic()

    def _do(self, job: Job) -> None:
        """Execute a turn. Any exception affects only the key or the queue of the turn."""
        key, records = job.key, tuple[WorkRecord, ...]()
        try:
            if key is None:
                key, records = self._look_into(job)
            if key is not None:
                job.is_done = self._do_key(job, key, records)
        except BaseException as exc:  # noqa: BLE001  # a thread that ended would be missed by all
            self._unforeseen(job, key, records, exc)
        finally:
            self._end(job)

    def _look_into(self, job: Job) -> tuple[WorkKey | None, tuple[WorkRecord, ...]]:
        look = self._engine.take(job.queue, job.skip)
        records = tuple(look.records)
        key = WorkKey(job.queue, records[0].key) if records else None
        with self._lock:
            is_free = self._dispatch.found(job, key, more=look.more)
            self._call()
        return (key, records) if is_free else (None, ())

    def _do_key(self, job: Job, key: WorkKey, records: tuple[WorkRecord, ...]) -> bool:
        """Work on a key; returns whether its records are known to have left their queue."""
        epoch = self._epochs.get(key.queue.partition)
        if epoch is None:
            return False
        outcome = self._engine.work(key, records, epoch, lambda: self._commit(job))
        if outcome.hold_ms is not None:
            self._hold(key, outcome.hold_ms)
        return outcome.is_done

    def _commit(self, job: Job) -> None:
        """Let another step begin: this thread only waits until the step's commit is durable."""
        with self._lock:
            self._dispatch.commit(job, time.monotonic())
            self._call()

    def _unforeseen(
        self,
        job: Job,
        key: WorkKey | None,
        records: tuple[WorkRecord, ...],
        failure: BaseException,
    ) -> None:
        """Handle failures outside of records: an unreadable queue, an exception that ends threads.

        SystemExit and panics of extension modules are not subclasses of Exception, but can be
        raised by a step; they must not stop the pool.
        """
        try:
            if key is None or not isinstance(failure, StorageError):
                _report_failure()
            if key is None:
                with self._lock:
                    self._dispatch.hold_queue(job.queue, time.monotonic() + _STORE_RETRY_MS / 1000)
                    self._has_time.notify()
                return
            epoch = self._epochs.get(key.queue.partition)
            outcome = self._engine.setbacks.failed(key, records, failure, epoch)
            if outcome.hold_ms is not None:
                self._hold(key, outcome.hold_ms)
        except BaseException:  # noqa: BLE001  # as above
            _report_failure()
            if key is not None:
                self._hold(key, _STORE_RETRY_MS)

    def _hold(self, key: WorkKey, millis: int) -> None:
        with self._lock:
            self._dispatch.hold(key, time.monotonic() + millis / 1000)
            self._has_time.notify()

    def _end(self, job: Job) -> None:
        with self._lock:
            self._dispatch.end(job, time.monotonic())
            self._offer_due()  # this thread takes the next turn itself
            if self._engine.asides.next_due() is not None:
                self._has_time.notify()

    def _offer_due(self) -> None:
        """Offer the keys that are due. The caller holds the lock."""
        due = self._engine.asides.due(self._clock.now_ms(), self._epochs.keys())
        self._dispatch.offer_keys(due)

    def _watch(self) -> None:
        while self._wait_until_due():
            try:
                self._act()
            except StorageError:
                self._retry()
            except BaseException:  # noqa: BLE001  # without its heartbeat the pool would be dead
                _report_failure()
                self._retry()

    def _retry(self) -> None:
        """Repeat everything after a short delay."""
        with self._lock:
            self._beat_at = time.monotonic() + _STORE_RETRY_MS / 1000
            self._due = EpochMs(self._clock.now_ms() + _STORE_RETRY_MS)

    def _wait_until_due(self) -> bool:
        """Wait for the earliest due time; False if the pool stops."""
        with self._lock:
            while not self._is_stopping:
                missing, self._missing = self._missing, 0
                for _ in range(min(missing, self._most - len(self._workers))):
                    self._hire()
                delay_s = self._delay_s()
                if delay_s <= 0:
                    return True
                self._has_time.wait(delay_s)
            return False

    def _delay_s(self) -> float:
        """Seconds until the next due time."""
        times = (self._trim_at, self._engine.asides.next_due())
        # At least every second: a longer gap shows that the process was stopped.
        steady = [self._beat_at, time.monotonic() + TICK_MS / 1000]
        steady += [] if self._rescan_s is None else [self._rescan_at]
        held = self._dispatch.next_release()
        steady += [] if held is None else [held]
        until_steady = min(steady) - time.monotonic()
        now = self._clock.now_ms()
        waits = [until_steady, *((t - now) / 1000 for t in times if t is not None)]
        if self._due is not None:
            waits.append(max((self._due - now) / 1000, self._tick.wait_s()))
        return min(waits)

    def _act(self) -> None:
        """Do everything that is due now."""
        self._beat()
        if self._flow_time is not None and self._flow_time.shift_ms != self._shared_ms:
            self._share_shift()
        self._rescan()
        now = self._clock.now_ms()
        with self._lock:
            released = self._dispatch.release(time.monotonic())
            self._dispatch.offer_keys(k for k in released if self._engine.may_be_aside(k))
            self._offer_due()
            self._call()
            is_due = self._due is not None and self._due <= now and self._tick.wait_s() <= 0
            is_trim = self._trim_at is not None and self._trim_at <= now
            self._due = None if is_due else self._due
            self._trim_at = None if is_trim else self._trim_at
        if is_due:
            owned = self._epochs
            self._tick.begin()
            try:
                self._engine.timers.fire_due(owned)
            except FencedError:
                self._rebalanced(GROUP)
            self._found((), self._engine.timers.next_due(owned))
        if is_trim and self._upkeep is not None:
            self._upkeep.run()

    def _beat(self) -> None:
        """Send the pool's heartbeat, and read its partitions."""
        if self._beat_at > time.monotonic():
            return
        # Set first: a rebalance that is notified meanwhile sets an earlier time.
        self._beat_at = time.monotonic() + MEMBER_TTL_MS / _BEATS_PER_TTL / 1000
        try:
            membership = self._store.heartbeat(GROUP, self._member)
        except FencedError:
            membership = self._store.join(GROUP, self._member, ttl_ms=MEMBER_TTL_MS)
        self._adopt(membership)
        self._share_shift()

    def _share_shift(self) -> None:
        """Synchronise the clock of timeouts with the other processes."""
        if self._flow_time is None:
            return
        try:
            self._flow_time.share(self._store, self._epochs)
        except FencedError:
            self._rebalanced(GROUP)
        self._shared_ms = self._flow_time.shift_ms

    def _rescan(self) -> None:
        if self._rescan_s is not None and self._rescan_at <= time.monotonic():
            self._rescan_at = time.monotonic() + self._rescan_s
            self._look()


def _report_failure() -> None:
    """Report the current exception like one that ends a thread."""
    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
