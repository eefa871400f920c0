"""Time and randomness come in from outside, so that tests decide about both."""

from typing import Protocol

from host.domain.ids import EpochMs


class Clock(Protocol):
    def now_ms(self) -> EpochMs: ...


class TwoClocks(Clock, Protocol):
    """The time of day, and one that nobody sets."""

    def steady_ms(self) -> int:
        """Milliseconds of a clock that all processes of the machine share and that only grows.

        It stands still while the machine is suspended, and begins anew when it is started.
        """
        ...


class Entropy(Protocol):
    def random_bytes(self, count: int) -> bytes: ...


def steady_ms_of(clock: Clock) -> EpochMs:
    """The steady time of a clock that has one, else its time of day: for what lasts seconds."""
    steady = getattr(clock, "steady_ms", clock.now_ms)
    return EpochMs(steady())
