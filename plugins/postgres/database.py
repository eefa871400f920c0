"""The cluster's database in a schema of PostgreSQL: the port `SqlDatabase`.

One transaction at a time writes, over all processes: each holds an advisory lock, as code relies on
that checks and then inserts. Reads see one moment and wait for nobody.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    MetaData,
    Table,
    event,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from host.database.counted import begin_count, count_executed, counts
from host.database.schema_versions import Conversion, Execute, bring_up_to_date
from host.database.steady_view import end_view
from host.domain.errors import StorageError
from host.ports.database import Schema
from plugins.postgres.connections import Access, Session, Sessions
from plugins.postgres.dialect import NAME
from plugins.postgres.engine import LOCK_SECONDS, EngineSessions
from plugins.postgres.errors import RETRIED, lock_held, sqlstate, translated
from plugins.postgres.tables import FUNCTIONS, make_namespace

T = TypeVar("T")

SCHEMA = "cordbox_cluster"
TRIES_MAX = 3
_METADATA = MetaData()
REVISION = Table(
    "revision",
    _METADATA,
    Column("only", Boolean, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""One row: the number of commits to tables whose rows are cached."""
REVISION_SCHEMA = Schema(
    name="revision",
    metadata=_METADATA,
    statements={NAME: ("INSERT INTO revision VALUES (true, 0)",)},
)
_ADD_REVISION = update(REVISION).values(number=REVISION.c.number + 1)


class PostgresDatabase:
    """An open database. `close` it, or use it as a context manager.

    Args:
        access: how to connect.
        name: the schema of PostgreSQL that holds them.
    """

    def __init__(self, access: Access, *, name: str = SCHEMA) -> None:
        self._engine = EngineSessions(access, search_path=f"{name}, {FUNCTIONS}")
        self._name = name
        self._lock_key = f"cordbox database {name}"
        self._sessions = Sessions(access.within(name))
        self._write_lock = threading.Lock()
        self._writer: int | None = None
        event.listen(self._engine.engine, "after_execute", count_executed)

    def make_tables(self, schemas: Sequence[Schema]) -> None:
        """Create or migrate its tables, as their owner; of several processes, one at a time does.

        Raises:
            SchemaTooNewError: a newer release has written them.
            StorageError: they cannot be read or written.
        """
        with translated(self.place), self.changing_tables() as connection:
            upgrade(connection, self._name, (*schemas, REVISION_SCHEMA), place=self.place)

    def changing_tables(self) -> AbstractContextManager[Connection]:
        """A transaction that waits for minutes, if others change the tables."""
        return self._engine.writing(self._lock_key, is_patient=True)

    @property
    def place(self) -> str:
        """The database, for messages."""
        return self._sessions.place

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database for the duration of the block.

        Raises:
            StorageError: the database cannot be used.
        """
        with translated(self.place), self._engine.reading() as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own; see `SqlDatabase.transact`.

        Raises:
            StorageError: the database cannot be written; if the connection was lost during the
                commit, it may have been committed.
            StorageBusyError: another process held the write lock for too long.
            RuntimeError: this thread is inside such a transaction of this database already.
        """
        if self._writer == threading.get_ident():
            raise RuntimeError(f"a second transaction on {self.place} inside the first")
        if not self._write_lock.acquire(timeout=LOCK_SECONDS):
            raise lock_held(self.place)
        self._writer = threading.get_ident()
        try:
            return run_again(lambda: self._once(work), self.place)
        finally:
            self._writer = None
            self._write_lock.release()
            end_view()

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self._engine.writing(self._lock_key) as connection:
            begin_count(connection)
            result = work(connection)
            if counts(connection):
                connection.execute(_ADD_REVISION)
        return result

    def scrub(self) -> None:
        """Erase deleted rows, as far as the server can while others read.

        Raises:
            StorageError: the database cannot be written.
        """
        self._sessions.use(lambda session: session.simple("VACUUM"))

    def revision(self) -> int:
        """A number that changes with every commit to a cached table, by any process.

        Raises:
            StorageError: the database cannot be used.
        """

        def look(session: Session) -> list[Any]:
            return session.run("SELECT number FROM revision")

        ((number,),) = self._sessions.read(look)
        return int(number)

    def close(self) -> None:
        self._engine.close()
        self._sessions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_again(once: Callable[[], T], place: str) -> T:
    """What `once` returns; tried again if the server aborts it because of others."""
    for left in reversed(range(TRIES_MAX)):
        try:
            with translated(place):
                return once()
        except StorageError as exc:
            if not left or sqlstate(exc.__cause__) not in RETRIED:
                raise
    raise AssertionError


def upgrade(connection: Connection, name: str, schemas: Sequence[Schema], *, place: str) -> None:
    """Create a schema of PostgreSQL with its tables, or migrate them, in a write transaction."""
    driver: Any = connection.connection.driver_connection

    def execute(statement: str) -> Sequence[Sequence[Any]]:
        return driver.execute_simple(statement).rows or ()

    make_tables(execute, name, schemas, place=place, convert=lambda convert: convert(connection))


def make_tables(
    execute: Execute,
    name: str,
    schemas: Sequence[Schema],
    *,
    place: str,
    convert: Callable[[Conversion], None],
) -> None:
    """Create a schema of PostgreSQL with its tables, or migrate them, by `execute` alone.

    Args:
        execute: a connection's, in a write transaction; takes several statements at once.
        name: of the schema.
        schemas: its tables.
        place: the database, for refusals.
        convert: runs a conversion in the same transaction.
    """

    def create(schema: Schema) -> None:
        execute(";\n".join(statements_of(schema)))

    make_namespace(execute, name)
    bring_up_to_date(
        execute,
        schemas,
        dialect=NAME,
        place=f"{place}, schema {name}",
        create=create,
        convert=convert,
    )


def statements_of(schema: Schema) -> Iterator[str]:
    """The statements that create the tables of a schema's metadata."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    for table in schema.metadata.sorted_tables if schema.metadata is not None else ():
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
