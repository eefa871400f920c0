"""A guest that runs in a separate process, and the host's side of its runs.

The process may be under the control of the guest's author, so all its messages are checked here: a
call that was not granted, one too many, one too large or out of order gets the process killed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from sandbox import errors
from sandbox.errors import (
    CapabilityNotGrantedError,
    DeadlineExceededError,
    HostMemoryError,
    SandboxError,
)
from sandbox.guest import Component
from sandbox.host_api import ALWAYS_GRANTED
from sandbox.host_calls import (
    GuestCallError,
    HostCallHandler,
    RunEndedError,
    SuspendRun,
    waiting,
)
from sandbox.instance import HOST_FUNCTIONS
from sandbox.isolation.errors import GuestProcessLostError, GuestProcessViolationError
from sandbox.isolation.frames import (
    Asked,
    Begin,
    Channel,
    EndedError,
    FrameError,
    FromGuests,
    Halt,
    Pause,
    Reply,
    RunResult,
    Stopped,
    bytes_of,
)
from sandbox.isolation.process import Ending, GuestProcess
from sandbox.limits import Usage
from sandbox.outcome import Outcome
from sandbox.own_memory import filled_bytes, resident_bytes
from sandbox.receipts import RunFacts, note_stopped, returned, suspended
from sandbox.runnable import Runnable, RunRequest

_STOPS: Mapping[str, type[errors.RunError]] = MappingProxyType(
    {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.RunError)
        and kind not in {errors.RunError, errors.CapabilityNotGrantedError, errors.HostMemoryError}
    }
)
"""Errors that may end a run in its process, besides a refused capability."""

_FUNCTIONS = frozenset(f"{interface}.{function}" for interface, function in HOST_FUNCTIONS)


class Lease(Protocol):
    """A run's place in a process."""

    process: GuestProcess

    def away(self) -> AbstractContextManager[None]:
        """Mark the run as waiting: within the block its process may be evicted for another."""
        ...


Placement = Callable[[], AbstractContextManager[Lease]]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedGuest(Runnable):
    """Like `sandbox.guest.Guest`, but each call runs in another process.

    Attributes:
        component: the component to run.
        index: its place among the components of the process.
        visit: returns the process, which it starts if necessary.
        grace_seconds: how long a run may go on beyond its wall-clock limit.
    """

    component: Component
    index: int
    visit: Placement
    grace_seconds: float

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        """Run an export; see `sandbox.runnable.Runnable.run`.

        Raises:
            GuestProcessLostError: the process could not be started, or was ended from outside: the
                run may be repeated.
        """
        facts, limits = self.component.facts(request), request.limits
        begin = Begin(
            self.index,
            request.export,
            None if request.argument is None else bytes_of(request.argument),
            limits,
            tuple(sorted(request.granted)),
            host is not None,
        )
        with self.visit() as stay:
            process = stay.process
            with (
                process.waiting_place(limits.memory_bytes_max) as may_wait,
                process.lane(self.component.world, bytes_max=limits.payload_bytes_max) as lane,
            ):
                run = _Run(lane, stay, facts, host=host, grace_seconds=self.grace_seconds)
                if may_wait and (waiter := waiting(host)) is not None:
                    waiter.attach(run)
                return run.perform(begin)


