"""A CorDapp's code as plain Python in this process, behind the port of the sandbox's guests.

What crosses the boundary is counted, limited and refused by the sandbox's own code. What only a
sandbox can do is not done here: fuel, memory, the wall clock and forbidden operations are not
limited, and modules keep their variables from one run to the next.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from cordapp import guest
from cordapp.failures import message_of
from cordapp.registry import HostCallError
from host.tools.testkit.native_modules import logging_to
from sandbox.errors import (
    CapabilityNotGrantedError,
    InvalidPayloadError,
    PayloadTooLargeError,
)
from sandbox.host_calls import HostCallHandler, waiting
from sandbox.instance import HOST_FUNCTIONS, Run
from sandbox.limits import Limits, Usage
from sandbox.outcome import Outcome
from sandbox.receipts import RunFacts, concluded
from sandbox.runnable import Runnable, RunRequest
from sandbox.world import World

_NUMBERS = {function: number for number, function in enumerate(HOST_FUNCTIONS)}
__tracebackhide__ = True
"""Frames of this module are the sandbox's, not the CorDapp's: reports and pytest leave them out."""

_NOT_OWN = ("cordapp", "host")
"""Packages whose frames come before those of the CorDapp."""

OnFailure = Callable[[str, BaseException], None]
"""Told the argument of a run and the exception that the CorDapp's code ended it with."""


class Stopped(BaseException):  # no Exception, so that guest code cannot catch it by chance
    """Unwinds a run that is over: the reason is in its slot, whatever the guest does now."""


class NativeGuest(Runnable):
    """The code of one part of a CorDapp."""

    def __init__(self, world: World, digest: str, on_failure: OnFailure) -> None:
        self._world = world
        self._digest = digest
        self._on_failure = on_failure

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        """Run an export on the calling thread; see `sandbox.runnable.Runnable.run`."""
        facts = RunFacts(world=self._world, component=self._digest, runtime=None, request=request)
        limits = request.limits
        run = Run(_Unmeasured(limits.fuel_max), limits=limits, host=host, granted=request.granted)
        if (waiter := waiting(host)) is not None:
            waiter.attach(_Control(run))

        def perform() -> tuple[bool, str | None]:
            text = request.argument or ""
            _check_size("argument", text, limits)
            is_ok, value = self._perform(request.export, text, run)
            run.conclude(is_ok=is_ok, value=value)
            _check_size("result", value or "", limits)
            return is_ok, value

        return concluded(facts, lambda: _usage(run), perform)

    def _perform(self, export: str, text: str, run: Run) -> tuple[bool, str | None]:
        """Whether the export answered `ok`, and the text, if it has one."""
        try:
            return True, _EXPORTS[export](text, _Calls(run))
        except guest.Failed as failed:
            cause = failed.__context__
            if isinstance(cause, Stopped):
                return False, None  # the reason stands in the run's slot
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None  # somebody stops the tests
            is_own = run.error is None or isinstance(run.error, CapabilityNotGrantedError)
            if is_own and cause is not None:
                self._on_failure(text, cause.with_traceback(_own_part(cause.__traceback__)))
            payload: str = failed.payload
        except guest.Refused as refused:
            payload = refused.payload
        except (SystemExit, GeneratorExit, UnicodeEncodeError) as exc:
            told = {"type": type(exc).__name__, "message": message_of(exc), "trace": []}
            payload = json.dumps(told)
        return False, payload


def _run(start: str, calls: "_Calls") -> str:
    def log(level: str, logger: str, message: str) -> None:
        calls("log", "write", json.dumps({"level": level, "logger": logger, "message": message}))

    with logging_to(log):
        result: str = guest.run(start, calls)
    result.encode()
    return result


def _verify(transaction: str, _calls: "_Calls") -> None:
    guest.verify(transaction)


def _describe(_argument: str, _calls: "_Calls") -> str:
    described: str = guest.describe()
    return described


_EXPORTS: Mapping[str, "Callable[[str, _Calls], str | None]"] = {
    "run": _run,
    "verify": _verify,
    "describe": _describe,
}


class _Calls:
    """The host of one run, as the SDK calls it."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, interface: str, function: str, request: str) -> str:
        run, number = self._run, _NUMBERS.get((interface, function))
        if number is None:
            raise LookupError(f"the host API has no function {interface}.{function}")
        raw = request.encode()
        if not run.admits(number, len(raw)):
            if isinstance(run.error, CapabilityNotGrantedError):
                raise HostCallError(run.refused()[1].decode())
            raise Stopped
        try:
            is_ok, answer = run.answer(number, raw)
        except BaseException as exc:  # noqa: BLE001  # kept in the slot: raised when the run is over
            run.fail(exc)
            raise Stopped from None
        if not is_ok:
            raise HostCallError(answer.decode())
        return answer.decode()


@dataclass(slots=True)
class _Unmeasured:
    """Fuel that nothing burns."""

    _left: int

    def left(self) -> int:
        return self._left

    def stop(self) -> int:
        left, self._left = self._left, 0
        return left


class _Control:
    """A `RunControl` of a run without a clock and a memory of its own."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def usage(self) -> Usage:
        return _usage(self._run)

    def memory_bytes(self) -> int:
        return 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        yield


def _usage(run: Run) -> Usage:
    return Usage(fuel=run.fuel_used(), host_calls=run.host_calls, log_bytes=run.log_bytes)


def _check_size(what: str, text: str, limits: Limits) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise InvalidPayloadError(f"{what}: not Unicode") from exc
    if size > limits.payload_bytes_max:
        raise PayloadTooLargeError(f"{what}: {size} bytes, at most {limits.payload_bytes_max}")


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in the CorDapp's own code."""
    step = trace
    while step is not None:
        if step.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _NOT_OWN:
            return step
        step = step.tb_next
    return trace
