"""The host's storage: the cluster's database, the vaults, the bus with its states, the keys."""

from dataclasses import dataclass

from host import keys, ledger, membership, persistence, vnode
from host.composition.base import Base, PluginMissingError
from host.db import Database, Vaults
from host.db.requests import REQUESTS
from host.packages.tables import PACKAGES
from host.ports.keys import KeyStore
from host.ports.public_keys import PublicKeys
from host.ports.units import FlowStore
from host.rbac import RBAC_SCHEMA

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    database: Database
    vaults: Vaults
    store: FlowStore
    keys: KeyStore
    public_keys: PublicKeys


def open_storage(base: Base) -> Storage:
    """Open everything that the host stores.

    Raises:
        PluginMissingError: no plugin gives a bus or a key store.
        StorageError: a file cannot be used.
    """
    database = base.stack.enter_context(
        Database.open(base.directory.cluster_database, CLUSTER_SCHEMAS)
    )
    vaults = Vaults(
        base.directory.virtual_nodes, VAULT_SCHEMAS, bytes_max=base.settings.vault_bytes_max
    )
    base.stack.callback(vaults.close)
    return Storage(
        database=database,
        vaults=vaults,
        store=_open_store(base),
        keys=_open_keys(base, database),
        public_keys=keys.SchemePublicKeys(),
    )


def _open_store(base: Base) -> FlowStore:
    store: FlowStore | None = base.plugins.hook.register_bus(
        settings=base.settings, directory=base.directory
    )
    if store is None:
        raise PluginMissingError("no plugin gives a bus (hook register_bus)")
    base.stack.callback(store.close)
    return store


def _open_keys(base: Base, database: Database) -> KeyStore:
    key_store: KeyStore | None = base.plugins.hook.register_key_store(
        settings=base.settings,
        directory=base.directory,
        database=database,
        clock=base.clock,
        entropy=base.entropy,
    )
    if key_store is None:
        raise PluginMissingError("no plugin gives a key store (hook register_key_store)")
    return key_store
