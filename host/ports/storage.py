"""What a plugin gives that stores things: the registers, the nodes' vaults, the files of CPIs."""

from collections.abc import Callable, Sequence
from typing import Protocol

from host.domain.ids import ShortHash
from host.ports.cpi_files import CpiFiles
from host.ports.database import Schema, SqlDatabase
from host.ports.vaults import VaultAccess, VaultRegister


class OpenDatabase(SqlDatabase, Protocol):
    """A database that its opener closes; no transaction runs then."""

    def close(self) -> None: ...


class OpenVaults(VaultAccess, Protocol):
    """Vaults that their opener closes; none is in use then."""

    def note(self) -> None:
        """Have the register remember how far the vaults have come that were written to.

        Raises:
            StorageError: it cannot be stored; the next call tries again.
        """
        ...

    def close(self) -> None:
        """Note how far the vaults have come, and close them."""
        ...


class Storage(Protocol):
    """Opens what a host stores. Used by the thread that puts a process together."""

    def open_database(self, schemas: Sequence[Schema]) -> OpenDatabase:
        """The cluster's database, its tables brought up to date.

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
        """The vaults of all nodes; each is opened when it is used.

        Args:
            schemas: the tables of each.
            register: knows which nodes there are, and which of them have a vault.
            bytes_max_of: how large the vault of a node may grow.
        """
        ...

    def open_cpi_files(self) -> CpiFiles:
        """The files of stored CPIs.

        Raises:
            StorageError: they cannot be reached.
        """
        ...
