"""Connections to PostgreSQL for the flow store: prepared statements in autocommit.

A connection is used by one thread at a time and stays open; their number grows to that of the calls
at the same time. Statements are prepared once for each connection: one round trip a call.
"""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pg8000.core import CoreConnection
from pg8000.native import Connection, PreparedStatement

from host.domain.errors import StorageBusyError, StorageError
from plugins.postgres.address import DatabaseAddress
from plugins.postgres.errors import CONNECTION_ERRORS, is_lost, storage_error

T = TypeVar("T")

CONNECT_SECONDS = 10.0
POOL_MAX = 32
POOL_WAIT_SECONDS = 10.0
"""How long a call waits for a connection that others use."""
APPLICATION = "cordbox"
_SILENCE: dict[int, int] = {
    socket.TCP_KEEPIDLE: 5,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 11_000,
}
"""A server that is silent for 11 seconds is taken for gone: packets may be lost without a word."""
SESSION: dict[str, str] = {
    # A process that is stopped within a transaction must not keep its locks.
    "idle_in_transaction_session_timeout": "5000",
    "lock_timeout": "10000",
    # The same while it has not read an answer that the network holds.
    "tcp_user_timeout": "11000",
    "TimeZone": "UTC",
    "client_min_messages": "error",
}
"""Parameters of every session; times in milliseconds."""


PATIENCE = "SET LOCAL lock_timeout = 300000; SET LOCAL idle_in_transaction_session_timeout = 300000"
"""For changes of tables, which are rare and of which all processes that start wait for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to connect to a database.

    Attributes:
        tls: how the server is checked; None on the own machine.
        session: further parameters of the session.
        pool_max: connections of each pool of a process.
        answer_seconds: how long a statement's answer may take; None for ever.
    """

    address: DatabaseAddress
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    session: dict[str, str] = field(default_factory=dict)
    pool_max: int = POOL_MAX
    answer_seconds: float | None = None

    def within(self, search_path: str) -> "Access":
        """The same for statements that see the tables of these schemas."""
        return replace(self, session=self.session | {"search_path": search_path})

    def as_user(self, name: str, password: str | None) -> "Access":
        """The same as another user."""
        address = replace(self.address, user=name)
        return replace(self, address=address, password=password, answer_seconds=None)

    def in_role(self, role: str) -> "Access":
        """The same for statements with the rights of a role that the user may take on."""
        return replace(self, session=self.session | {"role": role})

    def arguments(self) -> dict[str, Any]:
        """Arguments of pg8000's connections, of either interface. Opens a socket."""
        startup = {name: value.encode() for name, value in (SESSION | self.session).items()}
        return {
            "user": self.address.user,
            "password": self.password,
            "database": self.address.database,
            "host": self.address.host or None,
            "sock": self._socket(),
            "ssl_context": False if self.tls is None else self.tls,
            "application_name": APPLICATION,
            "startup_params": startup,
        }

    def _socket(self) -> socket.socket:
        address = self.address
        if address.socket_folder:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connected.settimeout(CONNECT_SECONDS)
                connected.connect(address.socket)
            except BaseException:
                connected.close()
                raise
        else:
            place = (address.host, address.port)
            connected = socket.create_connection(place, CONNECT_SECONDS)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _SILENCE.items():
                connected.setsockopt(socket.IPPROTO_TCP, option, value)
        connected.settimeout(self.answer_seconds)
        return connected


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """TLS that checks the server's certificate and name.

    Args:
        authorities: certificates of the authorities, PEM; None for those of the system.

    Raises:
        StorageError: they cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as exc:
        raise StorageError(f"certificates {authorities} cannot be read: {exc}") from exc


class Run(Protocol):
    """Executes one statement with named parameters `:name`; returns its rows."""

    def __call__(self, sql: str, /, **values: object) -> list[Any]: ...


class Session:
    """One connection, with its prepared statements."""

    def __init__(self, access: Access) -> None:
        arguments = access.arguments()
        opened: socket.socket = arguments["sock"]
        self._descriptor: int = opened.fileno()
        try:
            self.raw = Connection(**arguments)
        except BaseException:
            _close_socket(opened)
            raise
        self._prepared: dict[str, PreparedStatement] = {}

    def run(self, sql: str, /, **values: object) -> list[Any]:
        """Execute a statement, prepared at its first use."""
        statement = self._prepared.get(sql)
        if statement is None:
            statement = self._prepared[sql] = self.raw.prepare(sql)
        return statement.run(**values) or []

    def fileno(self) -> int:
        """The connection's descriptor, readable when the server tells something."""
        return self._descriptor

    def simple(self, sql: str) -> None:
        """Execute statements without parameters or results."""
        self.raw.execute_simple(sql)

    @contextmanager
    def transaction(self, mode: str = "") -> Iterator[None]:
        """Commit the block, or roll it back if it raises."""
        self.simple(f"BEGIN {mode}")
        try:
            yield
        except BaseException:
            with suppress(*CONNECTION_ERRORS):
                self.simple("ROLLBACK")
            raise
        self.simple("COMMIT")

    def close(self) -> None:
        """End the connection, whatever state it is in."""
        with suppress(*CONNECTION_ERRORS):
            end_driver(self.raw, self.raw.close)


