"""One SQLite file in WAL mode: opening, schema versions, read and write transactions.

Every feature defines its tables as a `Schema`; a file holds any number of them, each with its own
version. A `Database` may be used from any number of threads. Transactions are atomic and durable:
one that raises is rolled back, and one that is committed is on the disk when `transact` returns.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    event,
    exists,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import NullPool
from sqlalchemy.util import LRUCache

from host.adapters.files.identity.marks import Mark, count_commit
from host.adapters.files.open_databases import note_closed, note_opened
from host.adapters.sqlite.dialect import (
    BEGIN_READ,
    BEGIN_WRITE,
    BUSY_TIMEOUT_MS,
    COMMITS_OF_OTHERS,
    EMPTY_LOG,
    NAME,
    PRAGMAS,
    trusted_schema,
)
from host.adapters.sqlite.errors import translated
from host.adapters.sqlite.files import give_back, let_shrink
from host.adapters.sqlite.kept_connections import KeptConnections
from host.database.counted import begin_count, count_executed, counts
from host.database.prepared import Prepared
from host.database.schema_versions import bring_up_to_date
from host.database.steady_view import end_view
from host.domain.errors import StorageError
from host.ports.database import Schema

T = TypeVar("T")

_POOL_SIZE = 4

_STATEMENTS_MAX = 1500
_DIALECT = SQLiteDialect_pysqlite(dbapi=sqlite3)
_COMPILED: LRUCache[Any, Any] = LRUCache(_STATEMENTS_MAX)
"""Statements that SQLAlchemy has compiled: once for the databases of all nodes, not for each."""

_METADATA = MetaData()
REVISION = Table(
    "revision",
    _METADATA,
    Column("only", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""One row: the number of commits to tables whose rows are cached."""
_SELECT_REVISION = str(select(REVISION.c.number))
_INSERT_REVISION = insert(REVISION).from_select(
    ["only", "number"], select(literal(1), literal(0)).where(~exists(select(REVISION.c.only)))
)
_ADD_REVISION = Prepared(
    update(REVISION).where(REVISION.c.only == 1).values(number=REVISION.c.number + 1)
)


