"""Suspended guests that are kept in memory, so that a flow's next step need not replay them.

A kept guest is blocked inside a host call, on its own thread. Wraps any adapter of `FlowGuests`
whose runs can be paused; runs of other adapters end when they are suspended, as without this class.

A guest that computes for long has a thread of low priority, and such a thread must not hold what
others wait for: the interpreter, or the writer of the store. So the thread that waits for its
outcome, whose priority is the usual one, executes its host calls from then on, and reads its long
texts.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

from host.flow.engine.thread_priority import is_lowered
from host.ports.guest import (
    FlowGuests,
    FlowRun,
    GuestKilledError,
    GuestOutcome,
    HostCallHandler,
    RunControl,
    SuspendedRun,
    SuspendRun,
    Usage,
)

T = TypeVar("T")
Result: TypeAlias = GuestOutcome | BaseException
Work: TypeAlias = Callable[[], None]
"""A host call for the waiting thread."""
Job: TypeAlias = Callable[[], None]

_FREE_MAX = 8
"""Number of idle threads that are kept for later guests."""


class StickyFlows:
    """`FlowGuests` whose suspended runs can be resumed; the caller must resume or drop each."""

    def __init__(self, guests: FlowGuests) -> None:
        self._guests = guests
        self._threads = _Threads()

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        """Run a flow on a thread of its own; see `host.ports.guest.FlowGuests.run`."""
        kept = _Run(host)
        self._threads.begin(lambda: kept.perform(lambda: self._guests.run(run, kept)))
        return kept.outcome()

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for idle threads to end. Guests that still run or wait keep their threads."""
        self._threads.close(timeout_s)


class _Run:
    """A run on its thread: the handler of its host calls there, a `ParkedRun` for the others."""

    def __init__(self, host: HostCallHandler) -> None:
        self._host = host
        self._control: RunControl | None = None
        self._charged = Usage()
        self._results: SimpleQueue[Result | Work] = SimpleQueue()
        self._hosts: SimpleQueue[HostCallHandler | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_waiting = self._is_dropped = False
        self.memory_bytes = 0

    def attach(self, run: RunControl) -> None:
        self._control = run

    def __call__(self, interface: str, function: str, request: str) -> str:
        while True:
            try:
                return self.carry(partial(self._host, interface, function, request))
            except SuspendRun:
                if self._control is None:
                    raise
            # Outside of the `except` block: the exception keeps all of its frames alive.
            host = self._wait(self._control)
            if host is None:
                self._is_dropped = True  # nobody waits for its outcome
                raise SuspendRun
            self._host = host

    def carry(self, work: Callable[[], T]) -> T:
        """The result of `work`, on this thread unless that was lowered; see `CarryingHandler`."""
        return self._elsewhere(work) if is_lowered() and not self._is_dropped else work()

    def _elsewhere(self, call: Callable[[], T]) -> T:
        """The result of a call that the thread in `outcome` executes."""
        answered: SimpleQueue[T | BaseException] = SimpleQueue()

        def work() -> None:
            try:
                answered.put(call())
            except SuspendRun:
                answered.put(SuspendRun())
            except BaseException as failed:  # noqa: BLE001  # raised in the guest's thread
                answered.put(failed)

        self._results.put(work)
        answer = answered.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def perform(self, run: Callable[[], GuestOutcome]) -> None:
        """Run the guest to its end, on its thread."""
        try:
            outcome = run()
        except GuestKilledError as killed:
            killed.usage = self._since(killed.usage or self._charged)
            self._results.put(killed)
        except BaseException as failed:  # noqa: BLE001  # raised by whoever waits for the outcome
            self._results.put(failed)
        else:
            self._results.put(replace(outcome, usage=self._since(outcome.usage)))

    def outcome(self) -> GuestOutcome:
        """Wait until the guest is suspended or has ended."""
        while callable(result := self._results.get()):
            result()
        if isinstance(result, BaseException):
            raise result
        return result

    def resume(self, host: HostCallHandler) -> GuestOutcome:
        """See `host.ports.guest.ParkedRun`."""
        if not self._leave(host):
            raise RuntimeError("the run does not wait any more")
        return self.outcome()

    def drop(self) -> None:
        """See `host.ports.guest.ParkedRun`."""
        self._leave(None)

    def _leave(self, host: HostCallHandler | None) -> bool:
        with self._lock:
            waited, self._is_waiting = self._is_waiting, False
        if waited:
            self._hosts.put(host)
        return waited

    def _wait(self, control: RunControl) -> HostCallHandler | None:
        """Block the guest until it is resumed; None when it is dropped instead."""
        usage, self.memory_bytes = control.usage(), control.memory_bytes()
        spent, self._charged = self._since(usage), usage
        self._host = _suspend
        with control.paused():
            self._is_waiting = True
            self._results.put(SuspendedRun(usage=spent, parked=self))
            return self._hosts.get()

    def _since(self, usage: Usage) -> Usage:
        """Usage since the run was started or last resumed; earlier usage has been charged."""
        before = self._charged
        return Usage(
            fuel=usage.fuel - before.fuel,
            host_calls=usage.host_calls - before.host_calls,
            log_bytes=usage.log_bytes - before.log_bytes,
        )


def _suspend(interface: str, function: str, request: str) -> str:
    del interface, function, request
    raise SuspendRun


class _Threads:
    """Reusable threads, one for each running job. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[SimpleQueue[Job | None]] = []
        self._all: set[threading.Thread] = set()
        self._is_closed = False

    def begin(self, job: Job) -> None:
        with self._lock:
            jobs = self._free.pop() if self._free else self._new()
        jobs.put(job)

    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
            threads = list(self._all)
        for jobs in free:
            jobs.put(None)
        end = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _new(self) -> "SimpleQueue[Job | None]":
        jobs: SimpleQueue[Job | None] = SimpleQueue()
        thread = threading.Thread(target=self._work, args=(jobs,), name="guest", daemon=True)
        self._all.add(thread)
        thread.start()
        return jobs

    def _work(self, jobs: "SimpleQueue[Job | None]") -> None:
        while (job := jobs.get()) is not None:
            job()
            del job
            with self._lock:
                if self._is_closed or len(self._free) >= _FREE_MAX or is_lowered():
                    break
                self._free.append(jobs)
        with self._lock:
            self._all.discard(threading.current_thread())
