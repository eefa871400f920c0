"""Due times in batches: at most one batch in `TICK_S` seconds of a process."""

import time
from collections.abc import Callable

TICK_S = 0.05
"""A due time that follows another batch waits for this long at most; otherwise it does not wait."""


class Tick:
    """When the next batch may begin, by a monotonic clock in seconds.

    Each batch is a commit, and each flow that it wakes makes others. Without ticks, flows that
    sleep for no time, again and again, make as many commits as the disk takes, and the commits of
    other nodes wait behind them.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_at = now()

    def begin(self) -> None:
        """A batch begins."""
        self._free_at = self._now() + TICK_S

    def wait_s(self) -> float:
        """Seconds until the next batch may begin; 0 or less if it may begin now."""
        return self._free_at - self._now()
