"""The root of the running host: opens its parts in order, serves, and closes them.

Parts are opened in the order in which they need each other and closed in the opposite order, also
when the start fails half way. Work that a crash interrupted is resumed before the first request.
`host.runtime.wiring` puts the parts together.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import structlog
from prometheus_client import CollectorRegistry

from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.identity import Keeping
from host.adapters.files.secret_files import read_secret
from host.adapters.http.acceptor import DoorMetrics
from host.adapters.os.system import SystemClock, SystemEntropy
from host.network.membership.workers import GROUP as MEMBERSHIP
from host.ports.clock import Entropy, TwoClocks
from host.rest.listener import addresses_of, bind, bound
from host.rest.server import serve
from host.rest.tls import ServerCertificate
from host.rest.tls_files import Certificates, check_given_files
from host.runtime.plugin_loading import make_plugin_manager
from host.runtime.wiring.base import ProcessContext, own_host_name
from host.runtime.wiring.engines import log_engine
from host.runtime.wiring.flows import only_member, start_flows, warm_up_code
from host.runtime.wiring.gateway_parts import start_gateway
from host.runtime.wiring.health import Health, storage_checks
from host.runtime.wiring.inspection import name_what_is_missing
from host.runtime.wiring.membership_run import start_membership
from host.runtime.wiring.parts import Wiring
from host.runtime.wiring.rest import Rest, live_door, make_rest, open_certificates
from host.runtime.workers.hangup import Load, follow_log_level, reread_pins
from host.runtime.workers.monitor import monitored
from host.runtime.workers.overview import Overviews, single_line
from host.runtime.workers.overview_metrics import OverviewCollector
from host.settings import HostSettings
from host.settings.live import LiveConfig
from host.settings.sections import REST

_log = structlog.get_logger("cordbox.host")


def run_host(
    settings: HostSettings,
    *,
    given_password: str | None,
    on_ready: Callable[[Mapping[str, str]], None],
    is_new: bool = False,
    load: Load | None = None,
) -> None:
    """Run a host until SIGTERM or SIGINT.

    Args:
        settings: all settings.
        given_password: the administrator's password, unless a file is set.
        on_ready: called with the facts that `_facts` gives.
        is_new: start a new cluster if the files of the data directory belong to different clusters.
        load: reads the settings again, on SIGHUP.

    Raises:
        HostError: the host cannot start; opened parts are closed.
    """
    if settings.admin_password_file is not None:
        given_password = read_secret(settings.admin_password_file)
    clock = SystemClock()
    check_given_files(settings, clock)
    # Files that the host creates are accessible to their owner only.
    os.umask(0o077)
    with ExitStack() as stack:
        directory = DataDirectory.hold(settings.data_dir, is_new=is_new)
        stack.callback(directory.release)
        listener = stack.enter_context(bind(settings.listen_host, settings.listen_port))
        gateways = stack.enter_context(bound(settings.gateway_listen))
        certificates = open_certificates(settings, directory, clock)
        host = stack.enter_context(
            composed(
                settings,
                directory,
                clock=clock,
                entropy=SystemEntropy(),
                given_password=given_password,
                certificates=certificates,
                gateway_sockets=gateways,
            )
        )
        follow_log_level(host.config, form=settings.log_format, worker=None)
        log_engine()
        monitor = settings.monitor_address(0)
        if monitor is not None:
            stack.enter_context(monitored(monitor, host.monitor))
        facts = _facts(settings.listen, [listener, *gateways], certificates.files, host)
        serve(
            host.asgi,
            listener=listener,
            certificate=certificates,
            threads=host.config.section(REST).get().threads,
            stop_seconds_max=settings.stop_seconds_max,
            on_ready=lambda: on_ready(facts),
            door=live_door(host.config, DoorMetrics(host.registry)),
            on_hangup=_rereading(settings, load, host.config),
        )
        _log.info("stopping")


@contextmanager
def composed(
    settings: HostSettings,
    directory: DataDirectory,
    *,
    clock: TwoClocks,
    entropy: Entropy,
    given_password: str | None,
    certificates: Certificates | None = None,
    gateway_sockets: Sequence[socket.socket] = (),
) -> Iterator[Rest]:
    """A host on a locked data directory, with running flow workers, inside the block."""
    with Keeping(directory.path) as keeping, ExitStack() as stack:
        base = ProcessContext(
            settings=settings,
            directory=directory,
            clock=clock,
            entropy=entropy,
            plugins=make_plugin_manager(
                settings.loaded_plugins, with_entry_points=settings.plugin_entry_points
            ),
            registry=CollectorRegistry(),
            stack=stack,
            gateway_sockets=gateway_sockets,
        )
        parts = Wiring(base)
        started = clock.now_ms()
        health = Health(storage_checks(directory.path, parts.database), clock)
        overviews = Overviews(parts.store, clock, lambda: single_line(started, parts.store))
        base.registry.register(OverviewCollector(overviews.latest))
        rest = make_rest(
            parts,
            given_password=given_password,
            health=health,
            certificates=certificates,
            exposed=base.registry,
            overview=overviews.latest,
            parked=parts.sticky.bytes_of,
        )
        name_what_is_missing(parts)
        parts.go_on_with_nodes()
        parts.go_on_with_moves()
        parts.go_on_with_registrations()
        start_flows(parts)
        start_links(parts)
        if settings.has_relay:
            _start_relay(parts)
        warm_up_code(parts)
        keeping.begin()
        yield rest


def _rereading(settings: HostSettings, load: Load | None, config: LiveConfig) -> Callable[[], None]:
    """What SIGHUP does: the settings are read again, and compared with those read last."""
    running = settings

    def hung_up() -> None:
        nonlocal running
        if load is not None:
            running = reread_pins(running, load, config)

    return hung_up


def start_links(parts: Wiring) -> None:
    """Meet other clusters, on a host with a gateway."""
    if not parts.has_links:
        return
    # Imported here: hosts without a gateway do not load the link.
    from host.network.link.sessions import GROUP as LINKS  # noqa: PLC0415

    run, host = parts.base.entropy.random_bytes(8).hex(), own_host_name(parts.base.settings)
    start_membership(parts, only_member(parts.store, MEMBERSHIP, run, host=host))
    parts.start_link(only_member(parts.store, LINKS, run, host=host))
    start_gateway(parts)


def _start_relay(parts: Wiring) -> None:
    # Imported here: hosts without a broker do not load the relay.
    from host.network.outward.troubles import GROUP as RELAYS  # noqa: PLC0415
    from host.runtime.wiring.relay_run import start_relay  # noqa: PLC0415

    run, host = parts.base.entropy.random_bytes(8).hex(), own_host_name(parts.base.settings)
    start_relay(parts, only_member(parts.store, RELAYS, run, host=host))
    if parts.base.settings.bus == "kafka":
        from host.runtime.wiring.carriage_run import start_carriage  # noqa: PLC0415

        start_carriage(parts, lambda group: only_member(parts.store, group, run, host=host))


def _facts(
    listen: str, sockets: Sequence[socket.socket], certificate: ServerCertificate, host: Rest
) -> Mapping[str, str]:
    """`url`, `certificate`, with a gateway `gatewayListen`, with a made password its file.

    `sockets` are that of REST, then those of the gateway.
    """
    url = f"https://{listen.rpartition(':')[0]}:{sockets[0].getsockname()[1]}"
    facts = {"url": url, "certificate": str(certificate.certificate_file.absolute())}
    if sockets[1:]:
        facts["gatewayListen"] = addresses_of(sockets[1:])
    if host.admin_password_file is not None:
        facts["adminPasswordFile"] = str(host.admin_password_file.absolute())
    return facts
