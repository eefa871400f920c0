"""The built-in adapters of a host on one machine: SQLite files and a soft key store."""

from collections.abc import Sequence

from host.bus.sqlite import SqliteStore
from host.data_directory import DataDirectory
from host.db import Database
from host.hookspecs import hookimpl
from host.keys import SoftKeyStore, load_master_key
from host.keys.capabilities import CryptoCapability, SigningCapability
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.keys import KeyStore
from host.ports.units import FlowStore
from host.secret_files import read_secret
from host.settings import HostSettings


@hookimpl
def register_bus(directory: DataDirectory) -> FlowStore:
    """Bus, states and journals in `flows.sqlite`."""
    return SqliteStore(directory.flow_database)


@hookimpl
def register_key_store(
    settings: HostSettings,
    directory: DataDirectory,
    database: Database,
    clock: Clock,
    entropy: Entropy,
) -> KeyStore:
    """Keys in the cluster's database, wrapped under the host's master key."""
    file = settings.master_passphrase_file
    passphrase = None if file is None else read_secret(file)
    master_key = load_master_key(directory.secrets, passphrase=passphrase, entropy=entropy)
    return SoftKeyStore(database, master_key=master_key, clock=clock, entropy=entropy)


@hookimpl
def register_capabilities(keys: KeyStore) -> Sequence[Capability]:
    """`signing` by the host's key store, and `crypto`."""
    return (SigningCapability(keys), CryptoCapability())
