"""Strangers take every connection that a host with few descriptors has: no flow fails of it."""

import contextlib
import socket
import ssl
import threading
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.killable_host import ALICE, BOB, KillableHost, make_packages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FLOWS = 20
STRANGERS = 300
FEW = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
BODY = b"POST /api/v5_2/cpi HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx"


class Strangers:
    """Hold as many connections as they get: silent ones, and bodies that never end."""

    def __init__(self, url):
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._context = ssl._create_unverified_context()
        self._stop = threading.Event()
        self._held, self._threads = [], []
        self.turned_away = threading.Event()

    def __enter__(self):
        for work in (self._be_silent, self._drip):
            thread = threading.Thread(target=work)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for connection in self._held:
            connection.close()

    def _be_silent(self):
        held = []
        while not self._stop.is_set():
            if len(held) < STRANGERS:
                with contextlib.suppress(OSError):
                    held.append(socket.create_connection(self._address, 10))
            held = [c for c in held if not self._is_over(c)]
        self._held += held

    def _drip(self):
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                plain = socket.create_connection(self._address, 10)
                with self._context.wrap_socket(plain) as connection:
                    connection.sendall(BODY)
                    connection.recv(4096)
                    self._stop.wait(0.05)
                    connection.sendall(b"x")

    def _is_over(self, connection):
        connection.setblocking(False)
        try:
            is_over = connection.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            is_over = True
        if is_over:
            connection.close()
            self.turned_away.set()
        return is_over


def patiently(ask):
    """What is asked, again and again until the host has a connection for it."""
    while True:
        try:
            return ask()
        except httpx2.HTTPError:
            threading.Event().wait(0.05)


@pytest.mark.parametrize("workers", ["combined", "flow=1"])
def test_strangers_at_the_limit_of_descriptors_fail_no_flow(tmp_path, workers):
    packages = make_packages(tmp_path)
    host = KillableHost(tmp_path, ("--workers", workers, "--log-format", "json"), FEW)
    host.start()
    try:
        host.form_network(packages)
        with Strangers(host.url) as strangers:
            assert strangers.turned_away.wait(60)
            for number in range(FLOWS):
                body = {"counterparty": BOB, "amount": number + 1}
                start = ("iou_flows.IssueIou", body)
                reply = patiently(lambda n=number, s=start: host.flow(ALICE, f"i-{n}", *s))
                assert reply.status_code in (202, 409), reply.text
            found = [
                patiently(lambda n=number: host.result(ALICE, f"i-{n}")) for number in range(FLOWS)
            ]
        assert {flow["flowStatus"] for flow in found} == {"COMPLETED"}
        assert patiently(lambda: host.look("/deadletter"))["deadLetters"] == []
        assert "Too many open files" not in (tmp_path / "host.log").read_text()
    finally:
        host.kill()
