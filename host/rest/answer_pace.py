"""Limits the bytes of answers of one virtual node in a second, in one event loop.

Sending costs the interpreter that all requests share: megabytes of results in a list take it for
longer than the start of a flow. A node whose clients list all the time has a bounded part of it.
"""

from collections.abc import Callable

from host.ports.live import Live

BURST_SECONDS = 0.25
"""So much of a second's bytes may be sent at once by a node that has sent nothing for a while."""
_KEYS_MAX = 1_000


class AnswerPace:
    """When the bytes of each key may be sent.

    Args:
        bytes_per_second: of each key, on average.
        now: seconds of a monotonic clock.
    """

    def __init__(self, bytes_per_second: Live[int], now: Callable[[], float]) -> None:
        self._rate = bytes_per_second
        self._now = now
        self._paid_until: dict[str, float] = {}

    def delay(self, key: str, size: int) -> float:
        """Count `size` bytes of a key; returns in how many seconds they may be sent."""
        now = self._now()
        earliest = now - BURST_SECONDS
        until = max(self._paid_until.get(key, earliest), earliest) + size / self._rate.get()
        if len(self._paid_until) >= _KEYS_MAX:
            self._paid_until = {k: at for k, at in self._paid_until.items() if at > earliest}
        self._paid_until[key] = until
        return max(until - now, 0.0)

    def __len__(self) -> int:
        return len(self._paid_until)
