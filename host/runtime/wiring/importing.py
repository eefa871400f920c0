"""Import of a data directory into the database of a cluster: everything but logs and certificates.

The host of the directory is stopped, and the database was just made. What was copied is read again
and compared; the keys are then wrapped under the cluster's master key.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pluggy
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, Table, func, select

from host.adapters.files.data_directory import MOVED, DataDirectory
from host.adapters.files.durable_files import write_durably
from host.adapters.os.system import SystemClock, SystemEntropy
from host.database.node_rows import dump_rows, load_rows
from host.domain.errors import HostError
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.flow.records.node_flows import NodeFlows
from host.keys import MasterKeyFiles, MasterKeys, SoftKeyStore
from host.keys.tables import MASTER_KEY
from host.nodes.packages.tables import CPI, CPI_REPLACED
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.ports.database import SqlDatabase
from host.ports.keys import MASTER_TENANT, KeyRotation, RotationStatus
from host.ports.node_contents import NodeContents
from host.ports.storage import DatabaseUpkeep
from host.ports.units import FlowStore
from host.ports.vaults import DatabaseProblem
from host.runtime.plugin_loading import declared_settings, make_plugin_manager
from host.runtime.wiring.base import ProcessContext
from host.runtime.wiring.empty_database import cluster_tables, used_table
from host.runtime.wiring.importing_logs import copy_logs
from host.runtime.wiring.parts import Wiring
from host.runtime.wiring.schemas import (
    NOTARY_SCHEMAS,
    VAULT_SCHEMAS,
)
from host.settings import HostSettings, load_settings
from host.vault.node_vault import NodeDatabase

_BYTES_MAX = 2**62
_CHANNELS = ("p2p/tx/", "p2p/rx/")


class ImportRefusedError(HostError):
    """A data directory cannot be imported into this database."""

    code = "database-import-refused"


class ImportDiffersError(HostError):
    """What was imported differs from the data directory; the database must not be used."""

    code = "database-import-differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was copied."""

    nodes: int
    packages: int
    items: int


class _FreshRegister:
    """The port `VaultRegister` of the target: every node exists, and nothing was made yet."""

    def is_made(self, short_hash: ShortHash) -> bool:
        del short_hash
        return False

    def note_made(self, short_hash: ShortHash) -> None:
        """Nothing: the register that is copied says it."""

    def noted(self, short_hash: ShortHash) -> int:
        del short_hash
        return 0

    def note_generations(self, generations: Mapping[ShortHash, int]) -> None:
        """Nothing: a new database cannot be older than it."""

    def note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        """Nothing: a problem ends the import."""

    def problems(self) -> Sequence[DatabaseProblem]:
        return ()

    def made(self) -> Sequence[ShortHash]:
        return ()


@dataclass
class _BothMasterKeys:
    """The port `MasterKeys`: old generations from the directory, new ones in the database."""

    old: MasterKeys
    new: MasterKeys
    newest_old: int

    def make(self, generation: int) -> bytes:
        return self._of(generation).make(generation)

    def get(self, generation: int) -> bytes:
        return self._of(generation).get(generation)

    def destroy_before(self, generation: int) -> None:
        """The directory keeps its keys, with which it stays readable."""

    def _of(self, generation: int) -> MasterKeys:
        return self.old if generation <= self.newest_old else self.new


@contextmanager
def _wired(
    settings: HostSettings, directory: DataDirectory, plugins: pluggy.PluginManager
) -> Iterator[Wiring]:
    """The parts of a host that does not run; closed at the end of the block."""
    with ExitStack() as stack:
        yield Wiring(
            ProcessContext(
                settings=settings,
                directory=directory,
                clock=SystemClock(),
                entropy=SystemEntropy(),
                plugins=plugins,
                registry=CollectorRegistry(),
                stack=stack,
            )
        )


