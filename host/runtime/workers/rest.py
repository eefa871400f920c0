"""The REST worker: serves HTTPS on the socket that its supervisor holds."""

import os
import socket

from host.adapters.files.secret_files import read_secret
from host.adapters.http.acceptor import DoorMetrics
from host.domain.errors import UnavailableError
from host.domain.workers import WorkerKind, WorkerPlan
from host.rest.server import serve
from host.runtime.wiring.base import own_host_name
from host.runtime.wiring.engines import log_engine
from host.runtime.wiring.health import Health, storage_checks
from host.runtime.wiring.inspection import name_what_is_missing
from host.runtime.wiring.parts import Wiring
from host.runtime.wiring.rest import live_door, make_rest, open_certificates
from host.runtime.workers.hangup import take_over_pins
from host.runtime.workers.metrics import parked_bytes, workers_registry
from host.runtime.workers.overview import Overviews, worker_lines
from host.runtime.workers.overview_metrics import OverviewCollector
from host.runtime.workers.process import Employment
from host.runtime.workers.run_directory import RunDirectory
from host.runtime.workers.worker_run import working
from host.settings.sections import REST

PASSWORD_VARIABLE = "CORDBOX_ADMIN_PASSWORD"  # noqa: S105  # the variable's name
"""Environment variable with the administrator's password, unless the settings name a file."""


def run_rest(job: Employment) -> None:
    """Serve until SIGTERM or SIGINT, on the socket inherited from the supervisor."""
    directory = job.directory
    with working(
        directory,
        kind=WorkerKind.REST,
        name=job.name,
        monitor=job.monitor,
        is_draining=job.stop.is_set,
        gateway_sockets=job.gateway_sockets,
    ) as parts:
        base = parts.base
        settings = base.settings
        file = settings.admin_password_file
        run = RunDirectory(directory.runtime)
        checks = {
            **storage_checks(directory.path, parts.database),
            "workers": lambda: check_workers(run, settings.worker_plan),
        }
        certificates = open_certificates(settings, directory, base.clock)
        host = own_host_name(settings)
        overviews = Overviews(parts.store, base.clock, lambda: worker_lines(run, parts.store, host))
        base.registry.register(OverviewCollector(overviews.latest))
        rest = make_rest(
            parts,
            given_password=os.environ.get(PASSWORD_VARIABLE) if file is None else read_secret(file),
            health=Health(checks, base.clock),
            certificates=certificates,
            exposed=workers_registry(run),
            overview=overviews.latest,
            parked=lambda node: parked_bytes(run, node),
        )
        log_engine()
        name_what_is_missing(parts)
        parts.go_on_with_nodes()
        parts.go_on_with_moves()
        if WorkerKind.MEMBERSHIP not in settings.worker_plan.counts:
            run_registrations(parts)
        if job.gateway_sockets:  # the host has no gateway worker
            _run_links(parts)
        facts = {"certificate": str(certificates.files.certificate_file.absolute())}
        if rest.admin_password_file is not None:
            facts["adminPasswordFile"] = str(rest.admin_password_file.absolute())
        serve(
            rest.asgi,
            listener=socket.socket(fileno=job.listener),
            certificate=certificates,
            threads=parts.config.section(REST).get().threads,
            stop_seconds_max=settings.stop_seconds_max,
            on_ready=lambda: job.ready(**facts),
            door=live_door(parts.config, DoorMetrics(base.registry)),
            on_hangup=lambda: take_over_pins(directory, parts.config),
        )


def run_registrations(parts: Wiring) -> None:
    """What a worker of membership does, in a host that has none."""
    if not parts.has_links:
        parts.go_on_with_registrations()
        return
    # Imported here: a process of REST without links does not load the flow engine.
    from host.runtime.workers.kinds import run_membership  # noqa: PLC0415

    run_membership(parts)


def _run_links(parts: Wiring) -> None:
    # Imported here: a process of REST without links does not load the flow engine.
    from host.runtime.workers.kinds import run_gateway, run_link  # noqa: PLC0415

    run_link(parts)
    run_gateway(parts)


def check_workers(run: RunDirectory, plan: WorkerPlan) -> None:
    """Raise an error if a kind of worker has no process that is ready.

    Raises:
        UnavailableError: names the kind.
    """
    table = run.table()
    rows = () if table is None else table.workers
    ready = {row.kind for row in rows if row.phase == "ready"}
    for kind in plan.counts:
        # REST itself answers this request, so it runs, whatever the published state is.
        if kind is not WorkerKind.REST and kind not in ready:
            raise UnavailableError(f"no {kind} worker is ready")
