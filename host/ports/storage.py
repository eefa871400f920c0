"""Interface of a storage plugin: the registers, the nodes' databases, the files of CPIs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from host.domain.ids import ShortHash
from host.ports.clock import Entropy
from host.ports.cpi_files import CpiFiles
from host.ports.database import Schema, SqlDatabase
from host.ports.keys import MasterKeys
from host.ports.units import FlowStore
from host.ports.vaults import VaultAccess, VaultRegister


class OpenDatabase(SqlDatabase, Protocol):
    """A database that its opener must close, when no transaction is running."""

    def close(self) -> None: ...


class OpenVaults(VaultAccess, Protocol):
    """Vaults that their opener must close, when none is in use."""

    def note(self) -> None:
        """Record in the register the generations of vaults that were written to.

        Raises:
            StorageError: it cannot be stored; the next call tries again.
        """
        ...

    def close(self) -> None:
        """Record the generations of the vaults, and close them."""
        ...


class OpenCpiFiles(CpiFiles, Protocol):
    """Files of CPIs that their opener must close, when none is in use."""

    def close(self) -> None: ...


class SharedAuditKey(Protocol):
    """The key of the administrative log that all hosts of a cluster write."""

    def get(self) -> bytes | None:
        """The key; None if none was kept yet.

        Raises:
            MasterKeyError: it is wrapped under another passphrase than this host's.
            StorageError: it cannot be read.
        """
        ...

    def keep(self, key: bytes) -> bytes:
        """Keep a key for ever, unless there is one; returns the one that is there.

        Raises:
            MasterKeyError: it is wrapped under another passphrase than this host's.
            StorageError: it cannot be written.
        """
        ...


class Storage(Protocol):
    """Opens a host's stores. Used by the thread that assembles a process."""

    def store_id(self) -> str:
        """The id of what is stored, new after each restore: other systems know by it which it is.

        Raises:
            StorageError: it cannot be read.
        """
        ...

    def open_database(self, schemas: Sequence[Schema]) -> OpenDatabase:
        """The cluster's database, with its tables migrated.

        Raises:
            SchemaTooNewError: a newer release has written it.
            StorageError: it cannot be opened.
        """
        ...

    def open_vaults(
        self,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> OpenVaults:
        """The vaults of all nodes; each is opened on first use.

        Args:
            schemas: the tables of each vault.
            register: the register of nodes and of their vaults.
            bytes_max_of: the maximum size of a node's vault.
        """
        ...

    def open_uniqueness(
        self,
        schemas: Sequence[Schema],
        *,
        register: VaultRegister,
        bytes_max_of: Callable[[ShortHash], int],
    ) -> OpenVaults:
        """The databases of notaries, with the states that are spent; each is opened on first use.

        Args:
            schemas: the tables of each database.
            register: knows which nodes have one: none is created in place of a lost one.
            bytes_max_of: the maximum size of a node's database.
        """
        ...

    def vault_sql(self, schemas: Sequence[Schema]) -> str | None:
        """The SQL that makes a vault; None if vaults are no part of a database server.

        Args:
            schemas: the tables of each vault.
        """
        ...

    def uniqueness_sql(self, schemas: Sequence[Schema]) -> str | None:
        """The SQL that makes a notary's database of spent states, or None; as `vault_sql`."""
        ...

    def open_cpi_files(self) -> OpenCpiFiles:
        """The files of stored CPIs.

        Raises:
            StorageError: they cannot be accessed.
        """
        ...

    def shared_audit_key(self, entropy: Entropy) -> SharedAuditKey | None:
        """The key of the administrative log; None if it is that of the host's data directory.

        Raises:
            StorageError: it cannot be accessed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesState:
    """The tables of one schema in a shared database.

    Attributes:
        place: where in the database.
        name: of the schema.
        stored: the version that is stored; None if there are no tables.
        known: the version that this release writes.
    """

    place: str
    name: str
    stored: int | None
    known: int

    @property
    def is_current(self) -> bool:
        """Whether a host of this release needs no migration."""
        return self.stored == self.known


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """A user of the database server who may make roles and tables.

    Attributes:
        password: None if the server knows the user otherwise.
    """

    name: str
    password: str | None = field(default=None, repr=False)


class DatabaseUpkeep(Protocol):
    """Looks after a database that several hosts share, while none or some of them run."""

    def check(self, registers: Sequence[Schema]) -> Sequence[TablesState]:
        """The state of all tables but those of nodes, which are migrated at their next use.

        Args:
            registers: the tables of the registers.

        Raises:
            StorageError: the database cannot be used, or would lose or disorder data.
        """
        ...

    def init(self, registers: Sequence[Schema], *, by: Administrator, partitions: int) -> bool:
        """Make the database if it is missing, its roles, and all tables but those of nodes.

        Args:
            registers: the tables of the registers.
            by: who makes them.
            partitions: of every topic, for ever: as many threads of all hosts together run flows.

        Returns:
            Whether queries of nodes cannot change their role; else a superuser has to see to it.

        Raises:
            StorageError: the database has tables already, or cannot be used.
        """
        ...

    def master_keys(self, entropy: Entropy) -> AbstractContextManager[MasterKeys]:
        """The master keys of the database, which no host uses yet, for the duration of a block."""
        ...

    def storage(self) -> Storage:
        """What hosts open in the database.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    def flows(self) -> FlowStore:
        """The flow store, for who closes it.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    def migrate(self, registers: Sequence[Schema], *, by: Administrator) -> None:
        """Make tables that this release adds, and migrate older ones.

        Raises:
            SchemaTooNewError: a newer release has written the database.
            StorageError: the database cannot be written.
        """
        ...
