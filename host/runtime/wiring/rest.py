"""The REST application over the host's services, and its certificate."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from host.access import Groups, Roles, Users
from host.access.administrator import ensure_administrator
from host.access.delays import SignInDelays
from host.access.external import ExternalUsers
from host.access.sessions import BrowserSessions
from host.adapters.files.data_directory import DataDirectory
from host.adapters.http.acceptor import DoorMetrics
from host.adapters.http.admission import Seats
from host.adapters.http.pace import Patience
from host.adapters.os.descriptors import descriptor_limit
from host.adapters.os.system import SteadyClock
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.flow.engine.service import FlowService
from host.flow.engine.system_starts import SystemStarts
from host.ledger.rebuilds import VaultRebuilds
from host.ledger.recorded import RecordedTransactions
from host.ledger.repairs import Repairs
from host.nodes.packages.catalogue import PackageCatalogue
from host.observe.judgement import Facts
from host.observe.overview import Overview
from host.ports.clock import Clock
from host.ports.live import Derived, Live
from host.ports.vaults import VaultRegister
from host.rest.app import create_app
from host.rest.board import Board
from host.rest.external_sign_in import ExternalSignIn
from host.rest.gate import Gate
from host.rest.observe import Readiness, health_routes, overview_route
from host.rest.server import Door
from host.rest.services import RestServices
from host.rest.sign_in import SignIn
from host.rest.tls import ServerCertificate, own_certificate
from host.rest.tls_files import Certificates, given_files
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.board import host_facts
from host.runtime.wiring.health import Glance, Health
from host.runtime.wiring.held_bytes import HeldBytes, add_account_metrics
from host.runtime.wiring.host_metrics import HostCollector, NodesCollector
from host.runtime.wiring.parts import Wiring
from host.runtime.wiring.schemas import NOTARY_SCHEMAS, VAULT_SCHEMAS
from host.runtime.wiring.sections import answer_bytes_per_second, body_bytes_max, password_rules
from host.settings import HostSettings
from host.settings.live import LiveConfig
from host.settings.rest import RestValues
from host.settings.sections import REST

_VAULTS_NAMED_MAX = 10
_PACKAGES_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The application, its sections of settings, a new password of `admin`, and metrics.

    `monitor`: `/isHealthy`, `/status` and `/metrics`, as the application has them.
    """

    asgi: ASGIApp
    services: RestServices
    config: LiveConfig
    admin_password_file: Path | None
    registry: CollectorRegistry
    monitor: Sequence[BaseRoute]


def make_rest(
    parts: Wiring,
    *,
    given_password: str | None,
    health: Health,
    certificates: Certificates | None = None,
    exposed: CollectorRegistry,
    overview: Callable[[], Overview],
    parked: Callable[[ShortHash], int],
) -> Rest:
    """Build the application; create the administrator if there is none.

    Args:
        parts: the parts of the process.
        given_password: the administrator's password.
        health: whether the host can do its work.
        certificates: those of HTTPS, if it is used.
        exposed: what `/metrics` shows.
        overview: what `/overview` shows.
        parked: memory of a node's suspended guests, in all processes.
    """
    base = parts.base
    _register_metrics(parts, certificates)
    users = Users(parts.database, clock=base.clock, entropy=base.entropy)
    admin_password_file = ensure_administrator(
        users,
        given_password=given_password,
        secrets=base.directory.secrets,
        entropy=base.entropy,
    )
    readiness = _readiness_of(parts, health, certificates)
    services = _services(
        parts,
        users,
        parked,
        partial(host_facts, readiness, overview, base.directory.path, parts.network_health),
    )
    sign_in = _sign_in(parts)
    services = replace(services, has_identity_provider=sign_in.takes_tokens)
    gate = _gate(parts, users, sign_in)
    asgi = create_app(
        services,
        sign_in=sign_in,
        max_content_length=body_bytes_max(parts.config),
        answer_bytes_per_second=answer_bytes_per_second(parts.config),
        registry=base.registry,
        exposed=exposed,
        readiness=readiness,
        extra_routes=(_overview(overview, services), *_plugged_routes(base, parts.config, gate)),
        gate=gate,
        tracer=parts.tracer,
    )
    return Rest(
        asgi=asgi,
        services=services,
        config=parts.config,
        admin_password_file=admin_password_file,
        registry=base.registry,
        monitor=health_routes(exposed, readiness),
    )


