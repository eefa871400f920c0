"""Time and randomness are injected, so that tests control both."""

from dataclasses import dataclass
from typing import Protocol, cast

from host.domain.ids import EpochMs


class Clock(Protocol):
    def now_ms(self) -> EpochMs: ...


class TwoClocks(Clock, Protocol):
    """The time of day, and a monotonic clock."""

    def steady_ms(self) -> int:
        """Milliseconds of a monotonic clock that all processes of the machine share.

        It stops while the machine is suspended, and restarts at boot.
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
    """`clock` with a steady time; a clock without one uses its time of day."""
    return cast("TwoClocks", clock) if hasattr(clock, "steady_ms") else _Both(clock)
