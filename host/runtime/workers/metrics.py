"""The metrics of all workers in one place: each request to REST collects them from the workers."""

from collections.abc import Iterator, Sequence

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.domain.ids import ShortHash
from host.runtime.rpc import RpcClient
from host.runtime.workers.report import WORKER, MetricFamily
from host.runtime.workers.run_directory import RunDirectory

_ANSWER_SECONDS_MAX = 2.0

_log = structlog.get_logger("cordbox.workers")


class WorkersCollector(Collector):
    """Metrics of every worker that answers, distinguished by the label `worker`."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for socket in self._run.sockets():
            for family in self._ask(socket.stem):
                metric = merged.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "worker": socket.stem}
                    metric.add_sample(sample.name, labels, sample.value)
        yield from merged.values()

    def _ask(self, name: str) -> Sequence[MetricFamily]:
        client = RpcClient(
            self._run.path,
            name,
            self._run.key(),
            patience_seconds=0,
            answer_seconds_max=_ANSWER_SECONDS_MAX,
        )
        try:
            return client.proxy(WORKER).metrics()
        except Exception as failed:  # noqa: BLE001  # a failing worker must not hide others
            _log.debug("metrics-missing", of=name, reason=str(failed))
            return ()
        finally:
            client.close()


def workers_registry(run: RunDirectory) -> CollectorRegistry:
    """A registry that gives the metrics of all workers."""
    registry = CollectorRegistry()
    registry.register(WorkersCollector(run))
    return registry


def parked_bytes(run: RunDirectory, node: ShortHash) -> int:
    """Memory of a node's suspended guests in every worker that answers."""
    return sum(_parked(run, socket.stem, node) for socket in run.sockets())


def _parked(run: RunDirectory, name: str, node: ShortHash) -> int:
    client = RpcClient(
        run.path, name, run.key(), patience_seconds=0, answer_seconds_max=_ANSWER_SECONDS_MAX
    )
    try:
        return client.proxy(WORKER).parked(node)
    except Exception as failed:  # noqa: BLE001  # a failing worker must not hide others
        _log.debug("parked-missing", of=name, reason=str(failed))
        return 0
    finally:
        client.close()
