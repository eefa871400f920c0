"""Minimum transfer rate and maximum duration of one message. Pure.

Progress is checked after each window of `window_seconds`: the minimum number of bytes must have
been transferred in it, and all windows together may not exceed `seconds_max`. A window in which the
other side could not transfer anything does not count.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Time limits of a connection, in seconds, and related numbers of bytes.

    Attributes:
        handshake_seconds: from the connection to the end of the TLS handshake.
        head_seconds: for a request's line and headers, from their first byte; of the first
            request from the connection on.
        idle_seconds: between an answer and the next request.
        transfer_bytes_per_second_min: of a body, and of an answer, in each window.
        window_seconds: length of a window.
        transfer_seconds_max: for a whole body, and for a whole answer.
        linger_seconds, linger_bytes: how much of an unwanted body is still read and discarded, so
            that its sender sees the answer.
        shutdown_seconds: for the last bytes of an answer and the client's TLS close_notify.
    """

    handshake_seconds: float = 10.0
    head_seconds: float = 20.0
    idle_seconds: float = 30.0
    transfer_bytes_per_second_min: int = 1024
    window_seconds: float = 10.0
    transfer_seconds_max: float = 600.0
    linger_seconds: float = 2.0
    linger_bytes: int = 4 * 1024 * 1024
    shutdown_seconds: float = 30.0


class Pace:
    """Tracks the bytes of one message."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._seconds = 0.0
        self._bytes = 0

    def moved(self, count: int) -> None:
        self._bytes += count

    def holds(self) -> bool:
        """Whether the window that ends now was fast enough and time is left; starts the next."""
        wanted = self._patience.transfer_bytes_per_second_min * self._patience.window_seconds
        was_fast = self._bytes >= wanted
        self._bytes = 0
        self._seconds += self._patience.window_seconds
        return was_fast and self._seconds < self._patience.transfer_seconds_max

    def excuse(self) -> None:
        """Ignore the window that ends now."""
        self._bytes = 0
