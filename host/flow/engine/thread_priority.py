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


class Computing:
    """Watches runs. Thread-safe; its own thread exists only while there are runs to watch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = threading.Condition(self._lock)
        self._runs: dict[int, _Run] = {}
        self._watcher: threading.Thread | None = None

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run on the calling thread."""
        if sys.platform != "linux":
            yield
            return
        thread = threading.get_ident()
        with self._lock:
            self._runs[thread] = _Run(thread, threading.get_native_id())
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="computing", daemon=True)
                self._watcher.start()
            self._began.notify()
        try:
            yield
        finally:
            with self._lock:
                del self._runs[thread]
                self._began.notify()

    def _watch(self) -> None:
        with self._lock:
            while self._runs:
                # Lowered under the lock, so that a run that has ended is not affected.
                looks = [run.look() for run in self._runs.values()]
                self._began.wait(_LOOK_EVERY_S if any(looks) else _LOOK_SELDOM_S)
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
