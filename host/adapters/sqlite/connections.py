"""Connections to the file of a flow store."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from host.adapters.sqlite.files import let_shrink
from host.adapters.sqlite.group_commit import refusal_of
from host.adapters.sqlite.pieces import Joined
from host.domain.errors import StorageError

T = TypeVar("T")

_BUSY_MS = 10_000


class ReadConnections:
    """Connections for reads; their number grows to that of the reads at the same time. Thread-safe.

    A connection for each thread would stay open after the thread's end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False

    def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What `read` returns, for which it has a connection of its own.

        Raises:
            StorageError: closed, or the file cannot be read.
        """
        try:
            connection = self._borrowed()
            try:
                return read(connection)
            finally:
                self._give_back(connection)
        except sqlite3.Error as exc:
            raise refusal_of(self._path, exc) from exc

    def close(self) -> None:
        """Close all connections, those in use at the end of their reads."""
        self._is_closed = True
        self._close_idle()

    def _borrowed(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        if self._is_closed:
            raise StorageError(f"flow store {self._path} is closed", path=str(self._path))
        return open_connection(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._is_closed:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def open_connection(path: Path) -> sqlite3.Connection:
    """Open or create the file of a store, whose commits are durable.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    with suppress(OSError):  # reported by SQLite
        path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
    )
    try:
        connection.create_aggregate("joined", 1, Joined)  # type: ignore[arg-type]  # stubs: numbers
        let_shrink(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection
