"""What carries work over a broker (`bus = kafka`), as log lines and metrics."""

from collections.abc import Callable, Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.domain.errors import HostError
from host.domain.ids import EpochMs
from host.observe.seldom import Seldom
from host.ports.bus import TopicPartition
from host.ports.clock import TwoClocks
from host.ports.work import Backlog

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


class LeavingCollector(Collector):
    """Gauges of work that is on its way to its queues; none while the store does not answer.

    Args:
        leaving: what has not landed.
        now: the store's time.
    """

    def __init__(
        self, leaving: Callable[[], Sequence[Backlog]], now: Callable[[], EpochMs]
    ) -> None:
        self._leaving = leaving
        self._now = now

    def collect(self) -> Sequence[Metric]:
        records = Metric(
            "cordbox_carriage_leaving_records",
            "Records of work that have not entered their queues (`bus = kafka`).",
            "gauge",
        )
        oldest = Metric(
            "cordbox_carriage_oldest_seconds", "Age of the oldest of these; 0 without any.", "gauge"
        )
        try:
            found, now = self._leaving(), self._now()
        except HostError:
            return ()  # `/status` reports it
        for each in found:
            records.add_sample(records.name, {"topic": each.topic}, each.records)
        age_ms = max((now - each.oldest_at for each in found), default=0)
        oldest.add_sample(oldest.name, {}, max(0, age_ms) / 1000)
        return records, oldest
