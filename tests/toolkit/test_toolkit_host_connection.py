"""What commands say of a host that they cannot trust, or that does not accept them."""

import re
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from host.adapters.os.system import SystemClock
from host.cli import main
from host.domain.errors import InvalidInputError, UnavailableError
from host.rest.tls import own_certificate
from host.tools.client.host_client import HostClient, _refusal
from host.tools.client.host_connection import CertificateUntrustedError, UnauthorizedError


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith("/plain"):
            self.send_response(400)
            self.end_headers()
            return
        self.send_response(401 if self.headers["Authorization"] else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def refusing(folder):
    """A host on loopback that accepts nobody; gives its URL and its certificate."""
    files = own_certificate(folder, listen_host="127.0.0.1", clock=SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate_file, files.private_key_file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    server.handle_error = lambda *_: None
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", files.certificate_file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def host(tmp_path):
    with refusing(tmp_path) as url_and_file:
        yield url_and_file


def test_a_certificate_that_is_not_trusted_is_told_with_what_helps(host):
    with (
        HostClient(host[0], user="admin", password="x", ca_file=None) as client,
        pytest.raises(CertificateUntrustedError, match="--ca-file"),
    ):
        client.get("/cpi")


def test_a_wrong_password_is_no_lack_of_rights(host):
    url, file = host
    with (
        HostClient(url, user="admin", password="x", ca_file=file) as client,
        pytest.raises(UnauthorizedError),
    ):
        client.get("/cpi")


def test_a_host_of_https_that_is_asked_in_http_is_told_with_what_helps():
    """A host answers plain HTTP with an empty 400."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with (
            HostClient(url, user="admin", password="x", ca_file=None) as client,
            pytest.raises(InvalidInputError, match=r"status 400.*write https://"),
        ):
            client.get("/plain")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is not ready: "),
        (b'{"title":"starting","details":{}}', "is not ready: starting"),
        (
            b'{"title":"t","details":{"reason":"node A has 10 flows","code":"flows-too-many"}}',
            "^node A has 10 flows$",
        ),
    ],
)
def test_a_refusal_with_a_code_is_told_in_the_hosts_own_words(body, message):
    error = _refusal("https://host/api/v5_2/flow/A", 503, body)
    assert isinstance(error, UnavailableError)
    assert re.search(message, error.message)


def test_a_file_without_a_certificate_is_refused(host, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(InvalidInputError, match=name):
            HostClient(host[0], user="admin", password="x", ca_file=tmp_path / name)


@pytest.mark.parametrize(
    "words",
    [
        ("host", "status"),
        ("flow", "dead-letter", "list", "--password", "x"),
        ("flow", "list", "29EB9804AEE6", "--password", "x"),
    ],
)
def test_commands_do_not_ask_to_try_again_what_cannot_succeed(host, capsys, monkeypatch, words):
    for name in ("CORDBOX_URL", "CORDBOX_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as left:
        main([*words, "--url", host[0]])
    told = capsys.readouterr().err
    assert left.value.code == 1
    assert "error[certificate-untrusted]" in told
    assert "--ca-file" in told