def _sign_in(parts: Wiring) -> SignIn:
    base = parts.base
    delays = SignInDelays(SteadyClock(base.clock))
    return SignIn(delays, base.registry, _external_sign_in(parts))


def _external_sign_in(parts: Wiring) -> ExternalSignIn | None:
    base = parts.base
    provider = base.plugins.hook.register_identity_provider(
        settings=base.settings, config=parts.config, clock=base.clock
    )
    if provider is None:
        return None
    return ExternalSignIn(provider, ExternalUsers(parts.database), base.clock)


def _register_metrics(parts: Wiring, certificates: Certificates | None) -> None:
    base = parts.base
    base.registry.register(HostCollector(base.directory, certificates))
    base.registry.register(NodesCollector(parts.nodes.states))
    add_account_metrics(base.registry, parts.store)


def _flows(parts: Wiring) -> FlowService:
    return FlowService(
        units=parts.store,
        clock=parts.store.time,
        entropy=parts.base.entropy,
        quotas=parts.quotas,
        publishes_statuses=parts.base.settings.has_relay,
    )


def _services(
    parts: Wiring,
    users: Users,
    parked: Callable[[ShortHash], int],
    facts: Callable[[], Facts],
) -> RestServices:
    base = parts.base
    recorded = RecordedTransactions(parts.vaults)
    starts = SystemStarts(
        units=parts.store, clock=parts.store.time, entropy=base.entropy, quotas=parts.quotas
    )
    flows = _flows(parts)
    return RestServices(
        packages=parts.packages,
        certificates=parts.packages.certificates,
        virtual_nodes=parts.nodes,
        flows=flows,
        board=_board(parts, flows, facts),
        membership=parts.registrations,
        members=parts.members,
        mgm=parts.mgm,
        users=users,
        roles=Roles(parts.database, clock=base.clock, entropy=base.entropy),
        groups=Groups(parts.database, clock=base.clock, entropy=base.entropy),
        password_rules=password_rules(parts.config),
        keys=parts.keys,
        hosted=parts.hosted,
        network_health=parts.network_health,
        network_peers=parts.network_peers,
        quotas=parts.quotas,
        held_bytes=HeldBytes(
            store=parts.store,
            vaults=parts.vaults,
            notaries=parts.notary_databases,
            folders=base.directory.virtual_nodes,
            parked=parked,
        ),
        clock=base.clock,
        config=parts.config_service,
        administrative_log=parts.administrative_log,
        transactions=recorded,
        repairs=Repairs(recorded, starts),
        moves=parts.moves,
        transfer_key=parts.transfer_key,
        rebuilds=VaultRebuilds(
            vaults=parts.vaults, starts=starts, clock=base.clock, entropy=base.entropy
        ),
        vault_sql=lambda: parts.storage.vault_sql(VAULT_SCHEMAS),
        uniqueness_sql=lambda: parts.storage.uniqueness_sql(NOTARY_SCHEMAS),
    )


def _board(parts: Wiring, flows: FlowService, facts: Callable[[], Facts]) -> Board:
    return Board(
        clock=parts.base.clock,
        host=facts,
        nodes=parts.nodes,
        flows=parts.store,
        dead_letters=flows.dead_letters.page,
        hits=parts.quotas.recent_hits,
    )


def open_certificates(
    settings: HostSettings, directory: DataDirectory, clock: Clock
) -> Certificates:
    """The certificate of REST, checked.

    Raises:
        TlsFilesError: it cannot be used.
    """
    files = server_certificate(settings, directory, clock)
    return Certificates(files, clock, listen_host=settings.listen_host)


def live_door(live: LiveConfig, metrics: DoorMetrics) -> Live[Door]:
    """The limits of connections to REST, from the settings and the limit of open files."""
    return Derived(lambda rest: _door(rest, metrics), live.section(REST))


def _door(rest: RestValues, metrics: DoorMetrics) -> Door:
    return Door(
        seats=Seats.within(
            descriptor_limit(),
            total_max=rest.connections_max,
            address_max=rest.connections_per_address_max,
            proxies=rest.proxies,
        ),
        patience=Patience(
            transfer_bytes_per_second_min=rest.bytes_per_second_min,
            transfer_seconds_max=rest.transfer_seconds_max,
        ),
        proxies=rest.proxies,
        metrics=metrics,
    )


