"""A clock that tests move by hand. The port is `host.ports.clock.Clock`."""

from host.domain.ids import EpochMs


class SimClock:
    """Stands still until `advance` is called."""

    def __init__(self, start: int = 1_700_000_000_000) -> None:
        self._now = start

    def now_ms(self) -> EpochMs:
        return EpochMs(self._now)

    def advance(self, millis: int) -> None:
        self._now += millis
