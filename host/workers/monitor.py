"""`/isHealthy`, `/status` and `/metrics` of one worker over HTTP, as Corda's workers have them."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import generate_latest

from host.rest.listener import bind
from host.workers.report import Reporter

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_SECONDS_MAX = 5


@contextmanager
def monitored(address: str, reporter: Reporter) -> Iterator[str]:
    """Answer at `address` for the length of the block; gives the address with its real port.

    Raises:
        ListenRefusedError: it cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    listener = bind(host.strip("[]"), int(port))
    server = _Server(listener, reporter)
    thread = threading.Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, reporter: Reporter) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.reporter = reporter


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS_MAX
    server: _Server
    server_version = "cordbox"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path:
            case "/isHealthy" | "/status":
                report = self.server.reporter.report()
                facts = {"status": "OK" if report.state == "ready" else "FAILED"}
                if report.problem is not None:
                    facts["code"] = report.problem
                self._answer(
                    200 if report.state == "ready" else 503,
                    "application/json",
                    json.dumps(facts).encode(),
                )
            case "/metrics":
                self._answer(200, _METRICS_TYPE, generate_latest(self.server.reporter.registry))
            case _:
                self._answer(404, "application/json", b'{"status": "NOT_FOUND"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the library
        """Say nothing: those who look every few seconds would fill the log."""

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
