"""The time of the database, estimated without asking it at each call."""

import threading
import time

from host.domain.ids import EpochMs

_DRIFT = 0.001
"""By how much two clocks may run apart, of the time that passes; crystals stay far below."""


class DatabaseTime:
    """The database's clock, which all processes share; the port `TwoClocks`. Thread-safe.

    The difference to this machine's monotonic clock is measured by calls of the database, which
    tell the time: the error is at most half the duration of the call, and grows as time passes. A
    measurement that is less exact than what is known by then changes nothing, since a call may
    take as long as its process or its network stands still; unless both cannot be right, for then
    the database's clock was set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._error = float("inf")
        self._at = 0.0

    def measured(self, told: int, before: float, after: float) -> None:
        """Take a measurement.

        Args:
            told: the time that the database told, in milliseconds.
            before: this machine's monotonic clock before the call, in seconds.
            after: the same after the call.
        """
        error = (after - before) / 2
        offset = told / 1000 - (before + error)
        with self._lock:
            known = self._error + _DRIFT * max(0.0, after - self._at)
            if error <= known or abs(offset - self._offset) > error + known:
                self._offset, self._error, self._at = offset, error, after

    def now_ms(self) -> EpochMs:
        return EpochMs(int((time.monotonic() + self._offset) * 1000))

    def steady_ms(self) -> int:
        """The same: all hosts compare times of the database alone."""
        return self.now_ms()
