"""The HTTPS server: binds first, tells when it is ready, stops gracefully on SIGTERM or SIGINT."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from anyio import to_thread
from starlette.types import ASGIApp

from host.rest.bounded_http import BoundedHttp
from host.rest.tls import ServerCertificate

_KEEP_ALIVE_SECONDS = 30


def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    certificate: ServerCertificate,
    threads: int,
    stop_seconds_max: int,
    on_ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests end.

    Args:
        app: the application.
        listener: what `bind` gave; closed when this returns.
        certificate: files of the server's certificate.
        threads: requests that are worked on at the same time.
        stop_seconds_max: how long running requests may take after the signal.
        on_ready: called once the server accepts connections.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=stop_seconds_max,
        ssl_certfile=certificate.certificate_file,
        ssl_keyfile=certificate.private_key_file,
    )
    with _signals_kept_from_killing(), listener:
        _Server(config, threads=threads, on_ready=on_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, *, threads: int, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._threads = threads
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        to_thread.current_default_thread_limiter().total_tokens = self._threads
        await super().startup(sockets)
        if self.started:
            self._on_ready()


@contextmanager
def _signals_kept_from_killing() -> Iterator[None]:
    """Uvicorn raises the signal again after it has stopped; the host has more to close."""
    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, lambda *_: None) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
