"""The threads of a pool: each waits for a turn of a node, executes it, and waits for the next one.

`threads` turns run at once. When long ones occupy all of these, spare threads, up to a bound, serve
nodes without a running turn: so no node can delay another one by occupying threads, even if it
acquired them while no other node waited.
"""

import threading
import time
from collections.abc import Callable, Sequence

from host.flow.core.dispatch import COMMITTING_MAX, Job
from host.flow.engine.pool_state import PoolState
from host.flow.engine.thread_priority import is_lowered

_LASTING_S = 0.005
"""After a step has run for this time, a waiting node gets a spare thread."""


class PoolThreads:
    """Starts threads as they are needed, and keeps them until the pool stops.

    Args:
        pool: what they share with the other parts of the pool.
        execute: executes a turn; raises nothing.
        threads: turns that may run at once.
        spare: maximum additional turns, each of a node without a running one.
    """

    def __init__(
        self, pool: PoolState, execute: Callable[[Job], None], *, threads: int, spare: int
    ) -> None:
        self._pool = pool
        self._execute = execute
        self._shared, self._running_max = threads, threads + spare
        self._most = self._running_max + COMMITTING_MAX
        self._idle = self._missing = 0
        self._is_timed = False
        self._workers: set[threading.Thread] = set()

    def start(self) -> None:
        """Start the threads that are always there. The caller holds the lock."""
        for _ in range(self._shared):
            self._hire()

    def all(self) -> Sequence[threading.Thread]:
        """The threads that have not ended. The caller holds the lock."""
        return list(self._workers)

    def wake(self) -> None:
        """Wake a thread if a turn is pending; it wakes the next one. The caller holds the lock.

        For a node that must wait for a shared thread, one thread with a timeout is enough.
        """
        running = self._pool.dispatch.running
        is_full = running >= self._shared
        if not self._idle or running >= self._running_max or (is_full and self._is_timed):
            return
        if self._pool.dispatch.has_job(only_fresh=is_full):
            self._pool.has_work.notify()

    def hire_missing(self) -> None:
        """Start threads for those that ended or could not be started. The caller holds the lock."""
        missing, self._missing = self._missing, 0
        for _ in range(min(missing, self._most - len(self._workers))):
            self._hire()

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
                self._execute(job)
                if is_lowered():
                    self._replace()
                    break
        finally:
            with self._pool.lock:
                self._workers.discard(threading.current_thread())

    def _replace(self) -> None:
        """Let another thread replace the calling one, which is going to end.

        This thread cannot start it: threads inherit the priority of their creator.
        """
        with self._pool.lock:
            self._workers.discard(threading.current_thread())
            self._missing += 1
            self._pool.has_time.notify()

    def _claim(self) -> Job | None:
        """Wait for a turn; None if the pool stops.

        Spare threads started for long steps are kept: otherwise each such step would start one.
        """
        with self._pool.lock:
            self._idle += 1
            try:
                while not self._pool.is_stopping:
                    wait_s = self._wait_s()
                    if wait_s <= 0 and self._pool.dispatch.running < self._running_max:
                        only_fresh = self._pool.dispatch.running >= self._shared
                        job = self._pool.dispatch.next(time.monotonic(), only_fresh=only_fresh)
                        if job is not None:
                            self.wake()
                            return job
                    self._sleep(wait_s)
                self.wake()
                return None
            finally:
                self._idle -= 1
                is_needed = not self._idle and not self._pool.is_stopping
                if is_needed and len(self._workers) < self._most:
                    # One thread must be available for a new node while all others run long steps.
                    self._hire()

    def _sleep(self, wait_s: float) -> None:
        """Wait for a notification; one of the threads waits with a timeout for the next turn."""
        if wait_s <= 0 or self._is_timed:
            self._pool.has_work.wait()
            return
        self._is_timed = True
        try:
            self._pool.has_work.wait(wait_s)
        finally:
            self._is_timed = False

    def _wait_s(self) -> float:
        """How long to wait for a shared thread before a spare one takes the next turn."""
        dispatch = self._pool.dispatch
        if dispatch.running < self._shared or not dispatch.has_job(only_fresh=True):
            return 0.0
        youngest = dispatch.youngest()
        return 0.0 if youngest is None else youngest + _LASTING_S - time.monotonic()