def import_data_directory(
    folder: Path, settings: HostSettings, *, passphrase: str | None
) -> Imported:
    """Import a data directory, and mark it: no host starts on it any more.

    Args:
        folder: the directory.
        settings: of a host on the database.
        passphrase: of the directory's master key, if it has one.

    Raises:
        ImportRefusedError: the database has content, or the settings name none.
        DataDirectoryLockedError: a host runs on the directory.
        HostError: something cannot be read or written, or a copy differs.
    """
    own = load_settings(
        options={"data_dir": folder}, file=None, environment={}, declare=declared_settings
    )
    plugins = make_plugin_manager(settings.loaded_plugins)
    upkeep: DatabaseUpkeep | None = plugins.hook.register_database_upkeep(settings=settings)
    if upkeep is None:
        raise ImportRefusedError("the settings name no database: database_url is not set")
    directory = DataDirectory.hold(folder)
    try:
        with (
            upkeep.master_keys(SystemEntropy()) as masters,
            _wired(own, directory, make_plugin_manager(own.loaded_plugins)) as source,
            _wired(settings, directory, plugins) as target,
        ):
            imported = import_directory(source, target, masters=masters, passphrase=passphrase)
        note = f"It was imported into {settings.database_url}; no host starts on it any more.\n"
        write_durably(folder / MOVED, (note.encode(),))
    finally:
        directory.release()
    return imported


def import_directory(
    source: Wiring, target: Wiring, *, masters: MasterKeys, passphrase: str | None
) -> Imported:
    """Copy everything from a data directory into an empty database.

    Args:
        source: the parts of the host of the directory.
        target: those of a host on the database.
        masters: the master keys of the database.
        passphrase: of the directory's master key, if it has one.

    Raises:
        ImportRefusedError: the database has content.
        ImportDiffersError: a copy is not what was copied.
        HostError: something cannot be read or written.
    """
    tables = cluster_tables()
    _refuse_content(target.database, tables)
    count = _copy_rows(source.database, target.database, tables)
    _keep_audit_key(source, target)
    with source.database.read() as connection:
        checksums = connection.execute(
            select(CPI.c.file_checksum).union(select(CPI_REPLACED.c.file_checksum))
        ).scalars()
        packages = [each for each in checksums if source.cpi_files.has(each)]
    for checksum in packages:
        target.cpi_files.write(checksum, source.cpi_files.chunks(checksum))
    holdings = _holdings(source.database)
    with _contents(source, target) as contents:
        for holding in holdings:
            count += sum(_copy(one, other, holding) for one, other in contents)
    count += _copy_flows(source.store, target.store, holdings)
    _wrap_keys(source, target, masters, passphrase)
    if discrepancies := target.store.recount():
        raise ImportDiffersError(
            f"account {discrepancies[0].account} of {discrepancies[0].node} differs from its items"
        )
    return Imported(nodes=len(holdings), packages=len(packages), items=count)


def _refuse_content(database: SqlDatabase, tables: Iterable[Table]) -> None:
    if (used := used_table(database, tables)) is not None:
        raise ImportRefusedError(
            f"the database has rows in table {used}: import into one that"
            " `cordbox database init` has just made, which no host has used"
        )


def _load(item: bytes, tables: Iterable[Table], connection: Connection) -> None:
    load_rows(connection, item, tables, lambda _table, _row: True)


def _holdings(database: SqlDatabase) -> Sequence[HoldingIdentity]:
    with database.read() as connection:
        rows = connection.execute(select(VIRTUAL_NODE.c.x500_name, VIRTUAL_NODE.c.group_id))
        return [
            HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group)
            for name, group in rows
        ]


def _copy_rows(one: SqlDatabase, other: SqlDatabase, tables: Mapping[Table, None]) -> int:
    count = 0
    with one.read() as connection:
        for item in dump_rows(connection, tables):
            other.transact(partial(_load, item, tables))
            count += 1
        copied = _digest(dump_rows(connection, tables))
    with other.read() as connection:
        _compare("registers", copied, _digest(dump_rows(connection, tables)))
    return count


