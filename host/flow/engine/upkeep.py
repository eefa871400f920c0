"""Keeps logs bounded: records that no flow consumes are kept for a limited time."""

from host.domain.ids import EpochMs
from host.flow.core.events import EventSink, RecordsExpired
from host.flow.core.messages import DISCARDED_TOPIC
from host.flow.records.dead_letters import DISCARDED_MS
from host.ports.clock import Clock
from host.ports.live import Fixed, Live
from host.ports.outward import EXTERNAL_PREFIX
from host.ports.topics import Retention, TopicUpkeep

EXPIRE_EVERY_MS = 600_000
KEEP_ALL = Fixed(Retention())
_DISCARDED = Fixed(Retention(age_ms=DISCARDED_MS))
"""By their age alone: an operator was told that they can be taken back so long."""
_SHRINK_TURNS_MAX = 32
"""Limit of one run: the thread has other work, and the next run continues."""


class Upkeep:
    """Deletes expired records. Called by one thread of one process at a time.

    Args:
        store: whose topics.
        clock: the host's time.
        retention: of each topic that flows do not consume, such as dead letters.
        outward: of external messages; without a setting of the operator, they stay until they have
            been fetched, and are charged to their node's account.
        events: receives reports of deletions.
    """

    def __init__(
        self,
        store: TopicUpkeep,
        clock: Clock,
        retention: Live[Retention],
        *,
        outward: Live[Retention] = KEEP_ALL,
        events: EventSink | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._outward = outward
        self._events = events
        self._expired_at: EpochMs | None = None

    def run(self) -> None:
        """Delete records beyond the retention, if the last run was long enough ago.

        The freed disk space is released.

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
            retention = self._of(topic)
            count = self._store.expire(topic, retention.get())
            if count and self._events is not None:
                self._events(RecordsExpired(topic=topic, count=count))
        self._expired_at = now

    def _of(self, topic: str) -> Live[Retention]:
        if topic == DISCARDED_TOPIC:
            return _DISCARDED
        return self._outward if topic.startswith(EXTERNAL_PREFIX) else self._retention
