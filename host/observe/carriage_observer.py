"""What carries work over a broker (`bus = kafka`), as log lines and metrics."""

from collections.abc import Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from host.domain.errors import HostError
from host.observe.seldom import Seldom
from host.ports.bus import TopicPartition
from host.ports.clock import TwoClocks

_log = structlog.get_logger("cordbox.carriage")


class CarriageObserver:
    """Called by the threads of senders and landers.

    Args:
        registry: of the process.
        clock: of log lines.
        tell: called with the partitions that wait, whenever it may have changed.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: TwoClocks,
        tell: Callable[[Mapping[TopicPartition, HostError]], None],
    ) -> None:
        self._seldom = Seldom(clock)
        self._tell = tell
        self._records = Counter(
            "cordbox_carriage_records",
            "Records of work on a broker, by what became of them: `sent`, `landed`; or they came"
            " and were left: `repeated`, `early` (before one that is missing), `foreign`.",
            ("outcome",),
            registry=registry,
        )
        for outcome in ("sent", "landed", "repeated", "early", "foreign"):
            self._records.labels(outcome)
        self._failures = Counter(
            "cordbox_carriage_failures",
            "Sendings of a partition's work that failed, by code.",
            ("code",),
            registry=registry,
        )
        self._waiting = Gauge(
            "cordbox_carriage_blocked_partitions",
            "Partitions of work that could not be sent at the last try.",
            registry=registry,
        )

    def sent(self, records: int) -> None:
        self._records.labels("sent").inc(records)

    def waits(self, failed: Mapping[TopicPartition, HostError]) -> None:
        self._waiting.set(len(failed))
        for place, error in failed.items():
            self._failures.labels(error.code).inc()
            if self._seldom.is_time(error.code):
                _log.error(
                    "carriage-waits",
                    topic=place.topic,
                    partition=place.partition,
                    code=error.code,
                    reason=error.message,
                )
        self._tell(failed)

    def landed(self, records: int) -> None:
        self._records.labels("landed").inc(records)

    def left(self, verdict: str, records: int) -> None:
        self._records.labels(verdict).inc(records)

    def failed(self, error: BaseException) -> None:
        """The work failed; it is tried again."""
        kind = type(error).__name__
        if self._seldom.is_time(kind):
            _log.error("carriage-work-failed", reason=str(error) or kind)
