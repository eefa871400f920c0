"""Troubles of hosts on one database, under load: kills, restarts of the server, a host that is cut off.

In small; `make prove-scale` raises the numbers. CORDBOX_SEED repeats a run.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from plugins.postgres.connections import Session
from plugins.postgres.store import SCHEMA
from tests.postgres.conftest import Start
from tests.postgres.fleet import nothing_is_left
from tests.postgres.wire import Wire, wire_to
from tests.support.killable_host import ALICE, BOB, KillableHost, make_packages
from tests.support.postgres import Cluster, PostgresServer

pytestmark = pytest.mark.timeout(7200)

KILLS = int(os.environ.get("CORDBOX_HOST_KILLS", "2"))
RESTARTS = int(os.environ.get("CORDBOX_DATABASE_RESTARTS", "1"))
SEED = int(os.environ.get("CORDBOX_SEED") or random.SystemRandom().randrange(10**6))
IS_FULL = KILLS >= 50
WORKERS = "flow=2,crypto=1,persistence=1,rest=1" if IS_FULL else "flow=1,rest=1"
ISOLATION = "process" if IS_FULL else "shared"
FLOWS_AT_ONCE = 4
SECONDS_MAX = 300
Record = Callable[[str, object], None]


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
    one, two = (start(name, WORKERS, CORDBOX_ISOLATION=ISOLATION) for name in ("one", "two"))
    one.form_network(make_packages(tmp_path / "packages"))
    two.nodes = one.nodes
    return one, two


@pytest.mark.crash
@pytest.mark.acceptance(3)
def test_flows_outlive_restarts_of_the_server_and_the_loss_of_sessions(
    hosts: tuple[KillableHost, KillableHost],
    postgres_server: PostgresServer,
    record_property: Record,
) -> None:
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
    load.settle()
    record_property("restarts", RESTARTS)
    record_property("flows", load.issued)


@pytest.mark.crash
@pytest.mark.acceptance(1)
def test_flows_outlive_kills_of_any_process(
    hosts: tuple[KillableHost, KillableHost],
    postgres_server: PostgresServer,
    cluster: Cluster,
    record_property: Record,
) -> None:
    chance = random.Random(SEED)
    load = Load(*hosts)
    killed = Counter[str]()
    for _ in range(KILLS):
        load.issue(FLOWS_AT_ONCE)
        host, luck = chance.choice(hosts), chance.random()
        if luck < 0.25:
            host.kill()
            host.start()
            killed["supervisor"] += 1
        elif luck < 0.5 and ISOLATION == "process":
            killed[host.kill_guests(chance)] += 1
        else:
            killed[host.kill_worker(chance)] += 1
    record_property("seed", SEED)
    record_property("killed", dict(killed))
    record_property("flows", load.issued)
    load.settle()
    session = Session(postgres_server.access(cluster.name, search_path=SCHEMA))
    try:
        nothing_is_left(session)
    finally:
        session.close()


@pytest.fixture
def wire(postgres_server: PostgresServer) -> Iterator[Wire]:
    with wire_to(postgres_server.port) as made:
        yield made


@pytest.mark.crash
@pytest.mark.acceptance(6)
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
