"""Relational databases, as features use them: the cluster's database, and schemas in it.

A transaction is a function, not a block, because a database with several writers may have to run it
again: its only effects must be those on its connection, and its only output its return value.
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
"""`Table.info` of a table whose rows are cached in memory: writes to it change the revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A feature's tables in one database, at the version that this release writes.

    Attributes:
        name: lower-case letters and hyphens.
        metadata: the tables; None where `statements` say all.
        statements: SQL that creates the rest, by dialect, or for `EVERY` dialect.
        version: the version that this release writes.
        migrations: SQL that migrates version n to n + 1, by n and dialect.
        conversions: what SQL cannot say of a migration, by n: run after its SQL, in its
            transaction. Takes memory that does not grow with the database.
        indexes_expressions: tables have indexes on function results; SQLite allows these functions
            only in files with a trusted schema.
    """

    name: str
    metadata: MetaData | None = None
    statements: Mapping[str, Sequence[str]] = field(default_factory=dict)
    version: int = 1
    migrations: Mapping[int, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    conversions: Mapping[int, Callable[[Connection], None]] = field(default_factory=dict)
    indexes_expressions: bool = False


class SqlDatabase(Protocol):
    """A relational database. Thread-safe."""

    def read(self) -> AbstractContextManager[Connection]:
        """One consistent view for the duration of the block; use `transact` for writes.

        Raises:
            StorageError: the database cannot be read.
        """
        ...

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in an exclusive write transaction, and commit it.

        Any exception of `work` rolls the transaction back. When this returns, the commit is
        durable.

        Args:
            work: may be executed more than once; only its last execution is committed.

        Returns:
            The result of the committed execution.

        Raises:
            StorageError: the database cannot be written; nothing has changed.
            StorageBusyError: another process held the write lock for too long; nothing has changed.
            RuntimeError: called within `work`, or by a thread that is executing it.
        """
        ...

    def scrub(self) -> None:
        """Erase deleted rows from the disk, as far as that is possible while others read.

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
