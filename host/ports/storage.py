"""Interface of a storage plugin: the registers, the nodes' databases, the files of CPIs."""

from collections.abc import Callable, Sequence
from typing import Protocol

from host.domain.ids import ShortHash
from host.ports.cpi_files import CpiFiles
from host.ports.database import Schema, SqlDatabase
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


class Storage(Protocol):
    """Opens a host's stores. Used by the thread that assembles a process."""

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

    def open_cpi_files(self) -> CpiFiles:
        """The files of stored CPIs.

        Raises:
            StorageError: they cannot be accessed.
        """
        ...
