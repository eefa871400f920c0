"""Lowers priorities: of guests' processes from their start, further for threads that compute long.

A process starts with a lower priority of the system than its host has, so that the host's own
threads come first. A thread of a process that goes on computing is lowered further: it gets the
processor mainly while no other thread is ready to run. Raising a priority needs rights that a host
seldom has, so a process that was lowered is replaced by a new one after an idle period. The host
does this from the kernel's data alone, without the process's help. Where Linux schedules sessions
against each other, priorities count within a session only: there the session of a process with a
lowered thread is lowered, too. Linux only.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

START_LOWER_BY = 5
"""Nice value added to every process from its start."""
LOWERED_BY = 10
"""Nice value added to a thread that computes for long, on top of that."""
COMPUTED_S_MAX = 0.1
MAY_COMPUTE = 0.2
"""The share of time for which a thread may compute without ever being lowered."""
REST_S = 1.0
"""Seconds without a run after which a lowered process is replaced by a new one."""
_LOOK_EVERY_S = 0.05
_NICE_MAX = 19
_PROCESSOR_CLOCK = 2
"""Linux's clock of the processor time of a process; see `clock_getcpuclockid` of its C library."""


@dataclass(slots=True)
class Use:
    """How much a thread has computed beyond its allowance. Pure, mutable.

    Attributes:
        at: seconds of a steady clock, at the last update.
        computed: total processor seconds of the thread at that time.
        beyond: processor seconds beyond its allowance.
    """

    at: float
    computed: float
    beyond: float = 0.0

    def is_too_much(self, now: float, computed: float, *, wants_more: bool) -> bool:
        """Update the account; returns whether the thread is to be lowered.

        Args:
            now: seconds of the steady clock.
            computed: total processor seconds of the thread.
            wants_more: whether it is ready to run. Time spent waiting for a processor earns no
                allowance.
        """
        earned = 0.0 if wants_more else MAY_COMPUTE * (now - self.at)
        self.beyond = max(0.0, self.beyond + computed - self.computed - earned)
        self.at, self.computed = now, computed
        return self.beyond > COMPUTED_S_MAX


class Computing(Protocol):
    """A process whose threads are watched."""

    is_lowered: bool

    @property
    def pid(self) -> int: ...


@dataclass(slots=True)
class _Seen:
    """The state of a process at the last check."""

    computed: float = 0.0
    threads: dict[int, Use] = field(default_factory=dict)


class Priorities:
    """Watches the processes of a pool, on a thread that runs from `start` to `close`.

    Args:
        busy: processes that have runs now.
    """

    def __init__(self, busy: Callable[[], Sequence[Computing]]) -> None:
        self._busy = busy
        self._seen: dict[int, _Seen] = {}
        self._has_runs = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._watch, name="guest-priorities", daemon=True)

    def start(self) -> None:
        if sys.platform == "linux":
            self._thread.start()

    def note_run(self) -> None:
        """A run has begun."""
        self._has_runs.set()

    def close(self) -> None:
        self._is_closed = True
        self._has_runs.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Lower threads that have computed for too long; returns whether anything runs."""
        busy = self._busy()
        self._seen = {p.pid: self._seen.get(p.pid) or _Seen() for p in busy}
        for process in busy:
            with suppress(OSError):  # it has ended, or the system does not permit it
                _look_at(process, self._seen[process.pid])
        return bool(busy)

    def _watch(self) -> None:
        while not self._is_closed:
            self._has_runs.wait()
            self._has_runs.clear()
            while self.look() and not self._is_closed:
                time.sleep(_LOOK_EVERY_S)


def lower_starter() -> None:
    """Lower the calling thread's priority; threads that it starts later inherit it."""
    if sys.platform == "linux":
        with suppress(OSError):
            usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + START_LOWER_BY)


def lower_started(pid: int) -> None:
    """Lower a new process's session against its host's, as `lower_starter` lowered its threads.

    Otherwise a process that takes the place of one that a guest ended competes with the host's
    own threads while it loads its modules.
    """
    if sys.platform == "linux":
        _set_session(pid, START_LOWER_BY)


def _look_at(process: Computing, seen: _Seen) -> None:
    computed = time.clock_gettime((~process.pid << 3) | _PROCESSOR_CLOCK)
    if computed == seen.computed:
        return  # one call for a process whose runs all wait
    seen.computed = computed
    lowest = os.getpriority(os.PRIO_PROCESS, os.getpid()) + START_LOWER_BY + LOWERED_BY
    now, threads = time.monotonic(), dict[int, Use]()
    for folder in Path(f"/proc/{process.pid}/task").iterdir():
        state, computed, nice = _thread(folder)
        thread = int(folder.name)
        use = threads[thread] = seen.threads.get(thread) or Use(now, computed)
        if use.is_too_much(now, computed, wants_more=state == "R") and nice < lowest:
            os.setpriority(os.PRIO_PROCESS, thread, lowest)
            process.is_lowered = True
            _lower_session(process.pid)
    seen.threads = threads


def _lower_session(pid: int) -> None:
    """Give the session of a process the priority of its lowered threads, against other sessions."""
    _set_session(pid, START_LOWER_BY + LOWERED_BY)


def _set_session(pid: int, lower_by: int) -> None:
    with suppress(OSError):  # the kernel does not schedule sessions
        nice = session_nice(os.getpid()) + lower_by
        _session(pid).write_text(str(min(nice, _NICE_MAX)), encoding="ascii")


def session_nice(pid: int) -> int:
    """Nice value of a process's session; `proc(5)`.

    A process whose ancestors never began a session is in the kernel's root group, of which the
    file tells nothing: it competes as itself, at the usual weight.

    Raises:
        OSError: there is no such process, or the kernel does not schedule sessions.
    """
    told = _session(pid).read_text(encoding="ascii").strip()
    return int(told.rpartition(" ")[2]) if told else 0


def _session(pid: int) -> Path:
    return Path(f"/proc/{pid}/autogroup")


def _thread(folder: Path) -> tuple[str, float, int]:
    """State, seconds computed and nice value of a thread; `proc_pid_stat(5)`."""
    text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return fields[0], ticks / os.sysconf("SC_CLK_TCK"), int(fields[16])
