"""The HTTP server of a gateway: one POST with frames, checked in Corda's order.

Source of the order and the statuses: corda-runtime-os `HttpServer`, `HttpServerChannelHandler`.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from host.adapters.http.bounded_http import BoundedHttp, Ended
from host.adapters.http.pace import Patience
from host.domain.errors import HostError
from host.network.gateway.limits import STRANGERS_MAX, LogBudget, Strangers, Turns
from host.network.gateway.tls import peer_chain
from host.ports.clock import Clock
from host.ports.link import CONTENT_TYPE, HEADER_BYTES, GatewayReply, LinkService, TlsPeer

PATIENCE = Patience(
    idle_seconds=60.0,
    transfer_bytes_per_second_min=16 * 1024,
    window_seconds=2.0,
    transfer_seconds_max=30.0,
    shutdown_seconds=5.0,
)
_PROOFS = frozenset({b"\x04", b"\x06"})
"""Kinds of frames by which the link answers members alone: RESPONDER_HANDSHAKE, ACK."""
_SESSION = slice(8, 24)
_RETRY_AFTER = (b"retry-after", b"1")

_log = structlog.get_logger("cordbox.gateway")

Scope = Mapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Live values of a gateway.

    Attributes:
        url_path: the one path that is served.
        request_bytes_max: of a body; what a peer may send is less, by the frames' kind.
    """

    url_path: str = "/"
    request_bytes_max: int = 500_000_000


