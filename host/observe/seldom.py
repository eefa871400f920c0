"""Log lines about what fails again and again: one of a kind in a minute."""

from host.ports.clock import TwoClocks

TELL_MS = 60_000
"""A failure of one kind is logged at most this often."""


class Seldom:
    """Tells whether a kind was not logged for a while."""

    def __init__(self, clock: TwoClocks) -> None:
        self._clock = clock
        self._told = dict[str, int]()

    def is_time(self, kind: str) -> bool:
        """Whether to log it now; if so, that counts as logged."""
        now = self._clock.steady_ms()
        told = self._told.get(kind)
        if told is not None and now - told < TELL_MS:
            return False
        self._told[kind] = now
        return True