class Database:
    """An open database file: the port `SqlDatabase`. `close` it, or use it as a context manager."""

    def __init__(
        self,
        path: Path,
        engine: Engine,
        *,
        pool_size: int = _POOL_SIZE,
        has_revision: bool = True,
        mark: Mark | None = None,
    ) -> None:
        self.path = path
        self._mark = mark
        self._has_revision = has_revision
        self._seen_version: int | None = None
        self._revision = 0
        self._engine = engine
        self._connections = KeptConnections(engine, kept_max=pool_size)
        if has_revision:
            event.listen(engine, "after_execute", count_executed)
        self._write_lock = threading.Lock()
        self._writer: int | None = None
        self._watch_lock = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        self._is_noted = True
        note_opened(path)

    @staticmethod
    def open(
        path: Path,
        schemas: Sequence[Schema],
        *,
        pool_size: int = _POOL_SIZE,
        has_revision: bool = True,
        mark: Mark | None = None,
    ) -> "Database":
        """Open or create the file, readable by its owner only, and migrate its tables.

        Args:
            path: the file.
            schemas: its tables.
            pool_size: number of connections that stay open.
            has_revision: whether `revision` is used; without it, commits cost less.
            mark: stores the number of the newest commit, so that an older copy is recognised.

        Raises:
            SchemaTooNewError: a newer release has written the file.
            StorageError: the file cannot be created, read or written, or is damaged.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
        except OSError as exc:
            raise StorageError(
                f"database {path} cannot be created: {exc.strerror}", path=str(path)
            ) from exc
        trusted = any(schema.indexes_expressions for schema in schemas)
        database = Database(
            path,
            _engine(path, trusts_schema=trusted),
            pool_size=pool_size,
            has_revision=has_revision,
            mark=mark,
        )
        try:
            database.transact(lambda connection: _upgrade(connection, path, schemas))
            if has_revision:
                database.transact(_give_revision)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database for the duration of the block.

        Raises:
            StorageError: the file is damaged or gone.
        """
        with translated(self.path), self._connections.transaction(BEGIN_READ) as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own; see `SqlDatabase.transact`.

        Raises:
            StorageError: the file cannot be written; nothing has changed.
            StorageBusyError: another process held the write lock for longer than the busy timeout.
            RuntimeError: this thread is inside such a transaction of this database already.
        """
        self.refuse_second()
        with self._write_lock:
            self._writer = threading.get_ident()
            try:
                with translated(self.path):
                    with self._connections.transaction(BEGIN_WRITE) as connection:
                        begin_count(connection)
                        result = work(connection)
                        if counts(connection):
                            _ADD_REVISION.run(connection, {})
                        give_back(driver_of(connection))
                        number = self._counted(connection)
                    if self._mark is not None:
                        self._mark.keep(number)
                    return result
            finally:
                self._writer = None
                end_view()

    def refuse_second(self) -> None:
        """Refuse a transaction within one that this thread executes.

        Raises:
            RuntimeError: it would wait for itself.
        """
        if self._writer == threading.get_ident():
            raise RuntimeError(f"a second transaction on {self.path} inside the first")

    def _counted(self, connection: Connection) -> int:
        return 0 if self._mark is None else count_commit(driver_of(connection))

    def scrub(self) -> None:
        """Erase deleted rows from the disk, as far as SQLite can while others read.

        Raises:
            StorageError: the file cannot be written.
        """
        with self._write_lock, translated(self.path):
            raw = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)
            try:
                raw.execute(EMPTY_LOG).fetchone()
            finally:
                raw.close()

    def revision(self) -> int:
        """A number that changes with every commit to a cached table, by any process.

        Raises:
            StorageError: the file is damaged or gone.
        """
        with translated(self.path), self._watch_lock:
            if self._watch is None:
                # SQLite counts the commits of other connections: this one never writes.
                self._watch = sqlite3.connect(
                    self.path, isolation_level=None, check_same_thread=False
                )
            (version,) = self._watch.execute(COMMITS_OF_OTHERS).fetchone()
            if version != self._seen_version:
                # Read after it: a commit in between is seen now, and causes one more read later.
                (self._revision,) = self._watch.execute(_SELECT_REVISION).fetchone()
                self._seen_version = version
            return self._revision

    def close(self) -> None:
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self._connections.close()
        self._engine.dispose()
        if self._is_noted:
            self._is_noted = False
            note_closed(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def driver_of(connection: Connection) -> sqlite3.Connection:
    """SQLite's own connection below one of SQLAlchemy."""
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return driver


def _engine(path: Path, *, trusts_schema: bool) -> Engine:
    pragmas = (*PRAGMAS, trusted_schema(is_trusted=trusts_schema))
    # Connections that are closed are closed: those that stay open are kept elsewhere.
    pool = NullPool(_opener(path), dialect=_DIALECT)
    # Parameters are nodes' data, which must not get into the log by tracebacks.
    url = URL.create("sqlite+pysqlite", database=str(path))
    engine = Engine(pool, _DIALECT, url, hide_parameters=True)
    engine.update_execution_options(compiled_cache=_COMPILED)

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: Any, _record: object) -> None:
        # Python's driver must not begin transactions itself: they would be deferred ones.
        dbapi_connection.isolation_level = None
        let_shrink(dbapi_connection)
        for pragma in pragmas:
            dbapi_connection.execute(pragma).close()

    return engine


def _opener(path: Path) -> Callable[[], DBAPIConnection]:
    place = path.absolute()
    # SQLAlchemy's protocol of connections is not one that the driver's types declare.
    return lambda: cast("DBAPIConnection", sqlite3.connect(place, check_same_thread=False))


def _give_revision(connection: Connection) -> None:
    REVISION.create(connection, checkfirst=True)
    connection.execute(_INSERT_REVISION)


def _upgrade(connection: Connection, path: Path, schemas: Sequence[Schema]) -> None:
    def execute(statement: str) -> Sequence[Sequence[Any]]:
        result = connection.exec_driver_sql(statement)
        return result.all() if result.returns_rows else ()

    def create(schema: Schema) -> None:
        if schema.metadata is not None:
            schema.metadata.create_all(connection)

    bring_up_to_date(
        execute,
        schemas,
        dialect=NAME,
        place=str(path),
        create=create,
        convert=lambda conversion: conversion(connection),
    )
