"""`/overview` as metrics: backlogs, records set aside, their ages; flows, restarts."""

from collections.abc import Callable, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.domain.errors import HostError
from host.observe.overview import Overview


class OverviewCollector(Collector):
    """Gauges from the latest overview; none while it is not available."""

    def __init__(self, latest: Callable[[], Overview]) -> None:
        self._latest = latest

    def collect(self) -> Sequence[Metric]:
        try:
            seen = self._latest()
        except HostError:
            return ()  # `/status` reports it
        waiting = Metric("cordbox_queue_records", "Records that wait to be worked on.", "gauge")
        oldest = Metric("cordbox_queue_oldest_seconds", "Age of the oldest of these.", "gauge")
        for queue in seen.queues:
            waiting.add_sample(waiting.name, {"topic": queue.topic}, queue.records)
            oldest.add_sample(oldest.name, {"topic": queue.topic}, queue.lag_ms / 1000)
        flows = Metric("cordbox_open_flows", "Flows that have not ended.", "gauge")
        flows.add_sample(flows.name, {}, seen.open_flows)
        restarts = Metric("cordbox_worker_restarts", "Restarts of a worker process.", "gauge")
        for worker in seen.workers:
            restarts.add_sample(restarts.name, {"name": worker.name}, worker.restarts)
        return waiting, oldest, *_set_aside(seen), flows, restarts


def _set_aside(seen: Overview) -> Sequence[Metric]:
    records = Metric("cordbox_set_aside_records", "Records that wait for a retry.", "gauge")
    keys = Metric("cordbox_set_aside_keys", "Flows and sessions of these.", "gauge")
    oldest = Metric("cordbox_set_aside_oldest_seconds", "Age of their first failure.", "gauge")
    for line in seen.set_aside:
        labels = {"topic": line.topic, "cause": line.cause}
        records.add_sample(records.name, labels, line.records)
        keys.add_sample(keys.name, labels, line.keys)
        if line.lag_ms is not None:
            oldest.add_sample(oldest.name, labels, line.lag_ms / 1000)
    return records, keys, oldest
