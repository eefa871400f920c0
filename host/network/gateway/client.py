"""The HTTP client of a gateway: POST alone, over TLS connections that are used again.

No redirects, cookies, encodings or proxies. Between the TLS handshake and the first byte the peer's
chain is checked, for which the usual clients offer no place.
"""

import asyncio
import socket
import ssl
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httptools

from host.network.gateway.endpoint import (
    Endpoint,
    EndpointRefusedError,
    Network,
    is_denied,
    parse_endpoint,
)
from host.network.gateway.shares import Holders, Shares, holders_of
from host.network.gateway.tls import TlsRefusedError, peer_chain
from host.ports.link import CONTENT_TYPE, Post, PostResult, TlsIdentity

ENDPOINT_CONNECTIONS_MAX = 4
ANSWER_BYTES_MAX = 4 * 1024 * 1024
HEAD_BYTES_MAX = 16 * 1024
_PIECE_BYTES = 64 * 1024
_FAILURE_CHARACTERS_MAX = 300

ContextOf = Callable[[TlsIdentity], ssl.SSLContext]
"""Makes or finds the client context of an identity; may block."""
CheckChain = Callable[[Sequence[bytes], TlsIdentity], None]
"""Raises `TlsRefusedError` if the chain of a gateway is not one of the identity's network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """Live values, by Corda's names in section `corda.p2p.gateway`. Times are seconds."""

    connections_max: int = 100
    acquire_seconds: float = 10.0
    idle_seconds: float = 60.0
    response_seconds: float = 3.0
    denied: tuple[Network, ...] = ()


Place = tuple[str, TlsIdentity]
"""Connections are shared by posts to one address of one network, with one certificate."""


class AnswerRefusedError(Exception):
    """What a peer sends is no answer that the gateway takes."""


