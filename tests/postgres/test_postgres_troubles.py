"""Troubles of hosts on one database, under load: kills, restarts of the server, a host that is cut off.

In small; `make prove-scale` raises the numbers. CORDBOX_SEED repeats a run.
"""

import os
import random
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.postgres.conftest import Start
from tests.support.killable_host import ALICE, BOB, KillableHost, make_packages
from tests.support.postgres import Cluster, PostgresServer

pytestmark = pytest.mark.timeout(7200)

KILLS = int(os.environ.get("CORDBOX_HOST_KILLS", "2"))
RESTARTS = int(os.environ.get("CORDBOX_DATABASE_RESTARTS", "1"))
SEED = int(os.environ.get("CORDBOX_SEED") or random.SystemRandom().randrange(10**6))
FLOWS_AT_ONCE = 4
SECONDS_MAX = 120


class Load:
    """Issues IOUs by hosts in turn, again under the same request id where an answer is cut off."""

    def __init__(self, *hosts: KillableHost) -> None:
        self.hosts = hosts
        self.issued = 0

    def issue(self, count: int) -> None:
        for _ in range(count):
            self._issue(self.issued)
            self.issued += 1

    def _issue(self, number: int) -> None:
        body = {"counterparty": BOB, "amount": number + 1}
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            for host in self.hosts:
                with suppress(httpx2.HTTPError):
                    reply = host.flow(ALICE, f"issue-{number}", "iou_flows.IssueIou", body)
                    if reply.status_code in (202, 409):
                        return
                    assert reply.status_code == 503, reply.text
        pytest.fail(f"seed {SEED}: flow {number} was not taken")

    def settle(self) -> None:
        """Every flow has completed, once."""
        for number in range(self.issued):
            host = self.hosts[number % len(self.hosts)]
            ended = host.result(ALICE, f"issue-{number}")
            assert ended["flowStatus"] == "COMPLETED", f"seed {SEED}: {ended}"
        for name in (ALICE, BOB):
            amounts = sorted(iou["amount"] for iou in ious(self.hosts[0], name))
            assert amounts == list(range(1, self.issued + 1)), f"seed {SEED}"
        assert self.hosts[-1].all_statuses(BOB)["FAILED"] == 0


def ious(host: KillableHost, name: str) -> list[dict[str, int]]:
    found: list[dict[str, int]] = host.ious(name)
    return found


@pytest.fixture
def hosts(start: Start, tmp_path: Path) -> tuple[KillableHost, KillableHost]:
    sys.stdout.write(f"seed {SEED}\n")
    (tmp_path / "packages").mkdir()
    one, two = start("one", workers="flow=1,rest=1"), start("two", workers="flow=1,rest=1")
    one.form_network(make_packages(tmp_path / "packages"))
    two.nodes = one.nodes
    return one, two


@pytest.mark.crash
def test_flows_outlive_restarts_of_the_server_and_kills_of_any_process(
    hosts: tuple[KillableHost, KillableHost], postgres_server: PostgresServer
) -> None:
    chance = random.Random(SEED)
    load = Load(*hosts)
    for number in range(RESTARTS):
        load.issue(FLOWS_AT_ONCE)
        postgres_server.stop(("immediate", "fast")[number % 2])
        statuses = {host.ask("GET", "/cpi").status_code for host in hosts}
        assert statuses == {503}, f"seed {SEED}"
        postgres_server.start()
        load.issue(1)
    load.issue(FLOWS_AT_ONCE)
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cordbox_host'"
    )
    killed = []
    for _ in range(KILLS):
        load.issue(FLOWS_AT_ONCE)
        host = chance.choice(hosts)
        if chance.random() < 0.3:
            host.kill()
            host.start()
            killed.append("host")
        else:
            killed.append(host.kill_worker(chance))
    sys.stdout.write(f"killed: {killed}\n")
    load.settle()


class Wire:
    """A proxy between a host and its database, which can be cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_over = False
        self.is_cut = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        for each in (self._listener, *self._peers):
            each.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(0.05):
                if not isinstance(key.fileobj, socket.socket):
                    continue
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self.is_cut:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self._to))
        for one, other in ((near, far), (far, near)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        if one not in self._peers:
            return
        other = self._peers[one]
        with suppress(OSError):
            data = one.recv(65536)
            if data and not self.is_cut:
                other.sendall(data)
                return
        for each in (one, other):
            del self._peers[each]
            self._selector.unregister(each)
            each.close()


@pytest.fixture
def wire(postgres_server: PostgresServer) -> Iterator[Wire]:
    made = Wire(postgres_server.port)
    yield made
    made.close()


@pytest.mark.crash
def test_a_host_that_is_cut_off_commits_nothing_and_comes_back(
    start: Start, tmp_path: Path, cluster: Cluster, wire: Wire, postgres_server: PostgresServer
) -> None:
    (tmp_path / "packages").mkdir()
    one = start("one")
    one.form_network(make_packages(tmp_path / "packages"))
    url = cluster.environment["CORDBOX_DATABASE_URL"]
    behind = url.replace(str(postgres_server.port), str(wire.port))
    two = start("two", CORDBOX_DATABASE_URL=behind)
    two.nodes = one.nodes
    load = Load(two, one)
    load.issue(FLOWS_AT_ONCE)
    wire.is_cut = True
    others = Load(one)
    others.issued = load.issued
    others.issue(FLOWS_AT_ONCE)
    for number in range(others.issued):
        # Also those that the other host had begun, once its members' heartbeats are overdue.
        assert one.result(ALICE, f"issue-{number}")["flowStatus"] == "COMPLETED"
    assert two.ask("GET", "/cpi").status_code == 503
    wire.is_cut = False
    both = Load(two, one)
    both.issued = others.issued
    both.issue(FLOWS_AT_ONCE)
    both.settle()