class GatewayServer:
    """The requests of all connections of a process. Used by its event loop."""

    def __init__(
        self,
        link: LinkService,
        *,
        executor: Executor,
        clock: Clock,
        limits: Callable[[], GatewayLimits],
        answered: Callable[[int, int], object] = lambda _status, _bytes: None,
        read: Callable[[int], object] = lambda _bytes: None,
        strangers_max: int = STRANGERS_MAX,
        has_address_limits: bool = True,
    ) -> None:
        """Serve nothing yet: `protocol` makes the protocol of each connection.

        Args:
            link: what the frames are for.
            executor: runs the link's methods, which block.
            clock: paces the log.
            limits: those in force.
            answered: called with the status of each answer, and the bytes of its body.
            read: called with the bytes of each part of a request's body.
            strangers_max: connections of strangers.
            has_address_limits: whether a peer is told by its IP address, or by its connection.
        """
        self._link = link
        self._executor = executor
        self._clock = clock
        self._limits = limits
        self._answered = answered
        self._read = read
        self._has_address_limits = has_address_limits
        self._turns = Turns()
        self._lines = LogBudget()
        self._strangers = Strangers(strangers_max)
        self._connections: dict[str, GatewayHttp] = {}
        self._empty = asyncio.Event()
        self._state = ServerState()
        self._config = Config(
            _no_application,
            http=GatewayHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        self._config.load()
        self.is_stopping = False

    @property
    def strangers(self) -> int:
        """How many connections are strangers'."""
        return len(self._strangers)

    def protocol(self, left: Callable[[], None], *, ended: Ended) -> "GatewayHttp":
        """The protocol of a new connection; it calls `left` when the connection is lost."""
        return GatewayHttp(self._config, self._state, self, left=left, ended=ended)

    def entered(self, connection: "GatewayHttp") -> bool:
        """The TLS handshake is over; whether another connection was closed for this one."""
        self._connections[connection.name] = connection
        closed = self._strangers.enter(connection.name)
        if closed is not None:
            self._connections[closed].drop()
        return closed is not None

    def gone(self, connection: "GatewayHttp") -> None:
        """The connection is lost."""
        self._strangers.left(connection.name)
        self._connections.pop(connection.name, None)
        if not self._connections:
            self._empty.set()

    async def stop(self, seconds: float) -> None:
        """Answer what is in work, for at most so long, then close all connections."""
        self.is_stopping = True
        for connection in list(self._connections.values()):
            connection.shutdown()
        try:
            async with asyncio.timeout(seconds):
                await self._all_left()
        except TimeoutError:
            for connection in list(self._connections.values()):
                connection.drop()
            await self._all_left()

    async def _all_left(self) -> None:
        if self._connections:
            self._empty.clear()
            await self._empty.wait()

    async def answer(
        self, connection: "GatewayHttp", scope: Scope, receive: Receive, send: Send
    ) -> None:
        """One request, as an ASGI application."""
        self._strangers.begin(connection.name)
        proved = False
        try:
            reply = await self._reply(connection, scope, receive)
            if reply is None:
                return  # The peer has disconnected.
            proved = connection.is_proved
            self._answered(reply.status, len(reply.body))
            await _send(send, reply)
        finally:
            self._strangers.end(connection.name, proved=proved)

    async def _reply(
        self, connection: "GatewayHttp", scope: Scope, receive: Receive
    ) -> GatewayReply | None:
        limits = self._limits()
        headers = dict(scope["headers"])
        status = head_status(scope, headers, limits)
        if status is None and self.is_stopping:
            status = 503
        if status is not None:
            return GatewayReply(status=status)
        try:
            body = await self._body(receive, int(headers[b"content-length"]), limits)
            if not isinstance(body, bytes):
                return body
            return await self._worked(connection, body)
        except HostError as failed:
            self._tell("request-failed", code=failed.code, reason=failed.message)
            return GatewayReply(status=503)
        except Exception as failed:  # noqa: BLE001  # a defect must not end the gateway
            self._tell("request-failed", code="internal-error", reason=repr(failed))
            return GatewayReply(status=500)

    async def _body(
        self, receive: Receive, length: int, limits: GatewayLimits
    ) -> bytes | GatewayReply | None:
        """The whole body; its first bytes decide how long it may be before more is read."""
        body = bytearray()
        limit: int | None = None
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            self._read(len(part))
            body += part
            more = message.get("more_body", False)
            if limit is None and (len(body) >= HEADER_BYTES or not more):
                limit = await self._run(self._link.body_limit, bytes(body[:HEADER_BYTES]))
                if not limit or length > min(limit, limits.request_bytes_max):
                    return GatewayReply(status=413 if limit else 400)
        return bytes(body)

    async def _worked(self, connection: "GatewayHttp", body: bytes) -> GatewayReply:
        address = connection.address if self._has_address_limits else connection.name
        # Strangers choose session ids: for them the address counts.
        peer = body[_SESSION].hex() if connection.is_proved else address
        if not self._turns.take(peer):
            return GatewayReply(status=503)
        try:
            tls = TlsPeer(address=address, chain=connection.chain, connection=connection.name)
            reply: GatewayReply = await self._run(self._link.receive, body, tls)
        finally:
            self._turns.leave(peer)
        connection.is_proved |= reply.status == 200 and reply.body[1:2] in _PROOFS
        return reply

    async def _run(self, function: Callable[..., Any], *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    def _tell(self, event: str, **facts: object) -> None:
        left_out = self._lines.admit(self._clock.now_ms())
        if left_out is not None:
            _log.warning(event, left_out=left_out, **facts)


class GatewayHttp(BoundedHttp):
    """One connection.

    Attributes:
        name: names it for the link.
        is_proved: a member has proved on it who it is.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        gateway: GatewayServer,
        *,
        left: Callable[[], None],
        ended: Ended,
    ) -> None:
        self._gateway = gateway
        self._release = left
        self.name = uuid.uuid4().hex
        self.is_proved = False
        super().__init__(config, state, {}, patience=PATIENCE, ended=ended, left=self._lost)
        self.app = partial(gateway.answer, self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._gateway.entered(self):
            self._ended("stranger")

    @property
    def address(self) -> str:
        """IP address of the peer."""
        return str(self.client[0]) if self.client else ""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Certificates that the client presented."""
        found = self.transport.get_extra_info("ssl_object")
        return () if found is None else peer_chain(found)

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def _lost(self) -> None:
        self._gateway.gone(self)
        self._release()


def head_status(scope: Scope, headers: Mapping[bytes, bytes], limits: GatewayLimits) -> int | None:
    """The status by which a request is refused for its head; None if it is not. Pure."""
    length = headers.get(b"content-length", b"")
    checks = (
        (scope["path"] == limits.url_path and not scope["query_string"], 404),
        (scope["http_version"] == "1.1", 505),
        (scope["method"] == "POST", 501),
        (length.isdigit() and len(length) < 16, 411),
        (length.isdigit() and int(length) <= limits.request_bytes_max, 413),
        (headers.get(b"content-type", b"").lower() == CONTENT_TYPE.encode(), 415),
    )
    return next((status for holds, status in checks if not holds), None)


async def _send(send: Send, reply: GatewayReply) -> None:
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(reply.body)).encode()),
    ]
    if reply.status == 503:
        headers.append(_RETRY_AFTER)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _no_application(scope: Scope, receive: Receive, send: Send) -> None:
    """Replaced for each connection: the application is the gateway, with the connection."""
    del scope, receive, send
