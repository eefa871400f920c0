"""Connections of a database that stay open between its transactions.

SQLAlchemy's own beginning, commit and return of a connection take 25 us of processor time, SQLite's
take 5. So a connection of SQLAlchemy is opened once and kept, and transactions are begun and ended
by the driver; SQLAlchemy's part of one is used only where a statement is executed by it.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from host.database.prepared import run_text


class KeptConnections:
    """Thread-safe: each transaction has a connection of its own.

    Args:
        engine: opens connections, without limit; it begins no transactions itself.
        kept_max: how many stay open.
    """

    def __init__(self, engine: Engine, *, kept_max: int) -> None:
        self._engine = engine
        self._kept_max = kept_max
        self._idle: deque[Connection] = deque()
        self._is_closed = False

    @contextmanager
    def transaction(self, begin: str) -> Iterator[Connection]:
        """Commit what the block does, or roll it back if it raises.

        Args:
            begin: the statement that begins the transaction.

        Raises:
            DBAPIError: the database cannot be opened, or the transaction not begun or committed.
        """
        connection = self._borrowed()
        try:
            run_text(connection, begin)
            yield connection
            run_text(connection, "COMMIT")
            if connection.in_transaction():
                # SQLAlchemy has executed statements: so it is told that its transaction is over.
                connection.commit()
        except BaseException:
            self._roll_back(connection)
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close all connections, those in use at the end of their transactions."""
        self._is_closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that are not in use; later transactions open others."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _borrowed(self) -> Connection:
        # The latest first: its pages are in its cache.
        with suppress(IndexError):
            return self._idle.pop()
        return self._engine.connect()

    def _give_back(self, connection: Connection) -> None:
        if len(self._idle) >= self._kept_max or connection.invalidated:
            connection.close()
            return
        self._idle.append(connection)
        if self._is_closed:
            self.close_idle()

    def _roll_back(self, connection: Connection) -> None:
        """End a transaction that failed; a connection that cannot do it is closed."""
        try:
            # SQLAlchemy's does nothing where it has executed no statement.
            connection.connection.rollback()
            connection.rollback()
        except (SQLAlchemyError, sqlite3.Error):
            connection.invalidate()
        self._give_back(connection)
