"""Accepts connections from a listening socket, up to the connection limits.

Everything about a connection before its first byte of HTTP is here: admission, its first byte, its
TLS handshake, and when to pause accepting.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from host.adapters.http.admission import Admission, Greeting, Refusal, Seat
from host.adapters.http.pace import Patience

_AT_ONCE = 64
"""Connections that are accepted before other work gets its turn."""
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_ROOM_SECONDS = 0.5
_TELL_SECONDS = 60.0
_TLS_HANDSHAKE = 0x16
_PLAIN_BYTES_MAX = 64 * 1024
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 36\r\n"
    b"connection: close\r\n\r\n"
    b"This port answers to https:// only.\n"
)

_log = structlog.get_logger("cordbox.rest")


_REFUSALS = ("no-room", *Refusal)
_ENDS = (
    "crowded",
    "handshake",
    "no-tls",
    "head-too-long",
    "head-too-slow",
    "body-too-slow",
    "body-unread",
    "reader-too-slow",
    "idle",
)
"""Series that are there before the first such connection, so that rules find them."""


class DoorMetrics:
    """Counts connections: open ones, and refused or ended ones by reason.

    `prefix` begins the names of the metrics.
    """

    def __init__(self, registry: CollectorRegistry, *, prefix: str = "cordbox_rest") -> None:
        self.open = Gauge(f"{prefix}_connections", "Open connections.", registry=registry)
        self.most = Gauge(
            f"{prefix}_connections_max", "Connections that are let in.", registry=registry
        )
        self._refused = Counter(
            f"{prefix}_connections_refused",
            "Connections that were not let in.",
            ("reason",),
            registry=registry,
        )
        self._ended = Counter(
            f"{prefix}_connections_ended",
            "Connections that the server ended for what the client did or did not.",
            ("reason",),
            registry=registry,
        )
        for reason in _REFUSALS:
            self._refused.labels(reason)
        for reason in _ENDS:
            self._ended.labels(reason)

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def ended(self, reason: str) -> None:
        self._ended.labels(reason).inc()
        _log.debug("connection-ended", reason=reason)


MakeProtocol = Callable[[Callable[[], None]], asyncio.Protocol]
"""Makes the protocol of a connection; it calls the argument when the connection is lost.
"""


class Acceptor:
    """A server with the interface that uvicorn needs: `close`, then `wait_closed`."""

    def __init__(
        self,
        listener: socket.socket,
        admission: Admission,
        make_protocol: MakeProtocol,
        *,
        tls: Callable[[], ssl.SSLContext] | None,
        patience: Patience,
        metrics: DoorMetrics,
        greeting: Greeting | None = None,
    ) -> None:
        """Accept nothing yet; without `greeting` only seats are limited."""
        self._listener = listener
        self._admission = admission
        self._make_protocol = make_protocol
        self._tls = tls
        self._patience = patience
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._limits = greeting
        self._greeting: dict[asyncio.Task[bool], None] = {}
        """Connections before the end of their TLS handshake, the oldest one first."""
        self._is_closed = False
        self._warned_at: float | None = None
        self._unreported = 0

    def start(self) -> None:
        """Start accepting connections."""
        self._listener.setblocking(False)  # noqa: FBT003  # its one parameter
        self._metrics.most.set(self._admission.seats.total_max)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Stop accepting connections; those still before HTTP are dropped."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener)
            for task in self._greeting:
                task.cancel()

    async def wait_closed(self) -> None:
        if self._greeting:
            await asyncio.wait(set(self._greeting))

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._wait_for_room(error)
                    return
                continue  # The client has disconnected already.
            self._let_in(connection, str(address[0]))

    def _wait_for_room(self, error: OSError) -> None:
        """Leave clients in the kernel's queue for a moment: retrying at once would spin."""
        self._metrics.refused("no-room")
        self._tell("connections-not-accepted", reason=error.strerror)
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_NO_ROOM_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener, self._accept)

    def _let_in(self, connection: socket.socket, address: str) -> None:
        is_admitted = self._limits is None or self._limits.admits(address)
        seat = self._admission.take(address) if is_admitted else Refusal.RATE
        if isinstance(seat, Refusal):
            self._metrics.refused(seat)
            connection.close()
            self._tell(
                "connections-refused", reason=str(seat), open=self._admission.count, last=address
            )
            return
        self._metrics.open.set(self._admission.count)
        connection.setblocking(False)  # noqa: FBT003  # its one parameter
        task = self._loop.create_task(self._greet(connection, seat))
        self._greeting[task] = None
        task.add_done_callback(partial(self._greeted, connection, seat))
        if self._limits is not None and len(self._greeting) > self._limits.most:
            oldest = next(iter(self._greeting))
            del self._greeting[oldest]
            self._metrics.ended("crowded")
            oldest.cancel()

    async def _greet(self, connection: socket.socket, seat: Seat) -> bool:
        """Whether the connection was handed to a protocol, which releases the seat."""
        try:
            return await self._serve(connection, seat)
        except (OSError, ssl.SSLError) as error:  # TimeoutError is an OSError.
            self._metrics.ended("handshake")
            _log.debug("handshake-failed", reason=str(error))
            return False

    def _greeted(self, connection: socket.socket, seat: Seat, task: asyncio.Task[bool]) -> None:
        """Release what was not handed on, also of a task that was cancelled before it began."""
        self._greeting.pop(task, None)
        failed = None if task.cancelled() else task.exception()
        if failed is not None:  # a defect: asyncio logs it
            facts = {"message": "a connection was not served", "exception": failed}
            self._loop.call_exception_handler(facts)
        if task.cancelled() or failed is not None or not task.result():
            connection.close()
            self._leave(seat)

    async def _serve(self, connection: socket.socket, seat: Seat) -> bool:
        """Hand the connection to a protocol, which releases the seat at its end."""
        context = None if self._tls is None else self._tls()
        if context is not None:
            async with asyncio.timeout(self._patience.handshake_seconds):
                first = await self._first_byte(connection)
            if first != _TLS_HANDSHAKE:
                self._answer_plainly(connection, first)
                return False
        # An answer's body is written after its head: without this, it would wait until the client
        # has acknowledged the head, which clients delay by 40 ms. asyncio sets it only on sockets
        # that name their protocol, which those of `socket.create_server` do not.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = self._make_protocol(partial(self._leave, seat))
        await self._loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=context,
            ssl_handshake_timeout=self._patience.handshake_seconds if context else None,
            ssl_shutdown_timeout=self._patience.shutdown_seconds if context else None,
        )
        return True

    async def _first_byte(self, connection: socket.socket) -> int | None:
        """The first byte, left unread in the socket; None if the client has disconnected."""
        arrived = asyncio.Event()
        self._loop.add_reader(connection, arrived.set)
        try:
            await arrived.wait()
        finally:
            self._loop.remove_reader(connection)
        data = connection.recv(1, socket.MSG_PEEK)
        return data[0] if data else None

    def _answer_plainly(self, connection: socket.socket, first: int | None) -> None:
        """Answer a client that uses HTTP without TLS with an error, if it can be sent at once."""
        self._metrics.ended("no-tls")
        _log.debug("no-tls", first=first)
        if first is not None and chr(first).isalpha() and chr(first).isascii():
            connection.recv(_PLAIN_BYTES_MAX)  # Unread bytes would cause a reset before the answer.
            connection.send(_PLAIN_ANSWER)
            connection.shutdown(socket.SHUT_WR)

    def _leave(self, seat: Seat) -> None:
        self._admission.leave(seat)
        self._metrics.open.set(self._admission.count)

    def _tell(self, event: str, **facts: object) -> None:
        """Log that connections are refused, at most once a minute."""
        self._unreported += 1
        now = self._loop.time()
        if self._warned_at is None or now - self._warned_at >= _TELL_SECONDS:
            _log.warning(event, count=self._unreported, **facts)
            self._warned_at, self._unreported = now, 0
