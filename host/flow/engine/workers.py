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

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from host.domain.errors import StorageError
from host.domain.ids import EpochMs, ShortHash
from host.flow.core.dispatch import REST_FACTOR, Job
from host.flow.core.messages import GROUP, WORK_TOPICS
from host.flow.engine.engine import FlowEngine
from host.flow.engine.flow_time import FlowTime
from host.flow.engine.pool_state import STORE_RETRY_MS, PoolState, report_failure
from host.flow.engine.pool_threads import PoolThreads
from host.flow.engine.pool_turns import PoolTurns
from host.flow.engine.tick import Tick
from host.flow.engine.upkeep import Upkeep
from host.ports.bus import Committed, WorkQueue
from host.ports.clock import Clock
from host.ports.groups import FencedError, Membership
from host.ports.units import StateStore
from host.ports.work import WorkSource

TRIM_AFTER_MS = 5_000
MEMBER_TTL_MS = 15_000
"""A pool without a heartbeat for this time is removed; known deaths are reported at once."""
SPARE_THREADS = 8
_BEATS_PER_TTL = 3
TICK_MS = 1_000
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
        rest: of a node's slot after a turn, see `dispatch.rest_factor`.
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
        rest: float = REST_FACTOR,
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
        self._pool = PoolState(threads, rest)
        self._threads = PoolThreads(self._pool, self._execute, threads=threads, spare=spare)
        self._turns = PoolTurns(self._pool, engine, clock, self._threads.wake)
        self._generation = 0
        self._due: EpochMs | None = None
        self._tick = Tick()
        self._trim_at: EpochMs | None = None
        # By the monotonic clock: heartbeats must be sent even if the time of day is set back.
        self._beat_at = self._rescan_at = time.monotonic()
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
        with self._pool.lock:
            self._threads.start()
        self._watcher.start()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Let running steps finish, end the threads and leave the group.

        Returns:
            False if a step was still running after `timeout_s`; its work is not lost.
        """
        with self._pool.lock:
            self._pool.is_stopping = True
            self._pool.has_work.notify_all()
            self._pool.has_time.notify_all()
            threads = [*self._threads.all(), self._watcher]
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

    def _execute(self, job: Job) -> None:
        self._turns.execute(job)

    def _committed(self, committed: Committed) -> None:
        due = None
        for place, at in committed.due.items():
            if place.group == GROUP and place.partition in self._pool.epochs:
                due = at if due is None else min(due, at)
        if committed.work or due is not None:
            self._found(committed.work, due)

    def _found(self, work: Iterable[WorkQueue], due: EpochMs | None) -> None:
        with self._pool.lock:
            owned = [
                queue
                for queue in work
                if queue.topic in WORK_TOPICS and queue.partition in self._pool.epochs
            ]
            self._pool.dispatch.offer(owned)
            self._threads.wake()
            if due is not None and (self._due is None or due < self._due):
                self._due = due
                self._pool.has_time.notify()
            if owned and _LEADER_PARTITION in self._pool.epochs and self._trim_at is None:
                self._trim_at = EpochMs(self._clock.now_ms() + TRIM_AFTER_MS)
                self._pool.has_time.notify()

    def _rebalanced(self, group: str) -> None:
        if group == GROUP:
            with self._pool.lock:
                self._beat_at = time.monotonic()
                self._pool.has_time.notify()

    def _adopt(self, membership: Membership) -> None:
        """Continue with the partitions that the pool owns now.

        The keys that are set aside in them are loaded before any of their work is done.
        """
        if membership.generation <= self._generation:
            return
        self._engine.adopt(membership.epochs)
        with self._pool.lock:
            self._generation = membership.generation
            self._pool.epochs = membership.epochs
            self._pool.dispatch.keep(self._pool.epochs)
            self._due = None
            if _LEADER_PARTITION not in self._pool.epochs:
                self._trim_at = None
        self._load_pending()

    def _load_pending(self) -> None:
        """Load the pending work from the store; later commits are notified."""
        self._found(self._engine.ready(), self._engine.timers.next_due(self._pool.epochs))
        with self._pool.lock:
            self._pool.has_time.notify()

    def _watch(self) -> None:
        while self._wait_until_due():
            try:
                self._act()
            except StorageError:
                self._retry()
            except BaseException:  # noqa: BLE001  # without its heartbeat the pool would be dead
                report_failure()
                self._retry()

    def _retry(self) -> None:
        """Repeat everything after a short delay."""
        with self._pool.lock:
            self._beat_at = time.monotonic() + STORE_RETRY_MS / 1000
            self._due = EpochMs(self._clock.now_ms() + STORE_RETRY_MS)

    def _wait_until_due(self) -> bool:
        """Wait for the earliest due time; False if the pool stops."""
        with self._pool.lock:
            while not self._pool.is_stopping:
                self._threads.hire_missing()
                delay_s = self._delay_s()
                if delay_s <= 0:
                    return True
                self._pool.has_time.wait(delay_s)
            return False

    def _delay_s(self) -> float:
        """Seconds until the next due time."""
        times = (self._trim_at, self._engine.asides.next_due())
        # At least every second: a longer gap shows that the process was stopped.
        steady = [self._beat_at, time.monotonic() + TICK_MS / 1000]
        steady += [] if self._rescan_s is None else [self._rescan_at]
        held = self._pool.dispatch.next_release()
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
        self._engine.resume()
        now = self._clock.now_ms()
        with self._pool.lock:
            released = self._pool.dispatch.release(time.monotonic())
            self._pool.dispatch.offer_keys(k for k in released if self._engine.may_be_aside(k))
            self._turns.offer_due()
            self._threads.wake()
            is_due = self._due is not None and self._due <= now and self._tick.wait_s() <= 0
            is_trim = self._trim_at is not None and self._trim_at <= now
            self._due = None if is_due else self._due
            self._trim_at = None if is_trim else self._trim_at
        if is_due:
            owned = self._pool.epochs
            self._tick.begin()
            try:
                self._engine.timers.fire_due(owned, self._charge)
            except FencedError:
                self._rebalanced(GROUP)
            self._found((), self._engine.timers.next_due(owned))
        if is_trim and self._upkeep is not None:
            self._upkeep.run()

    def _charge(self, node: ShortHash, cost_ms: float) -> None:
        """Charge a node with time of this thread as with that of its own turns."""
        with self._pool.lock:
            self._pool.dispatch.turns.charge(node, cost_ms)

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
            self._flow_time.share(self._store, self._pool.epochs)
        except FencedError:
            self._rebalanced(GROUP)
        self._shared_ms = self._flow_time.shift_ms

    def _rescan(self) -> None:
        if self._rescan_s is not None and self._rescan_at <= time.monotonic():
            self._rescan_at = time.monotonic() + self._rescan_s
            self._load_pending()
