"""One SQLite file in WAL mode: opening, schema versions, read and write transactions.

Every feature brings its tables as a `Schema`; a file holds any number of them, each with its own
version. A `Database` may be used from any number of threads. Nothing is half done: a block that
raises is rolled back whole, and a commit has reached the disk when the block ends.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.pool import QueuePool

from host.db.errors import SchemaTooNewError, translated
from host.domain.errors import StorageError
from host.sqlite_files import give_back, let_shrink

BUSY_TIMEOUT_MS = 10_000
_POOL_SIZE = 4
_IMMEDIATE = "cordbox_immediate"

_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
)

_METADATA = MetaData()
SCHEMA_VERSION = Table(
    "schema_version",
    _METADATA,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
)
_SELECT_VERSIONS = select(SCHEMA_VERSION.c.name, SCHEMA_VERSION.c.version)
_INSERT_VERSION = insert(SCHEMA_VERSION)
_REVISION = "PRAGMA user_version"
"""How many commits there were that others may have to know of: a number in the file's header."""
_REVISION_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A feature's tables in one database, at the version that this release writes.

    `migrations[n]` holds the SQL statements that lead from version n to n + 1.
    `indexes_expressions`: tables have indexes on what functions give, which SQLite calls only in
    files whose schema it is told to trust.
    """

    name: str
    metadata: MetaData
    version: int = 1
    migrations: Mapping[int, Sequence[str]] = field(default_factory=dict)
    indexes_expressions: bool = False


class Database:
    """An open database file. `close` it, or use it as a context manager."""

    def __init__(self, path: Path, engine: Engine, *, has_revision: bool = True) -> None:
        self.path = path
        self._has_revision = has_revision
        self._seen_version: int | None = None
        self._revision = 0
        self._engine = engine
        self._write_lock = threading.Lock()
        self._writer: int | None = None
        self._watch_lock = threading.Lock()
        self._watch: sqlite3.Connection | None = None

    @staticmethod
    def open(
        path: Path,
        schemas: Sequence[Schema],
        *,
        pool_size: int = _POOL_SIZE,
        has_revision: bool = True,
    ) -> "Database":
        """Open or create the file, readable by its owner only, and bring its tables up to date.

        Args:
            path: the file.
            schemas: its tables.
            pool_size: connections that stay open.
            has_revision: whether somebody asks for `revision`; without, commits cost less.

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
            path, _engine(path, pool_size, trusted_schema=trusted), has_revision=has_revision
        )
        try:
            with database.write(counted=False) as connection:
                _upgrade(connection, path, schemas)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view of the database for the length of the block.

        Raises:
            StorageError: the file is damaged or gone.
        """
        with translated(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, counted: bool = True) -> Iterator[Connection]:
        """A transaction that no other writer can come between; committed when the block ends.

        Args:
            counted: whether `revision` changes: False for what nobody remembers.

        Raises:
            StorageError: the file cannot be written; nothing has changed.
            StorageBusyError: another process is writing for longer than the busy timeout.
            RuntimeError: this thread is inside such a block of this database already.
        """
        if self._writer == threading.get_ident():
            raise RuntimeError(f"a second transaction on {self.path} inside the first")
        with self._write_lock:
            self._writer = threading.get_ident()
            try:
                with translated(self.path), self._engine.connect() as raw:
                    connection = raw.execution_options(**{_IMMEDIATE: True})
                    with connection.begin():
                        yield connection
                        if counted and self._has_revision:
                            _count(connection)
                        give_back(_driver(connection))
            finally:
                self._writer = None

    def scrub(self) -> None:
        """Take deleted rows off the disk, as far as SQLite can while others read.

        Raises:
            StorageError: the file cannot be written.
        """
        with self._write_lock, translated(self.path):
            raw = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)
            try:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                raw.close()

    def revision(self) -> int:
        """A number that changes with every counted commit to the file, by whichever process.

        Raises:
            StorageError: the file is damaged or gone.
        """
        with translated(self.path), self._watch_lock:
            if self._watch is None:
                # SQLite counts the commits of others: this connection never writes.
                self._watch = sqlite3.connect(
                    self.path, isolation_level=None, check_same_thread=False
                )
            (version,) = self._watch.execute("PRAGMA data_version").fetchone()
            if version != self._seen_version:
                # Read after it: a commit in between is seen now, and looked for once more.
                (self._revision,) = self._watch.execute(_REVISION).fetchone()
                self._seen_version = version
            return self._revision

    def close(self) -> None:
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return driver


def _engine(path: Path, pool_size: int, *, trusted_schema: bool) -> Engine:
    pragmas = (*_PRAGMAS, f"PRAGMA trusted_schema = {'ON' if trusted_schema else 'OFF'}")
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=-1,
        # Parameters are nodes' data, which tracebacks must not carry into the log.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: Any, _record: object) -> None:
        # Python's driver must not begin transactions of its own: it would begin them deferred.
        dbapi_connection.isolation_level = None
        let_shrink(dbapi_connection)
        for pragma in pragmas:
            dbapi_connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _count(connection: Connection) -> None:
    revision = int(connection.exec_driver_sql(_REVISION).scalar_one())
    following = revision + 1 if revision < _REVISION_MAX else 0
    connection.exec_driver_sql(f"{_REVISION} = {following}")


def _upgrade(connection: Connection, path: Path, schemas: Sequence[Schema]) -> None:
    _METADATA.create_all(connection)
    found = {row.name: row.version for row in connection.execute(_SELECT_VERSIONS)}
    for schema in schemas:
        version = found.get(schema.name)
        if version is None:
            schema.metadata.create_all(connection)
            connection.execute(_INSERT_VERSION, {"name": schema.name, "version": schema.version})
        elif version > schema.version:
            raise SchemaTooNewError(
                f"database {path}: schema {schema.name} has version {version},"
                f" this release knows versions up to {schema.version}"
            )
        elif version < schema.version:
            _migrate(connection, schema, version)


def _migrate(connection: Connection, schema: Schema, version: int) -> None:
    for step in range(version, schema.version):
        for statement in schema.migrations[step]:
            connection.exec_driver_sql(statement)
    connection.execute(
        update(SCHEMA_VERSION)
        .where(SCHEMA_VERSION.c.name == schema.name)
        .values(version=schema.version)
    )
