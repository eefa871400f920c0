"""What every worker reports about itself to the other processes of its host."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from host.domain.errors import HostError
from host.domain.ids import EpochMs, ShortHash
from host.domain.workers import WorkerKind
from host.runtime.rpc import Interface

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """A worker's state. `state` is `ready`, `draining`, or `failing` with the code of a problem."""

    kind: WorkerKind
    name: str
    pid: int
    state: str
    problem: str | None
    since: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSample:
    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFamily:
    """The samples of one metric, in Prometheus's terms."""

    name: str
    documentation: str
    type: str
    samples: Sequence[MetricSample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """What a worker reports about itself to the others."""

    kind: WorkerKind
    name: str
    since: EpochMs
    registry: CollectorRegistry
    check: Callable[[], None]
    is_draining: Callable[[], bool]
    parked_bytes: Callable[[ShortHash], int]

    def report(self) -> WorkerReport:
        state, problem = "ready", None
        try:
            self.check()
        except HostError as found:
            state, problem = "failing", found.code
        return WorkerReport(
            kind=self.kind,
            name=self.name,
            pid=os.getpid(),
            state="draining" if self.is_draining() else state,
            problem=problem,
            since=self.since,
        )

    def parked(self, node: ShortHash) -> int:
        """Memory of the node's suspended guests in this process."""
        return self.parked_bytes(node)

    def metrics(self) -> Sequence[MetricFamily]:
        return [_family(metric) for metric in self.registry.collect()]


WORKER = Interface("worker", Reporter, None, ("report", "metrics", "parked"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUse:
    """Resources of a process: CPU seconds since its start, and resident bytes."""

    cpu_seconds: float
    resident_bytes: int


def process_use(pid: int) -> ProcessUse | None:
    """The resources in use now; None if there is no such process, or no procfs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user, system, resident = int(fields[11]), int(fields[12]), int(fields[21])
    except (OSError, IndexError, ValueError):
        return None
    return ProcessUse(
        cpu_seconds=round((user + system) / _CLOCK_TICKS, 2), resident_bytes=resident * _PAGE_BYTES
    )


def add_process_metrics(registry: CollectorRegistry, started: float) -> None:
    """Add the process's own CPU time, memory and age to the metrics of `registry`."""
    registry.register(_ProcessCollector(started))


class _ProcessCollector:
    def __init__(self, started: float) -> None:
        self._started = started

    def collect(self) -> Sequence[Metric]:
        use = process_use(os.getpid())
        age = Metric("cordbox_worker_age_seconds", "Time since the worker's start.", "gauge")
        age.add_sample(age.name, {}, time.monotonic() - self._started)
        if use is None:
            return [age]
        cpu = Metric("cordbox_worker_cpu_seconds", "CPU time that the worker used.", "counter")
        cpu.add_sample(f"{cpu.name}_total", {}, use.cpu_seconds)
        resident = Metric("cordbox_worker_resident_bytes", "Memory that the worker holds.", "gauge")
        resident.add_sample(resident.name, {}, use.resident_bytes)
        return [age, cpu, resident]


def _family(metric: Metric) -> MetricFamily:
    return MetricFamily(
        name=metric.name,
        documentation=metric.documentation,
        type=metric.type,
        samples=[
            MetricSample(name=sample.name, labels=dict(sample.labels), value=sample.value)
            for sample in metric.samples
        ],
    )
