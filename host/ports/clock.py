"""Time and randomness come in from outside, so that tests decide about both."""

from dataclasses import dataclass
from typing import Protocol, cast

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


@dataclass(frozen=True, slots=True)
class _Both:
    clock: Clock

    def now_ms(self) -> EpochMs:
        return self.clock.now_ms()

    def steady_ms(self) -> int:
        return self.clock.now_ms()


def two_clocks(clock: Clock) -> TwoClocks:
    """`clock`, whose time of day is its steady time, too, if it has none."""
    return cast("TwoClocks", clock) if hasattr(clock, "steady_ms") else _Both(clock)
