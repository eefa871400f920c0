"""The time limit of one host call: a deadline that the code of the call checks.

Lists, keys, values and schemas of a request come from the guest; code that iterates over them calls
`check_call_time` for each. Only CPU time of the calling thread counts, so that load of other nodes
cannot make a call fail. Waiting is limited elsewhere: a database statement has its own limit, and a
run its wall clock.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from host.domain.capability_error import CapabilityError

CALL_SECONDS_MAX = 5.0


class CallTooSlowError(CapabilityError):
    """The host call has used up its time."""


class _CallTime:
    """The remaining time of one call. `clock` returns CPU seconds of this thread."""

    def __init__(self, clock: Callable[[], float], seconds_max: float) -> None:
        self._clock = clock
        self._seconds_max = seconds_max
        self._until = clock() + seconds_max

    def check(self) -> None:
        if self._clock() > self._until:
            raise CallTooSlowError(
                "host-call-too-slow",
                f"the call took more than {self._seconds_max:.0f} seconds of work; ask for less",
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        begun = self._clock()
        try:
            yield
        finally:
            self._until += self._clock() - begun


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
