"""SQLAlchemy's connections to PostgreSQL, for the registers and the vaults."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pg8000.dbapi
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from plugins.postgres.connections import PATIENCE, POOL_WAIT_SECONDS, Access, end_driver
from plugins.postgres.errors import CONNECTION_ERRORS, is_lost, sqlstate

_VIOLATED = "23"
"""Class of SQLSTATE: integrity constraint violation."""
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN"
_BEGINS = "cordbox_begins"
POOL_SIZE = 4
LOCK_SECONDS = 3.0
"""How long a transaction of a feature waits for a lock: a part of the time that a guest's run has,
which is charged with the wait."""
SESSION = {
    # A transaction of a feature computes between its statements, unlike those of the flow store.
    # What a stopped process has locked is free before its host counts as dead and is taken over.
    "idle_in_transaction_session_timeout": "15000",
    "lock_timeout": str(round(1000 * LOCK_SECONDS)),
}
RECYCLE_SECONDS = 1800
"""Age at which a connection is replaced: a server's process keeps memory for each table that it has
used."""


class _Driver(pg8000.dbapi.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that leaves no socket behind."""

    def close(self) -> None:
        end_driver(self, super().close)


class EngineSessions:
    """A pool of connections that grows to the number of transactions at the same time.

    Args:
        access: how to connect.
        search_path: the schemas whose tables statements see.
    """

    def __init__(self, access: Access, *, search_path: str) -> None:
        of_schema = replace(access, session=SESSION | access.session | {"search_path": search_path})

        def connect() -> Any:
            arguments = of_schema.arguments()
            try:
                opened = _Driver(**arguments)
            except BaseException:
                arguments["sock"].close()
                raise
            opened.autocommit = True
            return opened

        self.engine = create_engine(
            "postgresql+pg8000://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=POOL_SIZE,
            max_overflow=access.pool_max - POOL_SIZE,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_recycle=RECYCLE_SECONDS,
            # Parameters are nodes' data, which must not get into the log by tracebacks.
            hide_parameters=True,
        )
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", _explain, retval=True)
        event.listen(self.engine, "checkin", self._given_back)
        self._is_closed = False

    @contextmanager
    def reading(self, *, within: str = "") -> Iterator[Connection]:
        """A view of one moment.

        Args:
            within: statements that begin the transaction.
        """
        with self._transaction(_READ, within) as connection:
            yield connection
            # Also after a failed statement, with which a commit would be refused.
            connection.rollback()

    @contextmanager
    def writing(
        self, lock: str, *, within: str = "", is_patient: bool = False
    ) -> Iterator[Connection]:
        """A transaction that holds the lock of this name alone; the block's end commits it.

        Args:
            lock: a name.
            within: statements that begin the transaction.
            is_patient: wait for minutes for the lock, and for the next statement.
        """
        begin = f"{_WRITE}; {PATIENCE}" if is_patient else _WRITE
        with self._transaction(begin, within) as connection:
            connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (lock,)
            )
            yield connection

    def close(self) -> None:
        """Close all connections, those in use at the end of their transactions."""
        self._is_closed = True
        self.engine.dispose()

    def _given_back(self, _driver: object, entry: ConnectionPoolEntry) -> None:
        if self._is_closed:
            entry.close()

    @contextmanager
    def _transaction(self, begin: str, within: str) -> Iterator[Connection]:
        connection = self._begun(f"{begin}; {within}" if within else begin)
        try:
            with connection:
                yield connection
                if connection.in_transaction():
                    connection.commit()
        finally:
            connection.close()

    def _begun(self, begin: str) -> Connection:
        """A connection with a transaction; another one, if it was lost while it was idle."""
        connection = self._connect(begin)
        try:
            connection.begin()
        except BaseException as exc:
            connection.close()
            if not is_lost(exc):
                raise
            connection = self._connect(begin)
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
        return connection

    def _connect(self, begin: str) -> Connection:
        return self.engine.connect().execution_options(**{_BEGINS: begin})


def _begin(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  # it is open
    begin = connection.get_execution_options().get(_BEGINS, _WRITE)
    try:
        driver.execute_simple(begin)
    except CONNECTION_ERRORS as exc:
        if is_lost(exc):
            connection.invalidate(exc)
        raise


def _explain(context: ExceptionContext) -> IntegrityError | None:
    """Tell SQLAlchemy what the driver does not: lost connections, and violated constraints.

    A lost connection takes along those that wait unused beside it.
    """
    error = context.original_exception
    if is_lost(error):
        context.is_disconnect = True
    if not sqlstate(error).startswith(_VIOLATED):
        return None
    return IntegrityError(context.statement, None, error, hide_parameters=True)