def end_driver(driver: CoreConnection, close: Callable[[], None]) -> None:
    """End a connection of the driver, of either interface, and its socket.

    Args:
        driver: the connection.
        close: the driver's own way to end it.

    The driver leaves the socket open where it cannot flush what it has to send: after a server's
    end, each lost connection would keep a descriptor until it is collected.

    Raises:
        CONNECTION_ERRORS: the server was not told, or the connection was closed before.
    """
    opened: socket.socket | None = driver._usock  # noqa: SLF001  # no other way to it under TLS
    try:
        close()
    finally:
        if opened is not None:
            _close_socket(opened)


def _close_socket(opened: socket.socket) -> None:
    """Close a socket also while files are made of it."""
    if opened.fileno() >= 0:
        os.close(opened.detach())


class Sessions:
    """Connections of one process to one database. Thread-safe.

    Args:
        access: how to connect.
        keeps: whether connections stay open between uses; not where uses are rare.
    """

    def __init__(self, access: Access, *, keeps: bool = True) -> None:
        self.place = str(access.address)
        self._access = access
        self._idle: list[Session] = []
        self._room = threading.BoundedSemaphore(access.pool_max)
        self._is_closed = False
        self._keeps = keeps

    def use(self, work: Callable[[Session], T]) -> T:
        """What `work` returns; it has a connection of its own, outside a transaction.

        Raises:
            FencedError, StateConflictError: a function of the database has refused.
            StorageBusyError: all connections are in use, and none became free in time.
            StorageError: the database cannot be used, or the connection was lost: then the
                statement may have been executed.
        """
        if not self._room.acquire(timeout=POOL_WAIT_SECONDS):
            raise StorageBusyError(
                f"database {self.place}: all connections of this process are in use",
                database=self.place,
            )
        try:
            return self._use(work)
        finally:
            self._room.release()

    def _use(self, work: Callable[[Session], T]) -> T:
        try:
            session = self._borrowed()
            try:
                result = work(session)
            except BaseException as exc:
                if isinstance(exc, CONNECTION_ERRORS) and not is_lost(exc):
                    self._give_back(session)
                else:
                    session.close()
                if isinstance(exc, CONNECTION_ERRORS) and is_lost(exc):
                    # Others were probably lost at the same time.
                    self._close_idle()
                raise
        except CONNECTION_ERRORS as exc:
            raise storage_error(self.place, exc) from exc
        self._give_back(session)
        return result

    def read(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, which only reads: tried once more after a lost connection.

        Raises:
            StorageError: the database cannot be used.
        """
        try:
            return self.use(work)
        except StorageError as exc:
            if not is_lost(exc.__cause__) or self._is_closed:
                raise
            return self.use(work)

    def close(self) -> None:
        """Close all connections, those in use at the end of their calls."""
        self._is_closed = True
        self._close_idle()

    def _borrowed(self) -> Session:
        with suppress(IndexError):
            return self._idle.pop()
        if self._is_closed:
            raise StorageError(f"database {self.place} is closed", database=self.place)
        return Session(self._access)

    def _give_back(self, session: Session) -> None:
        self._idle.append(session)
        if self._is_closed or not self._keeps:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()
