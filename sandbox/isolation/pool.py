"""The guests' processes of a host: started on first use, bounded, and ended when idle."""

import queue
import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from sandbox.compiled_files import CompiledFile
from sandbox.isolation.errors import GuestProcessLostError
from sandbox.isolation.priority import REST_S, Priorities, lower_starter
from sandbox.isolation.process import Ending, GuestProcess, ProcessPlan, spawn
from sandbox.isolation.seal import Walls

_Started: TypeAlias = "Future[subprocess.Popen[bytes]]"
_Job: TypeAlias = tuple[Sequence[str], Sequence[int], _Started]


@dataclass(slots=True)
class _Place:
    process: GuestProcess
    runs: int
    since: float


class _Keeper:
    """A thread that starts processes and looks for idle ones.

    The kernel kills a process when the thread that started it ends, so that thread must stay alive.
    """

    def __init__(self, end_idle: Callable[[], None], seconds: float) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._end_idle = end_idle
        self._seconds = seconds
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._keep, name="guest-processes", daemon=True)
        self._thread.start()

    def spawn(self, words: Sequence[str], descriptors: Sequence[int]) -> "subprocess.Popen[bytes]":
        started: _Started = Future()
        with self._lock:
            if self._is_closed:
                raise GuestProcessLostError("the host stops")
            self._jobs.put((words, descriptors, started))
        return started.result()

    def close(self) -> None:
        """Start the processes that were already requested, then stop."""
        with self._lock:
            self._is_closed = True
            self._jobs.put(None)
        self._thread.join()

    def _keep(self) -> None:
        lower_starter()
        while True:
            try:
                job = self._jobs.get(timeout=self._seconds)
            except queue.Empty:
                self._end_idle()
                continue
            if job is None:
                return
            words, descriptors, started = job
            try:
                started.set_result(spawn(words, descriptors))
            except BaseException as failed:  # noqa: BLE001  # raised where it is waited for
                started.set_exception(failed)


class _Stay:
    """A run's place in a process; a `sandbox.isolation.calls.Stay`."""

    def __init__(self, pool: "ProcessPool", place: _Place) -> None:
        self._pool = pool
        self._place = place
        self.process = place.process

    @contextmanager
    def away(self) -> Iterator[None]:
        self._pool.count(self._place, -1)
        try:
            yield
        finally:
            self._pool.count(self._place, 1)


class ProcessPool:
    """At most `most` processes by key, the most recently used ones. Thread-safe.

    Args:
        most: the maximum; one more process evicts the least recently used idle one, or waits for an
            idle one.
        idle_seconds: a process without runs for so long is ended.
        plan: the configuration of a process.
        monotonic: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        *,
        most: int,
        idle_seconds: float,
        plan: ProcessPlan,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self._most = most
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._starting: set[str] = set()
        self._evicted: list[tuple[GuestProcess, Ending]] = []
        self._is_closed = False
        self._keeper = _Keeper(self.end_idle, max(idle_seconds / 4, 0.1))
        self._priorities = Priorities(self._busy)
        self._priorities.start()

    def processes(self) -> Sequence[tuple[str, GuestProcess]]:
        """Keys and processes, the least recently used first."""
        with self._changed:
            return tuple((key, place.process) for key, place in self._places.items())

    def probe(self) -> Walls:
        """The walls of a process on this system, measured with a process started for this purpose.

        Raises:
            GuestProcessLostError: the process cannot be started.
        """
        process = GuestProcess((), self.plan, self._keeper.spawn)
        process.kill(Ending.CLOSED)
        return process.walls

    @contextmanager
    def visit(self, key: str, codes: Callable[[], Sequence[CompiledFile]]) -> Iterator[_Stay]:
        """Use the process of `key` for the length of the block.

        Args:
            key: the process's owner; only its code ever runs in the process.
            codes: returns the code for a new process, if one has to be started; closed afterwards.

        Raises:
            GuestProcessLostError: it cannot be started, or every process is busy for too long.
            SandboxError: what `codes` raises.
        """
        place = self._find(key) or self._start(key, codes)
        self._priorities.note_run()
        try:
            yield _Stay(self, place)
        finally:
            self.count(place, -1)

    def count(self, place: _Place, change: int) -> None:
        """Record that a run at `place` has begun, ended, started to wait or resumed."""
        with self._changed:
            place.runs += change
            place.since = self._monotonic()
            self._changed.notify_all()
        if change > 0:
            self._priorities.note_run()

    def end_idle(self) -> None:
        """End the processes that have had no run for too long."""
        oldest = self._monotonic() - self._idle_seconds
        with self._changed:
            idle = [k for k, p in self._places.items() if p.runs == 0 and p.since <= oldest]
            gone = [self._places.pop(key) for key in idle]
            self._changed.notify_all()
        for place in gone:
            place.process.kill(Ending.IDLE)

    def close(self) -> None:
        """End all processes; runs in them are lost."""
        with self._changed:
            self._is_closed = True
            gone = list(self._places.values())
            self._places.clear()
            self._changed.notify_all()
        for place in gone:
            place.process.kill(Ending.CLOSED)
        self._keeper.close()
        self._priorities.close()

    def _busy(self) -> Sequence[GuestProcess]:
        with self._changed:
            return [place.process for place in self._places.values() if place.runs]

    def _find(self, key: str) -> _Place | None:
        """The live process of `key`, with one more run; None if the caller has to start it."""
        end = self._monotonic() + self.plan.start_seconds
        with self._changed:
            while not self._is_closed:
                place = self._places.get(key)
                if place is not None:
                    ending = self._ending(place)
                    if ending is None:
                        place.runs += 1
                        self._places.move_to_end(key)
                        return place
                    self._evicted.append((self._places.pop(key).process, ending))
                if key not in self._starting and self._make_room():
                    self._starting.add(key)
                    return None
                if not self._changed.wait(max(end - self._monotonic(), 0.0)):
                    raise GuestProcessLostError(f"all {self._most} processes of guests are busy")
        raise GuestProcessLostError("the host stops")

    def _ending(self, place: _Place) -> Ending | None:
        """Why a process accepts no more runs; None if it does."""
        if not place.process.is_alive:
            return Ending.CLOSED
        has_rested = place.runs == 0 and place.since <= self._monotonic() - REST_S
        return Ending.LOWERED if place.process.is_lowered and has_rested else None

    def _make_room(self) -> bool:
        """Make room for one more process, by ending an idle one if necessary."""
        if len(self._places) + len(self._starting) < self._most:
            return True
        unused = next((key for key, place in self._places.items() if place.runs == 0), None)
        if unused is None:
            return False
        self._evicted.append((self._places.pop(unused).process, Ending.EVICTED))
        return True

    def _start(self, key: str, codes: Callable[[], Sequence[CompiledFile]]) -> _Place:
        with self._changed:
            evicted, self._evicted = self._evicted, []
        for unused, why in evicted:
            unused.kill(why)
        try:
            process = self._spawned(codes())
        except BaseException:
            with self._changed:
                self._starting.discard(key)
                self._changed.notify_all()
            raise
        place = _Place(process, 1, self._monotonic())
        with self._changed:
            self._starting.discard(key)
            self._changed.notify_all()
            if not self._is_closed:
                self._places[key] = place
                return place
        process.kill(Ending.CLOSED)
        raise GuestProcessLostError("the host stops")

    def _spawned(self, codes: Sequence[CompiledFile]) -> GuestProcess:
        try:
            return GuestProcess(codes, self.plan, self._keeper.spawn)
        finally:
            for code in codes:
                with suppress(OSError):
                    code.close()
