"""A gateway: its thread, which serves the frames of peers and sends the link's posts."""

import asyncio
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter

from host.adapters.http.acceptor import Acceptor, DoorMetrics
from host.adapters.http.admission import Admission, Greeting, Seats, address_group
from host.domain.errors import HostError
from host.network.gateway.client import CheckChain, ClientLimits, ContextOf, GatewayClient
from host.network.gateway.limits import (
    ADDRESS_MAX,
    CONNECTIONS_MAX,
    HANDSHAKES_MAX,
    HANDSHAKES_PER_SECOND,
    HANDSHAKES_PER_SECOND_OF_ADDRESS,
    STRANGERS_MAX,
    WORK_MAX,
)
from host.network.gateway.server import PATIENCE, GatewayHttp, GatewayLimits, GatewayServer
from host.network.link.admission import Rate
from host.ports.clock import Clock
from host.ports.link import LinkService, Post

TAKES = 2
"""Calls of `take` that are open at a time."""
TAKE_WAIT_MS, POSTS_MAX = 1_000, 32
FAILED_SECONDS = 1.0
IDLE_SECONDS = 1.0
STOP_SECONDS = 5.0
SEATS = Seats(total_max=CONNECTIONS_MAX, address_max=ADDRESS_MAX)

_log = structlog.get_logger("cordbox.gateway")


class GatewayMetrics:
    """Counts connections, served requests by status, and sent ones by outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.door = DoorMetrics(registry, prefix="cordbox_gateway")
        self._served = Counter(
            "cordbox_gateway_requests",
            "Requests of other clusters that were answered.",
            ("status",),
            registry=registry,
        )
        self._posts = Counter(
            "cordbox_gateway_posts",
            "Requests to other clusters, by the status of the answer, or `none`.",
            ("status",),
            registry=registry,
        )
        self._bytes = Counter(
            "cordbox_gateway_post_bytes",
            "Bytes of bodies of requests to other clusters, and of their answers.",
            ("direction",),
            registry=registry,
        )
        self._served_bytes = Counter(
            "cordbox_gateway_request_bytes",
            "Bytes of bodies of requests of other clusters, and of their answers.",
            ("direction",),
            registry=registry,
        )
        self._served.labels("200")
        for status in ("200", "none"):
            self._posts.labels(status)
        for direction in ("sent", "received"):
            self._bytes.labels(direction)
            self._served_bytes.labels(direction)

    def read(self, received: int) -> None:
        """Bytes of a request's body have come, whatever becomes of the request."""
        self._served_bytes.labels("received").inc(received)

    def served(self, status: int, sent: int) -> None:
        """A request was answered, with bytes of the answer's body."""
        self._served.labels(str(status)).inc()
        self._served_bytes.labels("sent").inc(sent)

    def posted(self, status: int | None, sent: int, received: int) -> None:
        """A request was answered, or not; with bytes of its body and of the answer's."""
        self._bytes.labels("sent").inc(sent)
        self._bytes.labels("received").inc(received)
        self._posts.labels("none" if status is None else str(status)).inc()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayParts:
    """What a gateway works with.

    Attributes:
        listeners: sockets that listen; the gateway closes them.
        server_context: the present one; asked for each connection, so that certificates change
            without a restart. Fast.
        context_of, check_chain: for the client.
        limits, client_limits: those in force.
        seats, strangers_max: limits of connections to it.
        handshakes_max, handshake_rate: limits of TLS handshakes, before anybody is known.
        has_address_limits: whether what strangers may do is counted by their IP address; else by
            connection, because a load balancer hides addresses.
    """

    link: LinkService
    listeners: Sequence[socket.socket]
    server_context: Callable[[], ssl.SSLContext]
    context_of: ContextOf
    check_chain: CheckChain
    clock: Clock
    metrics: GatewayMetrics
    limits: Callable[[], GatewayLimits] = GatewayLimits
    client_limits: Callable[[], ClientLimits] = ClientLimits
    seats: Seats = field(default_factory=lambda: SEATS)
    strangers_max: int = STRANGERS_MAX
    handshakes_max: int = HANDSHAKES_MAX
    handshake_rate: Rate = field(
        default_factory=lambda: Rate(HANDSHAKES_PER_SECOND_OF_ADDRESS, HANDSHAKES_PER_SECOND)
    )
    has_address_limits: bool = True


