"""One worker of a running host: its parts, and the socket where the others call it."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry

from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.domain.workers import WorkerKind
from host.runtime.plugin_loading import make_plugin_manager
from host.runtime.rpc import RpcServer, Service
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.cluster import WorkerTopology
from host.runtime.wiring.health import Health, storage_checks
from host.runtime.wiring.parts import Wiring
from host.runtime.workers.flow_group import FLOW_GROUP
from host.runtime.workers.hangup import follow_log_level, listen, take_over_pins
from host.runtime.workers.own_groups import group_of
from host.runtime.workers.report import WORKER, Reporter, add_process_metrics
from host.runtime.workers.run_directory import RunDirectory
from host.settings import HostSettings

if TYPE_CHECKING:
    from host.runtime.workers.kinds import Work

_log = structlog.get_logger("cordbox.workers")


@contextmanager
def working(
    directory: DataDirectory,
    *,
    kind: WorkerKind,
    name: str,
    monitor: str | None,
    is_draining: Callable[[], bool],
    gateway_sockets: Sequence[socket.socket] = (),
) -> Iterator[Wiring]:
    """A worker that serves its kind for the duration of the block."""
    run = RunDirectory(directory.runtime)
    settings = run.settings()
    clock = SystemClock()
    with ExitStack() as stack:
        cluster = WorkerTopology(
            kind=kind, name=name, plan=settings.worker_plan, folder=run.path, key=run.key()
        )
        stack.callback(cluster.close)
        base = ProcessContext(
            settings=settings,
            directory=directory,
            clock=clock,
            entropy=SystemEntropy(),
            plugins=make_plugin_manager(
                settings.loaded_plugins, with_entry_points=settings.plugin_entry_points
            ),
            registry=CollectorRegistry(),
            stack=stack,
            cluster=cluster,
            gateway_sockets=gateway_sockets,
        )
        add_process_metrics(base.registry, time.monotonic())
        parts = Wiring(base)
        follow_log_level(parts.config, form=settings.log_format, worker=name)
        listen(lambda: take_over_pins(directory, parts.config))
        work = _work_of(kind)
        # Where all flow workers of a host have died, its REST worker releases their partitions.
        served = (Service(FLOW_GROUP, group_of(parts)),) if work is None else work.serves(parts)
        health = Health(storage_checks(directory.path, parts.database), clock)
        reporter = Reporter(
            kind=kind,
            name=name,
            since=clock.now_ms(),
            registry=base.registry,
            check=health.check,
            is_draining=is_draining,
            parked_bytes=parts.sticky.bytes_of,
        )
        server = RpcServer(run.socket(name), cluster.key, [*served, Service(WORKER, reporter)])
        stack.callback(_stop, server, settings)
        server.start()
        if monitor is not None:
            # A server of HTTP, which a worker without a monitor does not load.
            from host.runtime.workers.monitor import monitored, worker_routes  # noqa: PLC0415

            stack.enter_context(monitored(monitor, worker_routes(reporter)))
        if work is not None:
            work.begins(parts)
        yield parts


def _stop(server: RpcServer, settings: HostSettings) -> None:
    seconds = settings.stop_seconds_max
    if not server.stop(seconds):
        _log.warning("calls-cut-off", seconds=seconds)


def _work_of(kind: WorkerKind) -> "Work | None":
    """The work of a kind; None for `rest`, whose process does not load the flow engine."""
    if kind is WorkerKind.REST:
        return None
    from host.runtime.workers.kinds import WORK  # noqa: PLC0415

    return WORK[kind]
