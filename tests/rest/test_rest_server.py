"""The server itself: heads of requests are bounded, and a stop ends it."""

import signal
import socket
import ssl
import threading

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from host.adapters.http import bounded_http
from host.adapters.os.system import SystemClock
from host.rest.listener import ListenRefusedError, bind
from host.rest.server import serve
from host.rest.tls import own_certificate


def test_an_address_that_is_taken_or_not_ours_is_refused():
    with bind("127.0.0.1", 0) as taken, pytest.raises(ListenRefusedError, match=r"127\.0\.0\.1"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ListenRefusedError, match=r"no\.such\.host"):
        bind("no.such.host.invalid", 0)


def exchange(address, certificate, sent):
    """Send bytes over TLS and read until the server closes or says enough."""
    context = ssl.create_default_context(cafile=certificate)
    with (
        socket.create_connection(address, timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        for chunk in sent:
            try:
                secure.sendall(chunk)
            except (BrokenPipeError, ConnectionResetError):
                break
        return secure.recv(4096)


@pytest.fixture
def attack(tmp_path):
    """Serves a page on the main thread while an attack runs on another; gives its answers."""

    def run(*attacks):
        answers = []
        listener = bind("127.0.0.1", 0)
        certificate = own_certificate(tmp_path, listen_host="127.0.0.1", clock=SystemClock())
        address = listener.getsockname()
        page = Starlette(routes=[Route("/", lambda request: PlainTextResponse("page"))])

        def attack_all():
            try:
                file = certificate.certificate_file
                answers.extend(exchange(address, file, sent) for sent in attacks)
            finally:
                signal.raise_signal(signal.SIGTERM)

        attacker = threading.Thread(target=attack_all)
        serve(
            page,
            listener=listener,
            certificate=certificate,
            threads=2,
            stop_seconds_max=5,
            on_ready=attacker.start,
        )
        attacker.join()
        return answers

    return run


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


def test_a_head_that_never_ends_is_cut_off(attack):
    long_header = [HEAD, b"X: ", *[b"a" * 8192] * 64]
    many_headers = [HEAD, *[b"X: y\r\n" * 1000] * 64]
    pipelined = [HEAD + b"\r\n" + HEAD + b"X: " + b"a" * 400_000]
    long, many, second = attack(long_header, many_headers, pipelined)
    assert long.startswith(b"HTTP/1.1 400")
    assert many.startswith(b"HTTP/1.1 400")
    assert b"too long" in long
    assert second.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


def test_a_good_request_is_served(attack):
    (answer,) = attack([HEAD + b"X: " + b"a" * 8000 + b"\r\n\r\n"])
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_head_that_does_not_come_ends_the_connection(attack, monkeypatch):
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS_MAX", 0.1)
    silent, halfway = attack([], [HEAD])
    assert (silent, halfway) == (b"", b"")