class _Run:
    """One run; a `RunControl`."""

    def __init__(
        self,
        lane: Channel[FromGuests],
        stay: Lease,
        facts: RunFacts,
        *,
        host: HostCallHandler | None,
        grace_seconds: float,
    ) -> None:
        self._lane = lane
        self._stay = stay
        self._facts = facts
        self._host = host
        self._granted = facts.request.granted | ALWAYS_GRANTED
        self._limits = facts.request.limits
        self._grace_seconds = grace_seconds
        self._seen = Usage()
        self._cause: BaseException | None = None
        self._resident_before = resident_bytes(stay.process.pid)
        self._filled_before = lane.filled_bytes

    def usage(self) -> Usage:
        return self._seen

    def memory_bytes(self) -> int:
        """Memory that the run's thread has touched since its start.

        If the process did not name that thread, it is the growth of the whole process, including
        other runs; the limit if the system reports neither.
        """
        filled = self._filled()
        if filled is not None:
            return filled - self._filled_before
        resident = resident_bytes(self._stay.process.pid)
        if resident is None or self._resident_before is None:
            return self._limits.memory_bytes_max
        return max(0, resident - self._resident_before)

    def _filled(self) -> int | None:
        """Memory that the lane's thread has touched; less than before would be another thread."""
        thread = self._lane.thread
        found = filled_bytes(self._stay.process.pid, thread) if thread else None
        return None if found is None or found < self._filled_before else found

    @contextmanager
    def paused(self) -> Iterator[None]:
        with suppress(EndedError, TimeoutError):  # sending the answer would fail, too
            self._lane.send(Pause())
        with self._stay.away():
            yield
        self._restart_clock()

    def perform(self, begin: Begin) -> Outcome:
        """Follow the run to its end.

        Raises:
            SandboxError, BaseException: as of `IsolatedGuest.call`.
        """
        process = self._stay.process
        self._restart_clock()
        try:
            self._lane.send(begin)
            outcome = self._follow()
        except EndedError as ended:
            raise process.failure() from ended
        except TimeoutError as overrun:
            process.kill(Ending.OVERRUN)
            raise DeadlineExceededError(
                "the run took longer than its wall-clock limit and could not be stopped"
            ) from overrun
        except FrameError as broken:
            process.kill(Ending.VIOLATION)
            raise GuestProcessViolationError(
                f"the guest's process broke the protocol: {broken}"
            ) from broken
        except HostMemoryError as refused:
            # The runs that wait in the process end with it, and are repeated, too.
            process.kill(Ending.MEMORY)
            raise GuestProcessLostError(
                f"the guest's process was ended: {Ending.MEMORY}"
            ) from refused
        except BaseException:
            process.kill(Ending.CLOSED)
            raise
        self._lane.filled_bytes = self._filled() or 0
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _follow(self) -> Outcome | BaseException:
        while True:
            heard = self._lane.receive()
            if isinstance(heard, Asked) and self._cause is None:
                self._admit(heard)
                self._lane.thread = heard.thread
                self._answer(heard)
                continue
            if isinstance(heard, Stopped) and heard.code == HostMemoryError.code:
                raise HostMemoryError("the guest's process has no memory for the run")
            self._check_usage(heard.usage)
            if self._cause is not None:
                return self._halted(self._cause, heard)
            if isinstance(heard, RunResult):
                value = self._value(heard.value)
                return returned(self._facts, heard.usage, value, is_error=heard.is_error)
            if isinstance(heard, Stopped):
                stopped = _stopped(heard, self._value(heard.report))
                note_stopped(self._facts, heard.usage, stopped)
                return stopped
            raise FrameError("an end that the host did not ask for")

    def _halted(self, cause: BaseException, heard: FromGuests) -> Outcome | BaseException:
        """The outcome of a run that was ended by the host's answer."""
        if isinstance(heard, RunResult | Stopped | Asked):
            raise FrameError("the run went on though the host ended it")
        if isinstance(cause, SuspendRun):
            return suspended(self._facts, heard.usage)
        if isinstance(cause, SandboxError):
            note_stopped(self._facts, heard.usage, cause)
        if isinstance(cause, RunEndedError):
            cause.usage = heard.usage
        return cause

    def _answer(self, asked: Asked) -> None:
        request = _text(asked.request)
        assert self._host is not None  # noqa: S101  # admitted
        try:
            text, is_ok = self._host(asked.interface, asked.function, request), True
        except GuestCallError as refused:
            text, is_ok = refused.payload, False
        except BaseException as cause:  # noqa: BLE001  # raised when the run has ended
            self._cause = cause
            self._lane.wait_still(self._grace_seconds)
            self._lane.send(Halt())
            return
        # A run that has exceeded its time meanwhile still receives the answer.
        self._lane.wait_still(self._grace_seconds)
        self._lane.send(Reply(is_ok, bytes_of(text)))

    def _admit(self, asked: Asked) -> None:
        """Refuse a call that an intact process would have refused itself."""
        size, limits = len(asked.request), self._limits
        log_bytes = self._seen.log_bytes + (size if asked.interface == "log" else 0)
        if self._host is None or (asked.interface, asked.function) not in HOST_FUNCTIONS:
            raise FrameError("a host call that does not exist")
        if asked.interface not in self._granted:
            raise FrameError(f"a call of {asked.interface}, which is not granted")
        if self._seen.host_calls >= limits.host_calls_max:
            raise FrameError("more host calls than the run may make")
        if size > limits.payload_bytes_max or log_bytes > limits.log_bytes_max:
            raise FrameError("a host call that is larger than the run may make")
        counted = replace(self._seen, host_calls=self._seen.host_calls + 1, log_bytes=log_bytes)
        if asked.usage != replace(counted, fuel=asked.usage.fuel):
            raise FrameError("a wrong count of host calls")
        self._seen = replace(counted, fuel=self._fuel(asked.usage))

    def _check_usage(self, usage: Usage) -> None:
        """A refused call was counted, but was not sent here; its text was in the guest's memory."""
        calls = usage.host_calls - self._seen.host_calls
        logged = usage.log_bytes - self._seen.log_bytes
        logged_max = self._limits.memory_bytes_max if calls else 0
        if calls not in {0, 1} or not 0 <= logged <= logged_max:
            raise FrameError("a wrong count of host calls")
        self._fuel(usage)

    def _value(self, value: bytes | None) -> str | None:
        if value is not None and len(value) > self._limits.payload_bytes_max:
            raise FrameError("a result that is larger than the run may give")
        return None if value is None else _text(value)

    def _fuel(self, usage: Usage) -> int:
        if not self._seen.fuel <= usage.fuel <= self._limits.fuel_max:
            raise FrameError("a wrong count of fuel")
        return usage.fuel

    def _restart_clock(self) -> None:
        self._lane.wait_at_most(self._limits.wall_ms_max / 1000 + self._grace_seconds)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as refused:
        raise FrameError("a text that is not UTF-8") from refused


def _stopped(heard: Stopped, report: str | None) -> SandboxError:
    message = "".join(c if c.isprintable() else " " for c in heard.message)
    if heard.code == CapabilityNotGrantedError.code:
        if heard.function not in _FUNCTIONS:
            raise FrameError("a refusal of a host function that does not exist")
        refused = CapabilityNotGrantedError(message, function=heard.function)
        refused.report = report
        return refused
    kind = _STOPS.get(heard.code)
    if kind is None or report is not None:
        raise FrameError("a reason that ends no run")
    return kind(message)