class Gateway:
    """Runs on a thread of its own until `stop`."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._posting: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def start(self) -> None:
        """Serve and send from now on."""
        self._thread.start()
        self._ready.wait()

    def stop(self, timeout_s: float = 3 * STOP_SECONDS) -> bool:
        """End what runs, then the thread; False if it still runs after `timeout_s`."""
        if self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with ThreadPoolExecutor(WORK_MAX + TAKES, thread_name_prefix="gateway") as executor:
            asyncio.run(self._serve(executor))

    async def _serve(self, executor: ThreadPoolExecutor) -> None:
        parts = self._parts
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = GatewayServer(
            parts.link,
            executor=executor,
            clock=parts.clock,
            limits=parts.limits,
            answered=parts.metrics.served,
            read=parts.metrics.read,
            strangers_max=parts.strangers_max,
            has_address_limits=parts.has_address_limits,
        )
        admission = Admission(parts.seats)
        acceptors = [self._acceptor(server, each, admission) for each in parts.listeners]
        for acceptor in acceptors:
            acceptor.start()
        client = GatewayClient(parts.context_of, parts.check_chain, parts.client_limits)
        run = partial(self._loop.run_in_executor, executor)
        loops = [self._loop.create_task(self._take(client, run)) for _ in range(TAKES)]
        loops.append(self._loop.create_task(self._close_idle(client)))
        self._ready.set()
        await self._stopping.wait()
        for acceptor in acceptors:
            acceptor.close()
            await acceptor.wait_closed()
        await server.stop(STOP_SECONDS)
        await asyncio.wait(loops)
        if self._posting:
            await asyncio.wait(set(self._posting), timeout=STOP_SECONDS)
        await client.close()
        for listener in parts.listeners:
            listener.close()

    def _acceptor(
        self, server: GatewayServer, listener: socket.socket, admission: Admission
    ) -> Acceptor:
        door = self._parts.metrics.door

        def protocol(left: Callable[[], None]) -> GatewayHttp:
            return server.protocol(left, ended=door.ended)

        return Acceptor(
            listener,
            admission,
            protocol,
            tls=self._parts.server_context,
            patience=PATIENCE,
            metrics=door,
            greeting=Greeting(most=self._parts.handshakes_max, admits=self._admits),
        )

    def _admits(self, address: str) -> bool:
        """Whether another TLS handshake of an address may begin; the sum alone behind a proxy."""
        of = address_group(address) if self._parts.has_address_limits else uuid.uuid4().hex
        return self._parts.handshake_rate.admits(
            of, round(asyncio.get_running_loop().time() * 1000)
        )

    async def _take(self, client: GatewayClient, run: Callable[..., Any]) -> None:
        """Send what the link has; each post on its own, so that a slow peer delays no other."""
        assert self._stopping is not None  # noqa: S101  # set by `_serve`
        while not self._stopping.is_set():
            try:
                posts = await run(self._parts.link.take, TAKE_WAIT_MS, POSTS_MAX)
            except HostError as failed:
                _log.warning("posts-not-taken", code=failed.code, reason=failed.message)
                await self._pause(FAILED_SECONDS)
                continue
            for post in posts:
                self._begin(self._send(client, run, post))

    async def _send(self, client: GatewayClient, run: Callable[..., Any], post: Post) -> None:
        result = await client.post(post)
        self._parts.metrics.posted(result.status, len(post.body), len(result.body))
        if result.failure is not None:
            _log.debug("post-failed", url=post.url, reason=result.failure)
        try:
            await run(self._parts.link.done, [result])
        except HostError as failed:  # it counts as unanswered
            _log.warning("posts-not-done", code=failed.code, reason=failed.message)

    async def _close_idle(self, client: GatewayClient) -> None:
        assert self._stopping is not None  # noqa: S101  # set by `_serve`
        while not self._stopping.is_set():
            await self._pause(IDLE_SECONDS)
            await client.close_idle()

    async def _pause(self, seconds: float) -> None:
        assert self._stopping is not None  # noqa: S101  # set by `_serve`
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)
