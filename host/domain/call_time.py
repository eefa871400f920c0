"""The time that one host call may take: a deadline that the work of the call looks at.

Lists, keys, values and schemas of a request come from the guest; whoever walks over them calls
`check_call_time` for each. The time is that of the calling thread's own work, so that a call of one
node does not fail by what others do at the time. Waiting is another matter: a database's statement
has a limit in its own right, and a run its wall clock.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from host.domain.capability_error import CapabilityError

CALL_SECONDS_MAX = 5.0


class CallTooSlowError(CapabilityError):
    """The time of a host call is over."""


class _CallTime:
    """What is left for one call. `clock` gives seconds of this thread's work."""

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
    """Have `check_call_time` refuse, within the block, what takes longer than `seconds_max`.

    Args:
        clock: seconds of the thread's own work, such as `time.thread_time`.
        seconds_max: of the whole block.
    """
    before = _current.set(_CallTime(clock, seconds_max))
    try:
        yield
    finally:
        _current.reset(before)


def check_call_time() -> None:
    """See that the host call that is being answered still has time; outside of one it has.

    Raises:
        CallTooSlowError: it has none left.
    """
    current = _current.get()
    if current is not None:
        current.check()


@contextmanager
def call_time_paused() -> Iterator[None]:
    """Do not count the block: it has a limit of its own, such as a contract's run."""
    current = _current.get()
    if current is None:
        yield
        return
    with current.paused():
        yield
