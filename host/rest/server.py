"""The HTTP server: binds first, reports when it is ready, stops gracefully on SIGTERM or SIGINT.

SIGHUP makes it reread its certificate. Uvicorn parses HTTP and calls the application; connections
come through an `Acceptor`, which counts them before anything else happens.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import uvicorn
from anyio import to_thread
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from host.adapters.http.acceptor import Acceptor, DoorMetrics
from host.adapters.http.admission import Admission, Seats
from host.adapters.http.bounded_http import BoundedHttp
from host.adapters.http.pace import Patience
from host.adapters.os.system import SystemClock
from host.ports.live import Fixed, Live
from host.rest.tls import ServerCertificate
from host.rest.tls_files import Certificates

_LOOK_SECONDS = 10.0
"""How often the files of the certificate are checked for changes."""
_DESCRIPTORS_WITHOUT_LIMITS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Limits of the number of connections and of their times, and the counters for them.

    `proxies` are addresses and networks that are trusted to report their clients' addresses.
    """

    seats: Seats = field(
        default_factory=lambda: Seats.within(
            _DESCRIPTORS_WITHOUT_LIMITS, total_max=1000, address_max=500
        )
    )
    patience: Patience | None = None
    proxies: tuple[str, ...] = ()
    metrics: DoorMetrics = field(default_factory=lambda: DoorMetrics(CollectorRegistry()))


def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    certificate: ServerCertificate | Certificates,
    threads: int,
    stop_seconds_max: int,
    on_ready: Callable[[], None],
    door: Live[Door] | None = None,
    on_hangup: Callable[[], object] = lambda: None,
) -> None:
    """Serve HTTPS until SIGTERM or SIGINT, then let running requests end.

    Args:
        app: the application.
        listener: the result of `bind`; closed when this returns.
        certificate: files of the server's certificate.
        threads: maximum number of requests handled at the same time.
        stop_seconds_max: how long running requests may take after the signal.
        on_ready: called once the server accepts connections.
        door: limits of connections; changed limits apply to new connections.
        on_hangup: called on SIGHUP, after the certificate was reread.

    Raises:
        TlsFilesError: the certificate cannot be used.
    """
    if isinstance(certificate, ServerCertificate):
        host = str(listener.getsockname()[0])
        certificate = Certificates(certificate, SystemClock(), listen_host=host)
    server = _Server(
        app,
        door or Fixed(Door()),
        certificates=certificate,
        threads=threads,
        stop_seconds_max=stop_seconds_max,
        on_ready=on_ready,
        on_hangup=on_hangup,
    )
    with _signals_kept_from_killing(server.hang_up), listener:
        server.run(sockets=[listener])


@contextmanager
def serving_plainly(
    app: ASGIApp, *, listener: socket.socket, door: Door, threads: int, stop_seconds_max: int
) -> Iterator[None]:
    """Serve HTTP without TLS on a thread of its own for the duration of the block."""
    ready = threading.Event()
    server = _Server(
        app,
        Fixed(door),
        certificates=None,
        threads=threads,
        stop_seconds_max=stop_seconds_max,
        on_ready=ready.set,
        on_hangup=lambda: None,
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True
    )
    with listener:
        thread.start()
        ready.wait()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    def __init__(
        self,
        app: ASGIApp,
        door: Live[Door],
        *,
        certificates: Certificates | None,
        threads: int,
        stop_seconds_max: int,
        on_ready: Callable[[], None],
        on_hangup: Callable[[], object],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=BoundedHttp,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Otherwise uvicorn trusts forwarded addresses from all local clients.
                proxy_headers=bool(door.get().proxies),
                forwarded_allow_ips=list(door.get().proxies),
                timeout_graceful_shutdown=stop_seconds_max,
            )
        )
        self._live_door = door
        self._door = door.get()
        self._certificates = certificates
        self._threads = threads
        self._on_ready = on_ready
        self._on_hangup = on_hangup
        self._background: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._admission: Admission | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Replaces uvicorn's method, which would count connections after their handshake only."""
        to_thread.current_default_thread_limiter().total_tokens = self._threads
        await self.lifespan.startup()
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(self._door.seats)
        self._live_door.on_change(self._replace)
        acceptors = [self._acceptor(listener, self._admission) for listener in sockets or ()]
        for acceptor in acceptors:
            acceptor.start()
        self.servers = acceptors  # type: ignore[assignment]  # the interface that uvicorn expects
        if self._certificates is not None:
            self._begin(self._look_after(self._certificates))
        self.started = True
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._background:
            task.cancel()
        await super().shutdown(sockets)

    def hang_up(self) -> None:
        """Reread the certificate, then call `on_hangup`; may be called from a signal handler."""
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop has ended.
                self._loop.call_soon_threadsafe(lambda: self._begin(self._reread()))

    def _replace(self, door: Door) -> None:
        """Change the limits for new connections; may be called on any thread."""

        def admit() -> None:
            self._door = door
            if self._admission is not None:
                self._admission.seats = door.seats
            door.metrics.most.set(door.seats.total_max)

        if self._loop is not None:
            with suppress(RuntimeError):  # The loop has ended.
                self._loop.call_soon_threadsafe(admit)

    def _acceptor(self, listener: socket.socket, admission: Admission) -> Acceptor:
        door = self._door

        def protocol(left: Callable[[], None]) -> BoundedHttp:
            door = self._door  # It may have been replaced.
            return BoundedHttp(
                self.config,
                self.server_state,
                self.lifespan.state,
                patience=door.patience,
                ended=door.metrics.ended,
                left=left,
            )

        return Acceptor(
            listener,
            admission,
            protocol,
            tls=None if self._certificates is None else self._certificates.context,
            patience=door.patience or Patience(),
            metrics=door.metrics,
        )

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _look_after(self, certificates: Certificates) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.get_running_loop().run_in_executor(None, certificates.look)

    async def _reread(self) -> None:
        run = asyncio.get_running_loop().run_in_executor
        if self._certificates is not None:
            await run(None, self._certificates.reread)
        await run(None, self._on_hangup)


@contextmanager
def _signals_kept_from_killing(on_hangup: Callable[[], None]) -> Iterator[None]:
    """Overridden: uvicorn raises the signal again once stopped; the host must close more."""
    kinds = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {kind: signal.signal(kind, lambda *_: None) for kind in kinds}
    signal.signal(signal.SIGHUP, lambda *_: on_hangup())
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
