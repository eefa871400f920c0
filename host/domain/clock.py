"""A clock that tests move by hand. The port is `host.ports.clock.Clock`."""

from host.domain.ids import EpochMs


class SimClock:
    """Stands still until `advance` or `jump` is called."""

    def __init__(self, start: int = 1_700_000_000_000) -> None:
        self._now = start
        self._steady = 0

    def now_ms(self) -> EpochMs:
        return EpochMs(self._now)

    def steady_ms(self) -> int:
        return self._steady

    def advance(self, millis: int) -> None:
        """Let time pass."""
        self._now += millis
        self._steady += millis

    def jump(self, millis: int) -> None:
        """Change only the time of day, as setting the clock or waking a suspended machine does."""
        self._now += millis
