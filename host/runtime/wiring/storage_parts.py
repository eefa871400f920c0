"""Databases, settings and quotas."""

from functools import cached_property

from host.domain.workers import WorkerKind
from host.ledger.notary.register import MadeNotaries
from host.nodes import vnode
from host.nodes.quotas import QuotaService
from host.ports.cpi_files import CpiFiles
from host.ports.database import SqlDatabase
from host.ports.storage import Storage
from host.ports.units import FlowStore
from host.ports.vaults import VaultAccess
from host.runtime.wiring.base import PluginMissingError, own_host_name
from host.runtime.wiring.process_parts import ProcessParts
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NOTARY_SCHEMAS, VAULT_SCHEMAS
from host.runtime.wiring.sections import open_sections
from host.settings.changes import ConfigService
from host.settings.default_quota import live_quota
from host.settings.following import REFRESH_SECONDS, Following
from host.settings.live import LiveConfig
from host.settings.store import SectionStore

USAGE_FLUSH_SECONDS = 5
"""Counts that are older than this survive a crash."""
NOTE_SECONDS = 5
"""The recorded states of vaults and audit logs are at most this old after a crash."""


class StorageParts(ProcessParts):
    """What is stored, and the settings in force."""

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
        settings = self.base.settings
        # Registers that are in the data directory stay with it, also on a machine of another name.
        host = "" if settings.database_url is None else own_host_name(settings)
        return vnode.MadeVaults(database=self.database, clock=self.base.clock, host=host)

    @cached_property
    def notary_databases(self) -> VaultAccess:
        """The notaries' databases of spent states."""
        databases = self.storage.open_uniqueness(
            NOTARY_SCHEMAS,
            register=self.made_notaries,
            bytes_max_of=lambda node: self.quotas.quota(node).uniqueness_bytes_max,
        )
        self.base.stack.callback(databases.close)
        self._flush(databases.note, NOTE_SECONDS)
        return databases

    @cached_property
    def made_notaries(self) -> MadeNotaries:
        """Which nodes have a database of spent states, and which of these cannot be used."""
        return MadeNotaries(database=self.database, vaults=self.made_vaults, clock=self.base.clock)

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
    def cpi_files(self) -> CpiFiles:
        """The files of stored CPIs."""
        files = self.storage.open_cpi_files()
        self.base.stack.callback(files.close)
        return files
