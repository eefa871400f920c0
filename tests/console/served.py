"""A whole host over HTTPS for a browser: a package, two nodes, and flows that failed."""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from host.adapters.http.acceptor import DoorMetrics
from host.adapters.os.system import SystemClock
from host.domain.ids import short_hash_of
from host.ports.live import Fixed
from host.rest.server import Door, _Server
from host.rest.tls import own_certificate
from host.rest.tls_files import Certificates
from tests.rest.conftest import ALICE, BOB, PASSWORD, WIDER, _host_on, _stored_cpi
from tests.support.npm import npm_modules

_SCRIPT = Path(__file__).parent / "browser.mjs"
_SECONDS_MAX = 300
"""A busy machine takes ten times as long as a quiet one."""
REQUEST = "settle-4471"


def chromium() -> str:
    """The browser's path; skips where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    if found is None:
        pytest.skip("Chromium is not installed")
    return found


def modules() -> str:
    """The folder with playwright-core and axe-core; skips where they are not installed."""
    return str(npm_modules("playwright-core", "axe-core"))


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """What `browser.mjs` is given of a running host."""
    record = _stored_cpi(folder / "data")
    newer = _stored_cpi(folder / "data", **WIDER)
    with _host_on(folder / "data") as host, socket.socket() as listener:
        client = TestClient(host.asgi, base_url="https://testserver")
        client.auth = ("admin", PASSWORD)
        with client:
            nodes = [_node(client, record, name) for name in (ALICE, BOB)]
            for request in (REQUEST, *(f"settle-{4472 + n}" for n in range(5))):
                _flow(client, nodes[0], request)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with serving(host.asgi, listener, folder / "tls"):
            yield {
                "base": f"https://localhost:{listener.getsockname()[1]}",
                "login": "admin",
                "password": PASSWORD,
                "node": nodes[0],
                "request": REQUEST,
                "checksum": short_hash_of(record.file_checksum),
                "newer": short_hash_of(newer.file_checksum),
                "chromium": chromium(),
                "modules": modules(),
            }


def run(given: dict[str, object], script: Path = _SCRIPT) -> list[dict[str, object]]:
    """The outcomes of a script's stories."""
    done = subprocess.run(
        ["node", str(script), json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def serving(app, listener, folder) -> Iterator[None]:
    """A server of HTTPS on a socket, with a certificate of its own."""
    folder.mkdir()
    clock = SystemClock()
    files = own_certificate(folder, listen_host="127.0.0.1", clock=clock)
    ready = threading.Event()
    server = _Server(
        app,
        Fixed(Door(metrics=DoorMetrics(CollectorRegistry()))),
        certificates=Certificates(files, clock, listen_host="127.0.0.1"),
        threads=8,
        stop_seconds_max=2,
        on_ready=ready.set,
        on_hangup=lambda: None,
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _node(client, record, name) -> str:
    body = {"cpiFileChecksum": short_hash_of(record.file_checksum), "x500Name": name}
    asked = client.post("/api/v5_3/virtualnode", json={"request": body}).json()["requestId"]
    return _until(client, f"/api/v5_3/virtualnode/status/{asked}", "status", "SUCCEEDED")[
        "resourceId"
    ]


def _flow(client, node, request) -> None:
    start = {"clientRequestId": request, "flowClassName": "demo.Any", "requestBody": {}}
    assert client.post(f"/api/v5_3/flow/{node}", json=start).status_code == 202
    _until(client, f"/api/v5_3/flow/{node}/{request}", "flowStatus", "FAILED")


def _until(client, path, name, wanted):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = client.get(path).json()
        if found[name] == wanted:
            return found
        time.sleep(0.02)
    raise AssertionError(found)
