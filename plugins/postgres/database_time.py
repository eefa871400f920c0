"""The time of the database, estimated without asking it at each call."""

import threading
import time

from host.domain.ids import EpochMs

_FRESH_SECONDS = 30.0


class DatabaseTime:
    """The database's clock, which all processes share; the port `TwoClocks`. Thread-safe.

    The difference to this machine's monotonic clock is measured by calls of the database, which
    tell the time. The most exact measurement of the last 30 seconds is used; its error is at most
    half the duration of its call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._error = float("inf")
        self._at = float("-inf")

    def measured(self, told: int, before: float, after: float) -> None:
        """Take a measurement.

        Args:
            told: the time that the database told, in milliseconds.
            before: this machine's monotonic clock before the call, in seconds.
            after: the same after the call.
        """
        error = (after - before) / 2
        with self._lock:
            if error <= self._error or after - self._at > _FRESH_SECONDS:
                self._offset = told / 1000 - (before + error)
                self._error, self._at = error, after

    @property
    def is_stale(self) -> bool:
        """Whether the last measurement is older than 30 seconds."""
        return time.monotonic() - self._at > _FRESH_SECONDS

    def now_ms(self) -> EpochMs:
        return EpochMs(int((time.monotonic() + self._offset) * 1000))

    def steady_ms(self) -> int:
        """The same: all hosts compare times of the database alone."""
        return self.now_ms()