@contextmanager
def _contents(
    source: Wiring, target: Wiring
) -> Iterator[Sequence[tuple[NodeContents, NodeContents]]]:
    """The databases of nodes, there and here."""
    register = _FreshRegister()
    with ExitStack() as stack:
        vaults = target.storage.open_vaults(
            VAULT_SCHEMAS, register=register, bytes_max_of=lambda _node: _BYTES_MAX
        )
        stack.callback(vaults.close)
        spent = target.storage.open_uniqueness(
            NOTARY_SCHEMAS, register=register, bytes_max_of=lambda _node: _BYTES_MAX
        )
        stack.callback(spent.close)
        yield (
            (
                NodeDatabase("vault", source.vaults, VAULT_SCHEMAS),
                NodeDatabase("vault", vaults, VAULT_SCHEMAS),
            ),
            (
                NodeDatabase("uniqueness", source.notary_databases, NOTARY_SCHEMAS),
                NodeDatabase("uniqueness", spent, NOTARY_SCHEMAS),
            ),
        )


def _copy(one: NodeContents, other: NodeContents, holding: HoldingIdentity) -> int:
    items = list(one.dump(holding))
    if items:
        other.load(holding, items, one.version)
        _compare(
            f"{one.name} of {holding.short_hash}", _digest(items), _digest(other.dump(holding))
        )
    return len(items)


def _copy_flows(one: FlowStore, other: FlowStore, holdings: Sequence[HoldingIdentity]) -> int:
    """Flows node by node; the partitions are the other store's, the order of each key stays."""
    ends = _channels(one)
    count = 0
    for number, holding in enumerate(holdings):
        # Heads of channels belong to no node: they go with the first.
        mine = ends if number == 0 else ()
        items = list(NodeFlows(one, lambda _h, mine=mine: mine).dump(holding))  # type: ignore[misc]
        NodeFlows(other, lambda _h: ends).load(holding, items, NodeFlows.version)
        copied = NodeFlows(other, lambda _h, mine=mine: mine).dump(holding)  # type: ignore[misc]
        # The first item is the clock of the store.
        _compare(f"flows of {holding.short_hash}", _sorted(items[1:]), _sorted([*copied][1:]))
        count += len(items)
    return count + copy_logs(one, other, [holding.short_hash for holding in holdings])


def _channels(store: FlowStore) -> Sequence[str]:
    names = set[str]()
    for prefix in _CHANNELS:
        keys = (state.key for state in store.scan(prefix))
        names.update(key for key in keys if "/" not in key.removeprefix(prefix))
    return sorted(names)


def _wrap_keys(source: Wiring, target: Wiring, masters: MasterKeys, passphrase: str | None) -> None:
    """Wrap all keys under the database's master key, by a rotation of the master key."""
    entropy = target.base.entropy
    old = MasterKeyFiles(source.base.directory.secrets, passphrase=passphrase, entropy=entropy)
    store = SoftKeyStore(
        target.database,
        masters=_BothMasterKeys(old, masters, _newest_master(target.database)),
        clock=target.base.clock,
        entropy=entropy,
    )
    known: KeyRotation | None = store.start_rotation(MASTER_TENANT)
    while known is not None and known.status is RotationStatus.IN_PROGRESS:
        known = store.rotate_some(MASTER_TENANT)


def _keep_audit_key(source: Wiring, target: Wiring) -> None:
    """The administrative log goes on under the key that its entries were written with."""
    shared = target.storage.shared_audit_key(target.base.entropy)
    if shared is not None and shared.keep(source.audit_key) != source.audit_key:
        raise ImportRefusedError(
            "the database has a key of an administrative log: import into one that"
            " `cordbox database init` has just made, which no host has used"
        )


def _newest_master(database: SqlDatabase) -> int:
    with database.read() as connection:
        found = connection.execute(select(func.max(MASTER_KEY.c.generation))).scalar_one()
    return int(found or 0)


def _digest(items: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for item in items:
        found.update(len(item).to_bytes(8))
        found.update(item)
    return found.hexdigest()


def _sorted(items: Iterable[bytes]) -> str:
    return _digest(sorted(items))


def _compare(what: str, expected: str, found: str) -> None:
    if expected != found:
        raise ImportDiffersError(
            f"{what}: the copy has the digest {found}, expected {expected}; drop the database"
        )
