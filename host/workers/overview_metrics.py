"""What `/overview` shows, as metrics: what waits and for how long, open flows, restarts."""

from collections.abc import Callable, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.domain.errors import HostError
from host.workers.overview import Overview


class OverviewCollector(Collector):
    """Gauges from the latest overview; none while it cannot be had."""

    def __init__(self, latest: Callable[[], Overview]) -> None:
        self._latest = latest

    def collect(self) -> Sequence[Metric]:
        try:
            seen = self._latest()
        except HostError:
            return ()  # `/status` tells of it
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
        return waiting, oldest, flows, restarts