@dataclass(slots=True)
class _Answer:
    """The callbacks of httptools' parser."""

    parser: httptools.HttpResponseParser | None = None
    body: bytearray = field(default_factory=bytearray)
    head_bytes: int = 0
    is_complete: bool = False
    keeps: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value)
        if self.head_bytes > HEAD_BYTES_MAX:
            raise AnswerRefusedError("the head of the answer is too long")

    def on_body(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > ANSWER_BYTES_MAX:
            raise AnswerRefusedError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")

    def on_message_complete(self) -> None:
        assert self.parser is not None  # noqa: S101  # it calls this
        self.keeps = self.parser.should_keep_alive()
        self.is_complete = True


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float

    def close(self) -> None:
        self.writer.transport.abort()


class GatewayClient:
    """Sends posts. Used by one event loop.

    Args:
        context_of: called on another thread.
        check_chain: called for each new connection.
        limits: those in force.
    """

    def __init__(
        self,
        context_of: ContextOf,
        check_chain: CheckChain,
        limits: Callable[[], ClientLimits] = ClientLimits,
    ) -> None:
        self._context_of = context_of
        self._check_chain = check_chain
        self._limits = limits
        self._idle: OrderedDict[Place, deque[_Connection]] = OrderedDict()
        self._open: Counter[Place] = Counter()
        self._shares = Shares()
        self._changed = asyncio.Condition()

    @property
    def connections(self) -> int:
        """Open connections, idle ones among them."""
        return self._open.total()

    async def post(self, post: Post) -> PostResult:
        """Send one request. Never raises: what failed is in the result."""
        try:
            async with asyncio.timeout(post.deadline_ms / 1000):
                return await self._post(post)
        except (
            OSError,  # TimeoutError and ssl.SSLError among them
            EOFError,
            AnswerRefusedError,
            EndpointRefusedError,
            TlsRefusedError,
            httptools.HttpParserError,
        ) as failed:
            text = str(failed) or type(failed).__name__
            return PostResult(
                post_id=post.post_id, status=None, failure=text[:_FAILURE_CHARACTERS_MAX]
            )

    async def close_idle(self) -> None:
        """Close connections without a request for the idle time; call it every second."""
        limits, now = self._limits(), asyncio.get_running_loop().time()
        async with self._changed:
            for place, waiting in list(self._idle.items()):
                while waiting and now - waiting[0].used_at >= limits.idle_seconds:
                    self._lose(place, waiting.popleft())
                if not waiting:
                    del self._idle[place]
            self._changed.notify_all()

    async def close(self) -> None:
        """Close all idle connections."""
        async with self._changed:
            for place, waiting in self._idle.items():
                for connection in waiting:
                    self._lose(place, connection)
            self._idle.clear()

    async def _post(self, post: Post) -> PostResult:
        endpoint = parse_endpoint(post.url)
        place = (endpoint.authority, post.tls)
        holders = holders_of(post)
        connection, is_fresh = await self._acquire(place, endpoint, holders)
        keeps = False
        try:
            try:
                answer = await self._exchange(connection, endpoint, post.body)
            except (OSError, EOFError):
                # The peer may have closed it for being idle before it saw the request. Frames may
                # arrive twice: the link counts them once.
                if is_fresh:
                    raise
                connection.close()
                connection = await self._connect(endpoint, post.tls)
                answer = await self._exchange(connection, endpoint, post.body)
            assert answer.parser is not None  # noqa: S101  # set by `_exchange`
            status = answer.parser.get_status_code()
            keeps = answer.keeps and status == 200
            body = bytes(answer.body) if status == 200 else b""
            return PostResult(post_id=post.post_id, status=status, body=body)
        finally:
            await self._release(place, connection, holders, keeps=keeps)

    async def _acquire(
        self, place: Place, endpoint: Endpoint, holders: Holders
    ) -> tuple[_Connection, bool]:
        """A connection, and whether it is new; it counts to the shares of `holders`."""
        limits = self._limits()
        async with asyncio.timeout(limits.acquire_seconds), self._changed:
            while True:
                is_admitted = self._shares.admits(holders, limits.connections_max)
                waiting = self._idle.get(place)
                if is_admitted and waiting:
                    self._shares.begin(holders)
                    return waiting.pop(), False
                may_open = is_admitted and self._open[place] < ENDPOINT_CONNECTIONS_MAX
                if may_open and self._has_room(limits):
                    self._shares.begin(holders)
                    self._open[place] += 1
                    break
                await self._changed.wait()
        try:
            return await self._connect(endpoint, place[1]), True
        except BaseException:
            async with self._changed:
                self._shares.end(holders)
                self._count_down(place)
                self._changed.notify_all()
            raise

    def _has_room(self, limits: ClientLimits) -> bool:
        """Whether one more may be opened; an idle one of another place is closed for it."""
        if self.connections < limits.connections_max:
            return True
        for place, waiting in self._idle.items():
            if waiting:
                self._lose(place, waiting.popleft())
                return True
        return False

    async def _connect(self, endpoint: Endpoint, tls: TlsIdentity) -> _Connection:
        loop = asyncio.get_running_loop()
        context = await loop.run_in_executor(None, self._context_of, tls)
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        denied = self._limits().denied
        # The address that is checked is the one that is connected to: names may change in between.
        addresses = [str(each[4][0]) for each in found]
        allowed = [address for address in addresses if not is_denied(address, denied)]
        if not allowed:
            raise EndpointRefusedError(f"{endpoint.authority} leads to a denied network")
        reader, writer = await asyncio.open_connection(
            allowed[0],
            endpoint.port,
            ssl=context,
            server_hostname=endpoint.host,
            limit=_PIECE_BYTES,
            ssl_handshake_timeout=10.0,
        )
        connection = _Connection(reader, writer, loop.time())
        try:
            chain = peer_chain(writer.get_extra_info("ssl_object"))
            await loop.run_in_executor(None, self._check_chain, chain, tls)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _exchange(self, connection: _Connection, endpoint: Endpoint, body: bytes) -> _Answer:
        head = (
            f"POST {endpoint.target} HTTP/1.1\r\nhost: {endpoint.authority}\r\n"
            f"content-type: {CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection.writer.write(head.encode("ascii") + body)
        async with asyncio.timeout(self._limits().response_seconds):
            await connection.writer.drain()
            answer = _Answer()
            answer.parser = httptools.HttpResponseParser(answer)
            while not answer.is_complete:
                data = await connection.reader.read(_PIECE_BYTES)
                if not data:
                    raise EOFError("the peer ended the connection before its answer")
                try:
                    answer.parser.feed_data(data)
                except httptools.HttpParserCallbackError as refused:
                    raise AnswerRefusedError(str(refused.__context__)) from refused
            return answer

    async def _release(
        self, place: Place, connection: _Connection, holders: Holders, *, keeps: bool
    ) -> None:
        async with self._changed:
            self._shares.end(holders)
            if keeps and not connection.writer.is_closing():
                connection.used_at = asyncio.get_running_loop().time()
                self._idle.setdefault(place, deque()).append(connection)
            else:
                self._lose(place, connection)
            self._changed.notify_all()

    def _lose(self, place: Place, connection: _Connection) -> None:
        connection.close()
        self._count_down(place)

    def _count_down(self, place: Place) -> None:
        self._open[place] -= 1
        if not self._open[place]:
            del self._open[place]