def server_certificate(
    settings: HostSettings, directory: DataDirectory, clock: Clock
) -> ServerCertificate:
    """The certificate of the settings, or else the host's own, created at its first start."""
    given = given_files(settings)
    return given or own_certificate(directory.tls, listen_host=settings.listen_host, clock=clock)


def _readiness_of(
    parts: Wiring, health: Health, certificates: Certificates | None
) -> Callable[[], Readiness]:
    return partial(
        _readiness,
        health,
        certificates,
        packages=Glance(lambda: _missing_packages(parts.catalogue), parts.base.clock),
        relays=Glance(lambda: _waiting_relays(parts), parts.base.clock),
        vaults=parts.made_vaults,
        notaries=parts.made_notaries,
    )


def _readiness(
    health: Health,
    certificates: Certificates | None,
    *,
    packages: Glance,
    relays: Glance,
    vaults: VaultRegister,
    notaries: VaultRegister,
) -> Readiness:
    warnings: dict[str, str] = {}
    expires = None if certificates is None else certificates.warning()
    if expires is not None:
        warnings["certificate-expires"] = expires
    # A broken database affects only its node: the host runs, and reports it.
    unusable = {"vault-unusable": _unusable(vaults), "uniqueness-unusable": _unusable(notaries)}
    warnings |= {code: text for code, text in unusable.items() if text}
    missing = packages.text()
    if missing:
        warnings["package-missing"] = missing
    if waiting := relays.text():
        warnings["relay-waits"] = waiting
    return Readiness(
        problems=[(problem.check, problem.error) for problem in health.problems()],
        warnings=warnings,
        is_degraded=bool(missing or any(unusable.values())),
    )


def _unusable(databases: VaultRegister) -> str:
    try:
        found = databases.problems()
    except HostError:
        return ""  # the database's own check reports it
    named = ", ".join(f"{each.short_hash} ({each.code})" for each in found[:_VAULTS_NAMED_MAX])
    more = f" and {len(found) - _VAULTS_NAMED_MAX} more" if len(found) > _VAULTS_NAMED_MAX else ""
    return f"{named}{more}"


def _waiting_relays(parts: Wiring) -> str:
    if not parts.base.settings.has_relay:
        return ""
    # Imported here: hosts without a broker do not load the relay.
    from host.runtime.wiring.relay_run import relay_warning  # noqa: PLC0415

    return relay_warning(parts.store)


def _missing_packages(catalogue: PackageCatalogue) -> str:
    try:
        found = catalogue.missing()
    except HostError:
        return ""
    names = [f"{each.identity.name} {each.identity.version}" for each in found]
    named = ", ".join(names[:_PACKAGES_NAMED_MAX])
    more = f" and {len(names) - _PACKAGES_NAMED_MAX} more"
    return named + (more if len(names) > _PACKAGES_NAMED_MAX else "")


def _overview(overview: Callable[[], Overview], services: RestServices) -> BaseRoute:
    return overview_route(partial(_told, overview, services.board))


def _told(overview: Callable[[], Overview], board: Board) -> Mapping[str, object]:
    """The overview for callers without a user: findings by code, without what they name."""
    counts = Counter((found.name, found.severity.value) for found in board.look().findings)
    findings = [
        {"code": name, "severity": severity, "count": count}
        for (name, severity), count in counts.items()
    ]
    shown: dict[str, object] = msgspec.to_builtins(overview())
    return {**shown, "findings": findings}


def _gate(parts: Wiring, users: Users, sign_in: SignIn) -> Gate:
    base = parts.base
    sessions = BrowserSessions(parts.database, clock=base.clock, entropy=base.entropy)
    return Gate(users=users, sign_in=sign_in, sessions=sessions, clock=base.clock)


def _plugged_routes(base: ProcessContext, config: LiveConfig, gate: Gate) -> Sequence[BaseRoute]:
    plugged = base.plugins.hook.register_rest_routes(
        settings=base.settings, config=config, gate=gate
    )
    return tuple(chain.from_iterable(plugged))
