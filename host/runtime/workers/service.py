"""The process of every worker that serves no HTTPS."""

import structlog

from host.runtime.workers.process import Employment
from host.runtime.workers.worker_run import working

_log = structlog.get_logger("cordbox.workers")


def run_service(job: Employment) -> None:
    """Work until stopped, then drain: finish running work, leave the rest to other workers."""
    with working(
        job.directory,
        kind=job.kind,
        name=job.name,
        monitor=job.monitor,
        is_draining=job.stop.is_set,
        gateway_sockets=job.gateway_sockets,
    ):
        job.ready()
        job.stop.wait()
        _log.info("draining")
