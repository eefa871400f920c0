"""Lowers the scheduling priority of threads whose guests compute for a long time.

A guest cannot be removed from its thread, but on Linux the priority of a single thread can be
lowered from outside while it runs. A thread that has used 0.1 seconds of CPU in one run is lowered:
it then runs almost only when the CPU is otherwise idle. Raising the priority again needs privileges
that a host seldom has, so a lowered thread ends after its run, and a new one replaces it. On other
systems nothing is lowered.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOWERED_BY = 10
COMPUTED_S_MAX = 0.1
_LOOK_EVERY_S = 0.05
_LOOK_SELDOM_S = 1.0
"""Interval while no watched thread computes: parked guests stay on their threads."""
_IDLE_LOOKS = 20
"""Looks that find nothing to do before the watching thread ends, or looks seldom: waking it for
each run would cost a short one as much as its own work."""


class Computing:
    """Watches runs. Thread-safe; its own thread ends about a second after the last of them.

    Attributes:
        wakings: how often a run had to start that thread, or to wake it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = threading.Condition(self._lock)
        self._runs: dict[int, _Run] = {}
        self._watcher: threading.Thread | None = None
        self._is_seldom = False
        self.wakings = 0

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run on the calling thread.

        The main thread, on which tests of CorDapps and tools run flows, is not watched: nothing can
        replace it, and its priority is that of the process, from which all others are counted.
        """
        if sys.platform != "linux" or threading.current_thread() is threading.main_thread():
            yield
            return
        thread = threading.get_ident()
        with self._lock:
            self._runs[thread] = _Run(thread, threading.get_native_id())
            self._have_watched()
        try:
            yield
        finally:
            with self._lock:
                del self._runs[thread]

    def _have_watched(self) -> None:
        """Start the watching thread, or wake it if it looks seldom. The caller holds the lock."""
        if self._watcher is None:
            self.wakings += 1
            self._watcher = threading.Thread(target=self._watch, name="computing", daemon=True)
            self._watcher.start()
        elif self._is_seldom:
            self.wakings += 1
            self._is_seldom = False
            self._began.notify()

    def _watch(self) -> None:
        idle = 0
        with self._lock:
            while self._runs or idle < _IDLE_LOOKS:
                # Lowered under the lock, so that a run that has ended is not affected.
                looks = [run.look() for run in self._runs.values()]
                idle = 0 if any(looks) else idle + 1
                self._is_seldom = idle >= _IDLE_LOOKS
                self._began.wait(_LOOK_SELDOM_S if self._is_seldom else _LOOK_EVERY_S)
            self._watcher = None


class _Run:
    """A run on a thread, and its CPU time."""

    def __init__(self, thread: int, native: int) -> None:
        self._clock = time.pthread_getcpuclockid(thread)
        self._native = native
        self._began_at = self._seen_at = time.clock_gettime(self._clock)
        self._is_lowered = False

    def look(self) -> bool:
        """Lower the thread if it has computed for too long; returns whether it computes at all."""
        now = time.clock_gettime(self._clock)
        is_busy, self._seen_at = now > self._seen_at, now
        if now - self._began_at > COMPUTED_S_MAX and not self._is_lowered:
            self._is_lowered = True
            with suppress(OSError):
                usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
                os.setpriority(os.PRIO_PROCESS, self._native, usual + LOWERED_BY)
        return is_busy


def is_lowered() -> bool:
    """Whether the calling thread was lowered: then it should end and be replaced."""
    if sys.platform != "linux":
        return False
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    return own > os.getpriority(os.PRIO_PROCESS, os.getpid())
