"""Relational databases as features see them: the cluster's database, and schemas in it.

A transaction is a function, not a block, because a database with several writers may have to run it
again: it must have no effects but those on its connection, and bring nothing out but what it
returns.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sqlalchemy import Connection, MetaData

T = TypeVar("T")

EVERY = "every"
"""Stands for each dialect that has no statements of its own."""
REMEMBERED = {"cordbox_remembered": True}
"""`Table.info` of a table whose rows are remembered in memory: writes to it change the revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A feature's tables in one database, at the version that this release writes.

    Attributes:
        name: lower-case letters and hyphens.
        metadata: the tables; None where `statements` say all.
        statements: what creates the rest, by dialect, or for `EVERY` one.
        version: of what this release writes.
        migrations: what leads from version n to n + 1, by n and dialect.
        indexes_expressions: tables have indexes on what functions give, which SQLite calls only in
            files whose schema it is told to trust.
    """

    name: str
    metadata: MetaData | None = None
    statements: Mapping[str, Sequence[str]] = field(default_factory=dict)
    version: int = 1
    migrations: Mapping[int, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    indexes_expressions: bool = False


class SqlDatabase(Protocol):
    """A relational database. Thread-safe."""

    def read(self) -> AbstractContextManager[Connection]:
        """One consistent view for the length of the block; what writes uses `transact`.

        Raises:
            StorageError: the database cannot be read.
        """
        ...

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that no other writer can come between, and commit it.

        Whatever `work` raises rolls everything back. When this returns, the commit is on the disk.

        Args:
            work: may be run more than once: only its last run is committed.

        Returns:
            What the run that was committed returned.

        Raises:
            StorageError: the database cannot be written; nothing has changed.
            StorageBusyError: another process is writing for too long; nothing has changed.
            RuntimeError: called from within `work`, or from a thread that is inside it.
        """
        ...

    def scrub(self) -> None:
        """Take deleted rows off the disk, as far as it can be done while others read.

        Raises:
            StorageError: the database cannot be written.
        """
        ...

    def revision(self) -> int:
        """A number that changes with every commit to a `REMEMBERED` table, by any process.

        Raises:
            StorageError: the database cannot be read.
        """
        ...
