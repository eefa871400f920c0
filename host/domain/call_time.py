"""The time limit of one host call: a deadline that the code of the call checks.

Lists, keys, values and schemas of a request come from the guest; code that iterates over them calls
`check_call_time` for each. Only CPU time of the calling thread counts, so that load of other nodes
cannot make a call fail. Waiting is limited elsewhere: a database statement has its own limit, and a
run its wall clock.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar

from host.domain.capability_error import CapabilityError

T = TypeVar("T")

CALL_SECONDS_MAX = 5.0


class CallTooSlowError(CapabilityError):
    """The host call has used up its time."""


class _CallTime:
    """The remaining time of one call. `clock` returns CPU seconds of the thread that asks."""

    def __init__(self, clock: Callable[[], float], seconds_max: float) -> None:
        self._clock = clock
        self._seconds_max = seconds_max
        self._left = seconds_max
        self.resume()

    def resume(self) -> None:
        """Count on, by the clock of the calling thread."""
        self._until = self._clock() + self._left

    def suspend(self) -> None:
        """Count no longer; the thread that resumes may be another one."""
        self._left = self._until - self._clock()

    def check(self) -> None:
        if self._clock() > self._until:
            raise CallTooSlowError(
                "host-call-too-slow",
                f"the call took more than {self._seconds_max:.0f} seconds of work; ask for less",
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The block costs nothing, but for what resumes within it."""
        self.suspend()
        try:
            yield
        finally:
            self.resume()


_current: ContextVar[_CallTime | None] = ContextVar("call time", default=None)


@contextmanager
def limited_call(
    clock: Callable[[], float], *, seconds_max: float = CALL_SECONDS_MAX
) -> Iterator[None]:
    """Make `check_call_time` raise within the block once it has taken more than `seconds_max`.

    Args:
        clock: CPU seconds of the thread, such as `time.thread_time`.
        seconds_max: of the whole block.
    """
    before = _current.set(_CallTime(clock, seconds_max))
    try:
        yield
    finally:
        _current.reset(before)


def check_call_time() -> None:
    """Check that the current host call has time left; outside of a host call this never fails.

    Raises:
        CallTooSlowError: no time is left.
    """
    current = _current.get()
    if current is not None:
        current.check()


@contextmanager
def call_time_paused() -> Iterator[None]:
    """Exclude the block from the call's time: it has its own limit, such as a contract's run."""
    current = _current.get()
    if current is None:
        yield
        return
    with current.paused():
        yield


class CarriedCall:
    """The context of a thread that waits for another one to do its work."""

    def __init__(self) -> None:
        self._context: Context = copy_context()
        self._current = _current.get()

    def run(self, work: Callable[[], T]) -> T:
        """Do the waiting thread's work, within its call's time. Any thread may call this."""
        if self._current is None:
            return self._context.run(work)
        self._current.resume()
        try:
            return self._context.run(work)
        finally:
            self._current.suspend()


@contextmanager
def carried_call() -> Iterator[CarriedCall]:
    """While the block waits, other threads may do work of this one, at the cost of its call.

    CPU clocks are those of threads: what is left of the call's time is carried over, and back.
    What this thread itself does within the block costs its call nothing.
    """
    current = _current.get()
    if current is None:
        yield CarriedCall()
        return
    with current.paused():
        yield CarriedCall()
