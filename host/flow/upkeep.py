"""Keeps logs bounded: what no flow consumes is kept for a while."""

from host.domain.ids import EpochMs
from host.ports.clock import Clock
from host.ports.topics import Retention
from host.ports.units import FlowStore

EXPIRE_EVERY_MS = 600_000
_SHRINK_TURNS_MAX = 32
"""Of one run: the thread has other things to do, and the rest goes with the next run."""


class Upkeep:
    """Deletes what need not be kept. One thread of one process at a time calls it.

    Args:
        store: whose topics.
        clock: the host's time.
        retention: of each topic that flows do not consume: dead letters, external messages.
    """

    def __init__(self, store: FlowStore, clock: Clock, retention: Retention) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._expired_at: EpochMs | None = None

    def run(self) -> None:
        """Delete what is too old or too much, if nobody has looked for a while.

        Raises:
            StorageError: the store cannot be used.
        """
        self._expire()
        for _ in range(_SHRINK_TURNS_MAX):
            if self._store.shrink() == 0:
                break

    def _expire(self) -> None:
        now = self._clock.now_ms()
        if self._expired_at is not None and 0 <= now - self._expired_at < EXPIRE_EVERY_MS:
            return
        for topic in self._store.topics():
            self._store.expire(topic, self._retention)
        self._expired_at = now
