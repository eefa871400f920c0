"""The vaults of virtual nodes: a database for each node, which only its own calls reach."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from host.domain.errors import HostError
from host.domain.ids import ShortHash

T = TypeVar("T")


class VaultAccess(Protocol):
    """Transactions on the vaults of virtual nodes. Thread-safe.

    A vault is made when it is first read or written; a node that never runs has none.
    """

    def is_made(self, short_hash: ShortHash, /) -> bool:
        """Whether the node has a vault: what reads none needs to make none.

        Raises:
            StorageError: it had one, which is gone.
            NotFoundError: no such virtual node.
        """
        ...

    def read(self, short_hash: ShortHash, /) -> AbstractContextManager[Connection]:
        """One consistent view of a node's vault for the length of the block.

        Raises:
            NotFoundError: no such virtual node.
            StorageError: the vault cannot be read.
        """
        ...

    def transact(self, short_hash: ShortHash, work: Callable[[Connection], T], /) -> T:
        """Run `work` in a transaction on a node's vault; see `SqlDatabase.transact`.

        Raises:
            NotFoundError: no such virtual node.
            QuotaExceededError: the vault would grow beyond its limit; nothing has changed.
            StorageError: the vault cannot be written; nothing has changed.
        """
        ...

    def used_bytes(self, short_hash: ShortHash, /) -> int:
        """Bytes that the node's vault takes; 0 while it has none.

        Raises:
            StorageError: it had one, which is gone.
            NotFoundError: no such virtual node.
        """
        ...


class VaultRegister(Protocol):
    """Which virtual nodes there are, and which of them have a vault. Thread-safe."""

    def is_made(self, short_hash: ShortHash) -> bool:
        """Whether the node's vault has ever been made.

        Raises:
            NotFoundError: no such virtual node.
        """
        ...

    def note_made(self, short_hash: ShortHash) -> None:
        """Keep for good that the node's vault is there; it may be kept already."""
        ...

    def noted(self, short_hash: ShortHash) -> int:
        """The highest generation of the node's vault that was noted; 0 when none was."""
        ...

    def note_generations(self, generations: Mapping[ShortHash, int]) -> None:
        """Keep which generations vaults have reached; lower ones than are kept change nothing."""
        ...

    def note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        """Keep why the node's vault cannot be used, or that it can."""
        ...
