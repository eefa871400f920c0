"""What the relay does, as log lines and metrics."""

from collections.abc import Callable, Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.domain.errors import HostError
from host.observe.seldom import Seldom
from host.ports.bus import TopicPartition
from host.ports.clock import TwoClocks
from host.ports.outward import EXTERNAL_PREFIX

_log = structlog.get_logger("cordbox.relay")


class RelayObserver:
    """Called by the thread of the relay alone."""

    def __init__(self, registry: CollectorRegistry, clock: TwoClocks) -> None:
        self._seldom = Seldom(clock)
        self._records = Counter(
            "cordbox_relay_records",
            "Outward records that the broker has acknowledged; all `ext.` topics are one.",
            ("topic",),
            registry=registry,
        )
        self._failures = Counter(
            "cordbox_relay_failures",
            "Deliveries of a partition's records that failed, by code.",
            ("code",),
            registry=registry,
        )
        self._blocked = Gauge(
            "cordbox_relay_blocked_partitions",
            "Partitions of outward topics whose next record could not be delivered.",
            registry=registry,
        )

    def delivered(self, topic: str, records: int) -> None:
        self._records.labels(_shared_name(topic)).inc(records)

    def refused(self, place: TopicPartition, error: HostError) -> None:
        self._failures.labels(error.code).inc()
        if self._seldom.is_time(error.code):
            _log.error(
                "relay-waits",
                topic=place.topic,
                partition=place.partition,
                code=error.code,
                reason=error.message,
            )

    def blocked(self, places: int) -> None:
        self._blocked.set(places)

    def failed(self, error: BaseException) -> None:
        """The work failed; it is tried again."""
        kind = type(error).__name__
        if self._seldom.is_time(kind):
            _log.error("relay-work-failed", reason=str(error) or kind)


class UnsentCollector(Collector):
    """Gauges of records that wait, by topic; none while the store does not answer.

    Args:
        unread: what the relays have not sent, by topic.
    """

    def __init__(self, unread: Callable[[], Mapping[str, int]]) -> None:
        self._unread = unread

    def collect(self) -> Sequence[Metric]:
        waiting = Metric(
            "cordbox_relay_unsent_records",
            "Outward records that wait for the broker; all `ext.` topics are one.",
            "gauge",
        )
        found = dict[str, int]()
        try:
            for topic, records in self._unread().items():
                found[_shared_name(topic)] = found.get(_shared_name(topic), 0) + records
        except HostError:
            return ()  # `/status` reports it
        for topic, records in found.items():
            waiting.add_sample(waiting.name, {"topic": topic}, records)
        return (waiting,)


def _shared_name(topic: str) -> str:
    """One label for all topics of external messages: tenants choose their number."""
    return "ext" if topic.startswith(EXTERNAL_PREFIX) else topic
