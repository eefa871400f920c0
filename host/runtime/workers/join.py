"""A worker that an operator starts in addition to those of a running host."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.descriptors import raise_descriptor_limit
from host.domain.errors import ConflictError
from host.domain.workers import WorkerKind, WorkerPlan
from host.observe.logs import configure_logging
from host.runtime.workers.process import stop_on_signals
from host.runtime.workers.run_directory import RunDirectory
from host.runtime.workers.worker_run import working
from host.settings.sections import LOG

_log = structlog.get_logger("cordbox.workers")


class WorkerNotWantedError(ConflictError):
    """The running host has no use for another worker of this kind."""

    code = "worker-not-wanted"


def join_host(
    data_dir: Path, kind: WorkerKind, *, monitor: str | None, on_ready: Callable[[str], None]
) -> None:
    """Work for the host that runs on `data_dir`, until a signal, or until it ends.

    Args:
        data_dir: the host's data directory.
        kind: the kind of worker.
        monitor: address of this worker's own health and metrics over HTTP, if any.
        on_ready: called with the worker's name.

    Raises:
        HostNotRunningError: no host runs there, or it has no worker processes.
        WorkerNotWantedError: no other worker would call this kind.
    """
    stop = stop_on_signals()
    raise_descriptor_limit()
    os.umask(0o077)
    directory = DataDirectory.join(data_dir.absolute())
    try:
        settings = RunDirectory(directory.runtime).settings()
        _check_wanted(kind, settings.worker_plan)
        name = f"{kind}-p{os.getpid()}"
        configure_logging(level=settings.section(LOG).level, form=settings.log_format, worker=name)
        threading.Thread(target=_follow, args=(directory,), name="host", daemon=True).start()
        with working(directory, kind=kind, name=name, monitor=monitor, is_draining=stop.is_set):
            on_ready(name)
            stop.wait()
            _log.info("draining")
    finally:
        directory.release()


def _check_wanted(kind: WorkerKind, plan: WorkerPlan) -> None:
    if kind is WorkerKind.REST:
        raise WorkerNotWantedError("the host has its rest worker; there is never a second one")
    if kind in {WorkerKind.LINK, WorkerKind.GATEWAY}:
        raise WorkerNotWantedError(
            f"the sockets of gateways are the supervisor's: it starts all {kind} workers itself"
        )
    if kind not in plan.counts:
        raise WorkerNotWantedError(
            f"the host runs with workers {plan}: its {kind} service lives in other processes;"
            f" start it with --workers {plan},{kind}=1"
        )


def _follow(directory: DataDirectory) -> None:
    """End with the host: its services are gone, and this worker's locks block its next start."""
    directory.wait_until_free()
    _log.info("host-ended")
    os.kill(os.getpid(), signal.SIGTERM)
