"""The built-in adapters of a host on one machine: SQLite files and a soft key store."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.secret_files import read_secret
from host.adapters.sqlite.commit_notifier import CommitNotifier, folder_for
from host.adapters.sqlite.embedded import EmbeddedStorage
from host.adapters.sqlite.store import SqliteStore
from host.keys import MasterKeyFiles, SoftKeyStore
from host.keys.capabilities import CryptoCapability, SigningCapability
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.keys import KeyStore
from host.ports.storage import Storage
from host.ports.units import FlowStore
from host.runtime.hookspecs import hookimpl
from host.settings import HostSettings

_log = structlog.get_logger("cordbox.host")


@hookimpl
def register_storage(directory: DataDirectory) -> Storage:
    """The registers in `cluster.sqlite`, a vault for each node, and CPIs in files."""
    identity = directory.identity
    return EmbeddedStorage(
        cluster_database=directory.cluster_database,
        virtual_nodes=directory.virtual_nodes,
        packages=directory.packages,
        cluster_id=identity.cluster_id,
        store_id=identity.store_id,
        marks=directory.marks,
    )


@hookimpl
def register_bus(directory: DataDirectory) -> FlowStore:
    """Messages, flow states and journals in `flows.sqlite`."""
    file = directory.flow_database
    return SqliteStore(file, hints=_doorbell(file), mark=directory.marks.of(file.name))


def _doorbell(store: Path) -> CommitNotifier | None:
    """Without it, work of other processes is found a little later."""
    try:
        return CommitNotifier(folder_for(store))
    except OSError as exc:
        _log.warning("doorbell-unavailable", reason=exc.strerror)
        return None


@hookimpl
def register_key_store(
    settings: HostSettings,
    directory: DataDirectory,
    database: SqlDatabase,
    clock: Clock,
    entropy: Entropy,
) -> KeyStore:
    """Keys in the cluster's database, wrapped under the host's master key."""
    file = settings.master_passphrase_file
    passphrase = None if file is None else read_secret(file)
    masters = MasterKeyFiles(directory.secrets, passphrase=passphrase, entropy=entropy)
    return SoftKeyStore(database, masters=masters, clock=clock, entropy=entropy)


@hookimpl
def register_capabilities(keys: KeyStore) -> Sequence[Capability]:
    """`signing` by the host's key store, and `crypto`."""
    return (SigningCapability(keys), CryptoCapability())
