"""The parts of one process, each opened at its first use.

Parts are closed in the opposite order, so that none outlives what it needs. A service whose kind
has worker processes of its own is called there; others run in this process.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

import structlog

from host import entities as persistence
from host import ledger
from host.database.claims import RENEW_SECONDS, Claimant
from host.domain.workers import COMBINED, WorkerKind
from host.flow.engine.sticky_cache import StickyCache
from host.guests.admissions import Admissions
from host.guests.contracts import SandboxedContracts
from host.guests.library import GuestLibrary
from host.guests.metered import MeteredContracts
from host.guests.source import GuestSource
from host.keys import SchemePublicKeys
from host.network import membership
from host.nodes import vnode
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.administrative import (
    AdministrativeLog,
    AdministrativeRegister,
)
from host.nodes.audit_log.service import KEY_NAME, load_audit_key
from host.nodes.packages.catalogue import PackageCatalogue
from host.nodes.packages.service import PackageService
from host.nodes.quotas import QuotaService
from host.nodes.quotas.defaults import live_quota
from host.nodes.quotas.flushing import PeriodicFlush
from host.ports.capability import Capability
from host.ports.cpi_files import CpiFiles
from host.ports.database import SqlDatabase
from host.ports.directory import ContractVerifier, Members
from host.ports.keys import KeyStore
from host.ports.live import Derived
from host.ports.public_keys import PublicKeys
from host.ports.storage import Storage
from host.ports.units import FlowStore
from host.ports.vaults import VaultAccess
from host.runtime.rpc import Interface
from host.runtime.wiring import services
from host.runtime.wiring.administrative_reading import newest_act
from host.runtime.wiring.base import PluginMissingError, ProcessContext
from host.runtime.wiring.capabilities import make_capabilities
from host.runtime.wiring.guests import make_guests
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, VAULT_SCHEMAS
from host.runtime.wiring.sections import (
    administrative_retention,
    body_bytes_max,
    open_sections,
    parking_lot,
    segment_bytes,
)
from host.runtime.wiring.services import RemoteCapability, RemoteContracts, VaultAnswers
from host.settings.changes import ConfigService
from host.settings.following import REFRESH_SECONDS, Following
from host.settings.live import LiveConfig
from host.settings.sections import (
    GUEST,
)
from host.settings.store import SectionStore
from sandbox.runtime import Sandbox

_BACKGROUND_THREADS = 4
"""Uploads and makings of nodes at once; what costs of an upload is bounded for all together."""
AUDIT_SYNC_SECONDS = 1
"""Entries of audit logs that are older than this survive a power failure."""
USAGE_FLUSH_SECONDS = 5
"""Counts that are older than this survive a crash."""
NOTE_SECONDS = 5
"""The recorded states of vaults and audit logs are at most this old after a crash."""

_log = structlog.get_logger("cordbox.host")
Port = TypeVar("Port")


class Wiring:
    """The parts of a process. Used only by the thread that starts the process."""

    def __init__(self, base: ProcessContext) -> None:
        self.base = base

    @cached_property
    def storage(self) -> Storage:
        """The storage of registers, vaults and CPIs."""
        storage: Storage | None = self.base.plugins.hook.register_storage(
            settings=self.base.settings, directory=self.base.directory
        )
        if storage is None:
            raise PluginMissingError("no plugin gives a storage (hook register_storage)")
        return storage

    @cached_property
    def database(self) -> SqlDatabase:
        """The cluster's database."""
        database = self.storage.open_database(CLUSTER_SCHEMAS)
        self.base.stack.callback(database.close)
        return database

    @cached_property
    def config(self) -> LiveConfig:
        """All sections of settings in force; follows changes that other processes store."""
        live = open_sections(self.base, self.section_store)
        self._flush(Following(self.section_store, live).refresh, REFRESH_SECONDS)
        return live

    @cached_property
    def section_store(self) -> SectionStore:
        """The stored versions of sections of settings."""
        return SectionStore(self.database)

    @cached_property
    def config_service(self) -> ConfigService:
        """Reads and changes sections of settings."""
        return ConfigService(self.section_store, self.config, self.base.clock)

    @cached_property
    def quotas(self) -> QuotaService:
        """Quotas and usage of virtual nodes."""
        plan = self.base.cluster.plan.counts if self.base.cluster else {}
        quotas = QuotaService(
            database=self.database,
            defaults=live_quota(self.config),
            clock=self.base.clock,
            processes=plan.get(WorkerKind.FLOW, 1),
            registry=self.base.registry,
        )
        self._flush(quotas.flush, USAGE_FLUSH_SECONDS)
        return quotas

    @cached_property
    def audit_key(self) -> bytes:
        """The key of the nodes' audit logs and of the administrative log."""
        directory = self.base.directory
        if not (directory.secrets / KEY_NAME).exists():
            # Rare: the first start, or the key was lost before any entry was written.
            _log.info("audit-key-made", folder=str(directory.secrets))
        return load_audit_key(
            directory.secrets,
            entropy=self.base.entropy,
            logs=directory.virtual_nodes,
            newest_act=newest_act(directory.path),
        )

    @cached_property
    def audit_logs(self) -> NodeAuditLogs:
        """The logs of privileged calls, one for each virtual node."""
        logs = NodeAuditLogs(
            self.base.directory.virtual_nodes,
            key=self.audit_key,
            clock=self.base.clock,
            segment_bytes=segment_bytes(self.config),
            known_end=self.made_vaults.audit_end,
            bytes_max_of=lambda node: self.quotas.quota(node).audit_bytes_max,
        )

        # Stopped after the logs are closed, so that their last entries are synced to disk.
        self._flush(lambda: self.made_vaults.note_audit_ends(logs.take_ends()), NOTE_SECONDS)
        self.base.stack.callback(logs.close)
        self._flush(logs.sync, AUDIT_SYNC_SECONDS)
        return logs

    @cached_property
    def administrative_log(self) -> AdministrativeLog:
        """The administrative log; only the process that serves REST writes it."""
        register = AdministrativeRegister(
            self.database,
            key=self.audit_key,
            clock=self.base.clock,
            retention=administrative_retention(self.config),
        )
        log = AdministrativeLog(register, self.base.clock)
        log.start()
        self.base.stack.callback(log.close)
        return log

    @cached_property
    def vaults(self) -> VaultAccess:
        """The databases of the virtual nodes."""
        vaults = self.storage.open_vaults(
            VAULT_SCHEMAS,
            register=self.made_vaults,
            bytes_max_of=lambda node: self.quotas.quota(node).vault_bytes_max,
        )
        self.base.stack.callback(vaults.close)
        self._flush(vaults.note, NOTE_SECONDS)
        return vaults

    @cached_property
    def made_vaults(self) -> vnode.MadeVaults:
        """Which nodes have a vault, each vault's newest known state, and which cannot be used."""
        return vnode.MadeVaults(database=self.database, clock=self.base.clock)

    @cached_property
    def store(self) -> FlowStore:
        """Bus, flow states and journals."""
        store: FlowStore | None = self.base.plugins.hook.register_bus(
            settings=self.base.settings,
            directory=self.base.directory,
            config=self.config,
            storage=self.storage,
        )
        if store is None:
            raise PluginMissingError("no plugin gives a bus (hook register_bus)")
        self.base.stack.callback(store.close)
        return store

    @cached_property
    def sticky(self) -> StickyCache:
        """Suspended guests of this process."""
        return parking_lot(self.base, self.config)

    @cached_property
    def keys(self) -> KeyStore:
        """The nodes' private keys."""
        return self._service(services.KEYS, self._open_keys)

    @cached_property
    def public_keys(self) -> PublicKeys:
        return SchemePublicKeys()

    @cached_property
    def sandbox(self) -> Sandbox:
        settings = self.base.settings
        return Sandbox(
            cache_dir=settings.cache_dir,
            progress=_log_progress,
            restored_instances=settings.restored_instances,
        )

    @cached_property
    def library(self) -> GuestLibrary:
        """The code of stored CPIs."""
        return GuestLibrary(sandbox=self.sandbox, read=self.catalogue.read)

    @cached_property
    def guests(self) -> GuestSource:
        """The guests of stored CPIs, in this process or in those of their nodes."""
        return make_guests(self.base, self.config, self.sandbox, self.library)

    @cached_property
    def cpi_files(self) -> CpiFiles:
        """The files of stored CPIs."""
        return self.storage.open_cpi_files()

    @cached_property
    def catalogue(self) -> PackageCatalogue:
        """Stored CPIs, read-only."""
        return PackageCatalogue(database=self.database, files=self.cpi_files)

    @cached_property
    def packages(self) -> PackageService:
        """Stored CPIs and their upload; only one process of a host may open it."""
        packages = PackageService(
            database=self.database,
            files=self.cpi_files,
            sandbox=self.sandbox,
            candidate=self.guests.candidate,
            clock=self.base.clock,
            executor=self._background,
            admissions=self._admissions,
            claimant=self.claimant,
            upload_bytes_max=body_bytes_max(self.config),
        )
        self._flush(packages.renew, RENEW_SECONDS)
        return packages

    @cached_property
    def nodes(self) -> vnode.VirtualNodeService:
        """Virtual nodes."""
        return vnode.VirtualNodeService(
            database=self.database,
            schemas=persistence.VaultSchemas(self.vaults, self.entity_types, self.base.clock),
            packages=self.catalogue,
            clock=self.base.clock,
            entropy=self.base.entropy,
            claimant=self.claimant,
            background=self._background.submit,
            allowed_capabilities=Derived(
                lambda guest: guest.allowed_capabilities, self.config.section(GUEST)
            ),
        )

    @cached_property
    def claimant(self) -> Claimant:
        """The name of this process for claims of work in the cluster's database."""
        cluster = self.base.cluster
        place = COMBINED if cluster is None else cluster.name
        return Claimant(place=place, run=self.base.entropy.random_bytes(8).hex())

    def go_on_with_nodes(self) -> None:
        """Resume unfinished operations on nodes, now and periodically."""
        self.nodes.resume_interrupted()
        self._flush(self.nodes.renew, RENEW_SECONDS)

    def go_on_with_registrations(self) -> None:
        """Resume unfinished registrations, now and periodically."""
        self.registrations.resume_interrupted()
        self._flush(self.registrations.renew, RENEW_SECONDS)

    @cached_property
    def members(self) -> Members:
        return self._service(services.MEMBERS, self._open_members)

    @cached_property
    def registrations(self) -> membership.MembershipService:
        """Registration of virtual nodes with their groups."""
        return self._service(services.REGISTRATIONS, self._open_registrations)

    @cached_property
    def contracts(self) -> ContractVerifier:
        if self._is_elsewhere(services.CONTRACTS):
            return RemoteContracts(self._remote(services.CONTRACTS))
        contracts = SandboxedContracts(library=self.guests)
        return MeteredContracts(contracts, quotas=self.quotas, clock=self.base.clock)

    @cached_property
    def entities(self) -> Capability:
        """The capability `persistence`."""
        if self._is_elsewhere(services.ENTITIES):
            return RemoteCapability("persistence", self._remote(services.ENTITIES))
        return persistence.EntityCapability(self.vaults, self.entity_types)

    @cached_property
    def entity_types(self) -> persistence.EntityTypes:
        """The entity declarations of stored CPIs' CPKs, compiled."""
        return persistence.EntityTypes()

    @cached_property
    def ledger(self) -> Capability:
        """The capability `ledger`; it runs in the process that has the vaults."""
        if self._is_elsewhere(services.LEDGER):
            return RemoteCapability("ledger", self._remote(services.LEDGER))
        return ledger.LedgerCapability(
            vaults=self.vaults,
            keys=self.keys,
            public_keys=self.public_keys,
            members=self.members,
            contracts=self.contracts,
        )

    @cached_property
    def answers(self) -> VaultAnswers:
        return self._service(services.ANSWERS, lambda: VaultAnswers(self.vaults, self.base.clock))

    @cached_property
    def capabilities(self) -> Sequence[Capability]:
        """The services that flows may call.

        Raises:
            CapabilityTwiceError: two capabilities have the same name.
        """
        own = (membership.MembershipCapability(self.members), self.entities, self.ledger)
        return make_capabilities(self.base, self.config, own, self.keys)

    def _flush(self, flush: Callable[[], object], seconds: float) -> None:
        flushing = PeriodicFlush(flush, seconds=seconds)
        self.base.stack.callback(flushing.stop)
        flushing.start()

    @cached_property
    def _background(self) -> Executor:
        _ = self._admissions  # what is opened first is closed last: uploads use it to their end
        background = ThreadPoolExecutor(_BACKGROUND_THREADS, "background")
        self.base.stack.callback(background.shutdown, wait=True, cancel_futures=True)
        return background

    @cached_property
    def _admissions(self) -> Admissions:
        admissions = Admissions.of_machine()
        self.base.stack.callback(admissions.close)
        return admissions

    def _open_keys(self) -> KeyStore:
        key_store: KeyStore | None = self.base.plugins.hook.register_key_store(
            settings=self.base.settings,
            directory=self.base.directory,
            config=self.config,
            storage=self.storage,
            database=self.database,
            clock=self.base.clock,
            entropy=self.base.entropy,
        )
        if key_store is None:
            raise PluginMissingError("no plugin gives a key store (hook register_key_store)")
        self._flush(key_store.take_over_rotations, RENEW_SECONDS)
        return key_store

    def _open_members(self) -> Members:
        return membership.MemberDirectory(self.database, public_keys=self.public_keys)

    def _open_registrations(self) -> membership.MembershipService:
        return membership.MembershipService(
            database=self.database,
            virtual_nodes=self.nodes,
            packages=self.catalogue,
            keys=self.keys,
            public_keys=self.public_keys,
            clock=self.base.clock,
            entropy=self.base.entropy,
            claimant=self.claimant,
        )

    def _service(self, interface: Interface[Port], local: Callable[[], Port]) -> Port:
        return self._remote(interface) if self._is_elsewhere(interface) else local()

    def _is_elsewhere(self, interface: Interface[Port]) -> bool:
        cluster = self.base.cluster
        return (
            cluster is not None
            and interface.kind is not None
            and cluster.is_elsewhere(interface.kind)
        )

    def _remote(self, interface: Interface[Port]) -> Port:
        cluster = self.base.cluster
        kind = interface.kind
        assert cluster is not None and kind is not None  # noqa: S101, PT018  # by _is_elsewhere
        return cluster.client(kind).proxy(interface)


def _log_progress(step: str) -> None:
    _log.info("sandbox-progress", step=step)
