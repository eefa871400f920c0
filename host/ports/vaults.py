"""The vaults of virtual nodes: a database for each node, accessible only to its own calls."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from host.domain.errors import HostError
from host.domain.ids import ShortHash

T = TypeVar("T")


class VaultAccess(Protocol):
    """Transactions on the vaults of virtual nodes. Thread-safe.

    A vault is created when it is first read or written; a node that never runs has none.
    """

    def is_made(self, short_hash: ShortHash, /) -> bool:
        """Whether the node has a vault: a read of a missing vault need not create it.

        Raises:
            StorageError: it had one, which is gone.
            NotFoundError: no such virtual node.
        """
        ...

    def read(self, short_hash: ShortHash, /) -> AbstractContextManager[Connection]:
        """One consistent view of a node's vault for the duration of the block.

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
        """Size of the node's vault in bytes; 0 while it has none.

        Raises:
            StorageError: it had one, which is gone.
            NotFoundError: no such virtual node.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseProblem:
    """A node's database that cannot be used, as found at its last use; its flows wait or fail."""

    short_hash: ShortHash
    code: str
    message: str


class VaultRegister(Protocol):
    """The register of virtual nodes and of their databases of one kind. Thread-safe."""

    def is_made(self, short_hash: ShortHash) -> bool:
        """Whether the node's vault has ever been created.

        Raises:
            NotFoundError: no such virtual node.
        """
        ...

    def note_made(self, short_hash: ShortHash) -> None:
        """Record permanently that the node's vault exists; may be repeated."""
        ...

    def noted(self, short_hash: ShortHash) -> int:
        """The highest recorded generation of the node's vault; 0 if none was recorded."""
        ...

    def note_generations(self, generations: Mapping[ShortHash, int]) -> None:
        """Record the generations of vaults; values lower than the recorded ones are ignored."""
        ...

    def note_problem(self, short_hash: ShortHash, problem: HostError | None) -> None:
        """Record why the node's vault cannot be used; None: it can."""
        ...

    def problems(self) -> Sequence[DatabaseProblem]:
        """The vaults that cannot be used, for the host's status."""
        ...

    def made(self) -> Sequence[ShortHash]:
        """The nodes whose vault was created."""
        ...
