"""Hosts of one database, one after the other in one fleet: more hosts, zombies, clocks, order, many nodes.

In small; `make prove-scale` raises the numbers. CORDBOX_SEED repeats a run.
"""

import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from host.domain.errors import StorageError
from host.flow.core.messages import GROUP
from plugins.postgres.connections import Session
from plugins.postgres.storage import open_flow_store
from plugins.postgres.store import SCHEMA
from tests.postgres.fleet import (
    Fleet,
    ask_for_node,
    ended,
    flow_pids,
    made,
    nothing_is_left,
    opened_fleet,
    start,
    until,
)
from tests.support.hosts import AdjustableClock, running_host
from tests.support.killable_host import ALICE, BOB, KillableHost
from tests.support.postgres import Cluster, PostgresServer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(14400)]

IS_FULL = "SCALED_FLOWS" in os.environ
SCALED_FLOWS = int(os.environ.get("SCALED_FLOWS", "4"))
ZOMBIES = int(os.environ.get("SCALED_ZOMBIES", "1"))
MESSAGES = int(os.environ.get("SCALED_MESSAGES", "40"))
NODES = int(os.environ.get("SCALED_NODES", "4"))
SEED = int(os.environ.get("CORDBOX_SEED") or random.SystemRandom().randrange(10**6))
WAY_SECONDS = 0.005 if IS_FULL else 0.001
"""From a host to its database and back, each: so that workers wait most of the time."""
STEPS = 2
NAPPING = 32 if IS_FULL else 4
"""Flows that are in flight when a worker or a host is killed."""
NAPS, NAP_MS = (30, 200) if IS_FULL else (4, 500)
MOVE_SECONDS = 0.25 if MESSAGES < 500 else 1.0
"""Time for a replay of what a flow has received."""
RESULT_SECONDS_MAX = 3_600
DAY_MS = 900_000
AHEAD_MS = 60_000
ERROR_MS = 2_000
USED_AT_MOST = 500

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def fleet(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    sys.stdout.write(f"seed {SEED}\n")
    with ExitStack() as stack:
        yield opened_fleet(postgres_server, tmp_path_factory.mktemp("fleet"), stack)


@pytest.fixture
def session(fleet: Fleet, postgres_server: PostgresServer) -> Iterator[Session]:
    made_ = Session(postgres_server.access(fleet.cluster.name, search_path=SCHEMA))
    yield made_
    made_.close()


def rate_of(hosts: Sequence[KillableHost], name: str) -> float:
    """Steps a second of all hosts, when flows are started at each in turn."""
    # More are under way than one host's threads can run.
    begun = time.monotonic()
    for number in range(SCALED_FLOWS):
        request = f"{name}-{number}"
        start(hosts[number % len(hosts)], request, "Steps", name=request, count=STEPS)
    for number in range(SCALED_FLOWS):
        assert ended(hosts[number % len(hosts)], f"{name}-{number}") == STEPS
    return SCALED_FLOWS * STEPS / (time.monotonic() - begun)


@pytest.mark.acceptance(7)
def test_more_hosts_do_more_where_each_waits(
    fleet: Fleet, session: Session, record_property: Record
) -> None:
    """Each host reaches its database by a long way, so that its processor is not what is measured."""
    rates = {}
    assert fleet.wire is not None
    fleet.wire.delay_seconds = WAY_SECONDS
    try:
        for number in (1, 2, 3) if IS_FULL else (1, 2):
            hosts = fleet.first(number)
            rates[number] = rate_of(hosts, f"scale-{number}")
            owners = session.run(
                "SELECT split_part(member, '.', 1) AS host, count(*) FROM owners"
                " WHERE consumer = :g AND member IS NOT NULL GROUP BY 1 ORDER BY 1",
                g=GROUP,
            )
            # Each has its part of the work.
            shares = [count for _, count in owners]
            assert len(shares) == number, owners
            assert max(shares) - min(shares) <= 1, owners
    finally:
        fleet.wire.delay_seconds = 0.0
    ratios = {number: rate / rates[1] for number, rate in rates.items()}
    record_property("steps/s", {number: round(rate, 1) for number, rate in rates.items()})
    record_property("times one", {number: round(ratio, 2) for number, ratio in ratios.items()})
    if IS_FULL:
        assert ratios[2] >= 1.7, ratios
        assert ratios[3] >= 2.4, ratios


def refusals(server: PostgresServer) -> int:
    """Statements that the server has refused for a partition that was given away."""
    return (server.folder / "log").read_text(errors="replace").count("was given away: epoch")


@pytest.mark.acceptance(10)
def test_clocks_that_differ_by_a_minute_expel_nobody_and_fire_no_timer_early(
    fleet: Fleet, session: Session, tmp_path: Path, record_property: Record
) -> None:
    hosts = fleet.first(2)
    settings = fleet.cluster.settings
    ((generation,),) = session.run("SELECT generation FROM groups WHERE name = :g", g=GROUP)
    with ExitStack() as stack:
        for name, ahead_ms in (("ahead", AHEAD_MS), ("behind", -AHEAD_MS)):
            clock = AdjustableClock()
            clock.ahead_ms = ahead_ms
            stack.enter_context(
                running_host(
                    tmp_path / name,
                    password="given",
                    clock=clock,
                    workers="combined",
                    host_name=name,
                    database_url=settings.database_url,
                    database_password_file=settings.database_password_file,
                    master_passphrase_file=settings.master_passphrase_file,
                )
            )
        # Each has looked at the heartbeats of all when it came.
        ((joined,),) = session.run("SELECT generation FROM groups WHERE name = :g", g=GROUP)
        assert joined == generation + 2
        naps = [f"nap-{n}" for n in range(8)]
        begun = time.monotonic()
        for number, name in enumerate(naps):
            start(hosts[number % 2], name, "Nap", times=2, millis=300)
        assert [ended(hosts[0], name) for name in naps] == [2] * len(naps)
        assert time.monotonic() - begun >= 0.6
        # A timer's time is the database's, whichever host has set it.
        ((early,),) = session.run("SELECT present_ms()")
        for number in range(8):
            start(hosts[number % 2], f"long-{number}", "Nap", times=1, millis=DAY_MS)
        due = f"FROM states WHERE key LIKE 'timer/%' AND due_at > {early + DAY_MS // 2}"
        until(session, f"SELECT count(*) = 8 {due}")
        ((late,),) = session.run("SELECT present_ms()")
        for (at,) in session.run(f"SELECT due_at {due}"):
            # A host knows the database's time as exactly as a call to it is short.
            assert early + DAY_MS - ERROR_MS <= at <= late + DAY_MS + ERROR_MS
        for number in range(8):
            killed(hosts[1 - number % 2], f"long-{number}")
        members = session.run("SELECT count(*) FROM members WHERE consumer = :g", g=GROUP)
        assert members[0][0] == len(fleet.hosts) + 2
        ((still,),) = session.run("SELECT generation FROM groups WHERE name = :g", g=GROUP)
        assert still == joined, "somebody was expelled"
    record_property("clocks ahead by ms", [AHEAD_MS, -AHEAD_MS])
    record_property("timers", 24)


def killed(host: KillableHost, request: str) -> None:
    """Kill a flow of Alice's, and wait until it is."""
    reply = host.ask("POST", f"/flow/{host.nodes[ALICE]}/{request}/kill", json={})
    assert reply.is_success, reply.text
    assert host.result(ALICE, request)["flowStatus"] == "KILLED"


@contextmanager
def moving(fleet: Fleet, chance: random.Random) -> Iterator[list[str]]:
    """Takes all partitions from one process at a time, until the block ends; which."""
    store = open_flow_store(fleet.cluster.settings)
    is_over = threading.Event()
    moved: list[str] = []

    def move() -> None:
        while not is_over.wait(MOVE_SECONDS):
            with suppress(StorageError, IndexError):
                member = chance.choice(sorted(m.member for m in store.members(GROUP)))
                store.leave(GROUP, member)
                moved.append(member)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield moved
    finally:
        is_over.set()
        mover.join()
        store.close()


@pytest.mark.acceptance(11)
def test_messages_stay_in_order_while_partitions_move(
    fleet: Fleet, session: Session, record_property: Record
) -> None:
    hosts = fleet.first(2)
    with moving(fleet, random.Random(SEED)) as moved:
        # Started at one host, killed at the other.
        for number in range(4):
            start(hosts[number % 2], f"kill-{number}", "Nap", times=1, millis=DAY_MS)
            killed(hosts[1 - number % 2], f"kill-{number}")
        for number in range(2):
            start(hosts[number], f"order-{number}", "Stream", peer=BOB, count=MESSAGES)
        for number in range(2):
            found = ended(hosts[1 - number], f"order-{number}", RESULT_SECONDS_MAX)
            assert found == list(range(MESSAGES)), f"seed {SEED}"
    assert moved
    record_property("seed", SEED)
    record_property("messages", 2 * MESSAGES)
    record_property("moves", len(moved))
    nothing_is_left(session)


class Standstill(NamedTuple):
    """After a kill, in seconds: until others owned the partitions, and until the last flow went on."""

    owned: float
    flows: float


def standstill_after(session: Session, kill: Callable[[], object], members: str) -> Standstill:
    """Kill members of the cluster while flows nap, and watch those flows that they had."""
    begun = time.monotonic()
    kill()
    owned = "FROM owners WHERE consumer = :g AND member LIKE :m"
    # A timer's due time is another one after each nap.
    orphans = session.run(
        "SELECT key, due_at FROM states WHERE key LIKE 'timer/%' AND consumer = :g"
        f" AND partition IN (SELECT partition {owned})",
        g=GROUP,
        m=members,
    )
    until(session, f"SELECT count(*) = 0 {owned}", g=GROUP, m=members)
    seconds = time.monotonic() - begun
    for key, due_at in orphans:
        still = "SELECT count(*) = 0 FROM states WHERE key = :key AND due_at = :at"
        until(session, still, key=str(key), at=int(str(due_at)))
    return Standstill(seconds, time.monotonic() - begun)


def begin_naps(session: Session, hosts: Sequence[KillableHost], name: str) -> Sequence[str]:
    """Start flows of Alice's that commit something with each nap."""
    names = [f"{name}-{n}" for n in range(NAPPING)]
    for number, each in enumerate(names):
        start(hosts[number % 2], each, "Nap", times=NAPS, millis=NAP_MS)
    until(session, "SELECT count(*) > 0 FROM states WHERE key LIKE 'timer/%'")
    return names


@pytest.mark.acceptance(5)
def test_the_dead_are_taken_over(fleet: Fleet, session: Session, record_property: Record) -> None:
    """A worker by the other workers, a host by the others once its heartbeats are overdue."""
    hosts = fleet.first(2)
    (worker,) = flow_pids(hosts[0])
    names = begin_naps(session, hosts, "worker")
    of_worker = standstill_after(session, lambda: os.kill(worker, signal.SIGKILL), f"%.{worker}.%")
    # The host has no other flow worker: its REST worker has released the partitions.
    assert "group-not-told" not in (fleet.folder / "host-0" / "host.log").read_text()
    until(session, "SELECT count(*) = 1 FROM members WHERE member LIKE 'host-0.flow-%'")
    names = [*names, *begin_naps(session, hosts, "host")]
    of_host = standstill_after(session, hosts[0].kill_all, "host-0.%")
    for name in names:
        assert ended(hosts[1], name) == NAPS
    hosts[0].kill()
    hosts[0].start()
    record_property("a killed worker, in s", of_worker._asdict())
    record_property("a killed host, in s", of_host._asdict())
    nothing_is_left(session)
    if IS_FULL:
        assert of_worker.owned <= 1.0
        # The naps, and what each flow has to do until it commits again, come on top.
        assert of_worker.flows <= 1.0 + 2 * NAP_MS / 1000
        assert of_host.flows <= 20.0


@pytest.mark.acceptance(8)
def test_many_nodes_are_made_by_all_hosts(fleet: Fleet, record_property: Record) -> None:
    hosts = fleet.first(2)
    before = [host.resident_mib() for host in hosts]
    taken = []

    def make(number: int) -> str:
        begun = time.monotonic()
        host = hosts[number % 2]
        node = made(host, ask_for_node(host, fleet.checksum, f"O=Node {number}, L=London, C=GB"))
        taken.append(time.monotonic() - begun)
        return node

    with ThreadPoolExecutor(4) as pool:
        nodes = list(pool.map(make, range(NODES)))
    assert len(set(nodes)) == NODES
    tenth = max(1, NODES // 10)
    first, last = (statistics.median(part) for part in (taken[:tenth], taken[-tenth:]))
    after = [host.resident_mib() for host in hosts]
    used = nodes[:: max(1, NODES // USED_AT_MOST)]
    for number, node in enumerate(used):
        hosts[0].nodes[f"used-{number}"] = node
        body = {"name": "one", "count": 1}
        reply = hosts[number % 2].flow(f"used-{number}", "step", "stream_flows.Steps", body)
        assert reply.status_code == 202, reply.text
    for number in range(len(used)):
        found = hosts[1 - number % 2].result(f"used-{number}", "step")
        assert (found["flowStatus"], json.loads(found["flowResult"])) == ("COMPLETED", 1)
    begun = time.monotonic()
    third = fleet.start()
    started = time.monotonic() - begun
    assert third.look("/virtualnode")
    record_property("nodes", NODES)
    record_property("used", len(used))
    record_property("first, last ms", [round(1000 * first), round(1000 * last)])
    record_property("MiB before, after", [[round(n) for n in before], [round(n) for n in after]])
    record_property("host started in s", round(started, 1))
    if IS_FULL:
        assert last <= 2 * first
        assert sum(after) <= 1.2 * sum(before)


@contextmanager
def stopped_within(server: PostgresServer, cluster: Cluster, lock: str) -> Iterator[Session]:
    """A connection that stands still in a transaction with a lock, as one of a stopped process."""
    session = Session(server.access(cluster.name))
    try:
        session.simple("BEGIN")
        session.run("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", name=lock)
        yield session
    finally:
        session.close()


def test_a_lock_that_a_stopped_process_holds_fails_no_flow(
    fleet: Fleet, session: Session, postgres_server: PostgresServer
) -> None:
    (host,) = fleet.first(1)
    start(host, "unlocked", "Steps", name="unlocked", count=1)
    assert ended(host, "unlocked") == 1
    vault = f"cordbox vault_{host.nodes[ALICE].lower()}"
    with stopped_within(postgres_server, fleet.cluster, vault):
        start(host, "locked", "Steps", name="locked", count=1)
        # Its run has waited, and was set aside until the lock is free.
        until(session, "SELECT count(*) > 0 FROM states WHERE key LIKE 'aside/%'")
    assert ended(host, "locked") == 1
    nothing_is_left(session)


@pytest.mark.acceptance(2)
def test_a_stopped_process_that_goes_on_is_fenced(
    fleet: Fleet, session: Session, postgres_server: PostgresServer, record_property: Record
) -> None:
    """A flow process, and every second time all processes of a host with its supervisor."""
    hosts = fleet.first(2)
    chance = random.Random(SEED)
    stopped = 0
    before = refusals(postgres_server)
    for round_ in range(ZOMBIES):
        place = chance.randrange(2)
        host, member = hosts[place], f"host-{place}.flow-%"
        pids = host.all_pids() if round_ % 2 else flow_pids(host)
        names = [f"zombie-{round_}-{n}" for n in range(12)]
        for number, name in enumerate(names):
            start(hosts[number % 2], name, "Steps", name=name, count=10)
        until(session, "SELECT count(*) > 4 FROM journal")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        stopped += len(pids)
        try:
            until(session, "SELECT count(*) = 0 FROM members WHERE member LIKE :m", m=member)
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        for number, name in enumerate(names):
            assert ended(hosts[number % 2], name) == 10, f"seed {SEED}"
        until(session, "SELECT count(*) > 0 FROM members WHERE member LIKE :m", m=member)
    fenced = refusals(postgres_server) - before
    record_property("seed", SEED)
    record_property("processes stopped", stopped)
    record_property("commits refused", fenced)
    assert fenced >= 1
    nothing_is_left(session)


def within_a_second(look: Callable[[], object], wanted: object) -> float:
    """Seconds until `look` gives what is wanted."""
    begun = time.monotonic()
    while (found := look()) != wanted:
        assert time.monotonic() - begun < 1.0, found
    return time.monotonic() - begun


def test_a_change_of_rights_counts_at_every_host_within_a_second(
    fleet: Fleet, record_property: Record
) -> None:
    """Over HTTP, in processes of two hosts; each change is made at one and looked for at both."""
    hosts = fleet.first(2)
    nora = ("nora", "first password")

    def done(host: KillableHost, method: str, path: str, body: object = None) -> Any:
        reply = host.ask(method, f"{host.url}/api/v5_3{path}", json=body)
        assert reply.is_success, reply.text
        return reply.json()

    def codes() -> list[int]:
        path = "/api/v5_3/cpi"
        return [host.ask("GET", f"{host.url}{path}", auth=nora).status_code for host in hosts]

    one, other = hosts
    user = {"loginName": "nora", "fullName": "Nora", "enabled": True, "initialPassword": nora[1]}
    taken = []

    def changed(host: KillableHost, method: str, path: str, body: object, code: int) -> Any:
        answer = done(host, method, path, body)
        taken.append(within_a_second(codes, [code, code]))
        return answer

    changed(one, "POST", "/user", user, 403)
    role = done(other, "POST", "/role", {"roleName": "Reader"})["id"]
    reads = {"permissionType": "ALLOW", "permissionString": "GET:/api/v5_3/cpi"}
    permission = done(one, "POST", "/permission", reads)["id"]
    changed(other, "PUT", f"/user/nora/role/{role}", None, 403)
    changed(one, "PUT", f"/role/{role}/permission/{permission}", None, 200)
    denied = {**reads, "permissionType": "DENY"}
    denial = done(one, "POST", "/permission", denied)["id"]
    changed(other, "PUT", f"/role/{role}/permission/{denial}", None, 403)
    changed(one, "DELETE", f"/role/{role}/permission/{denial}", None, 200)
    changed(other, "DELETE", f"/user/nora/role/{role}", None, 403)
    group = done(one, "POST", "/group", {"name": "Readers"})["id"]
    done(other, "PUT", f"/group/{group}/role/{role}")
    changed(one, "PUT", f"/user/nora/parent/changeparentid/{group}", None, 200)
    changed(other, "DELETE", f"/group/{group}/role/{role}", None, 403)
    given = {"username": "nora", "password": "second password"}
    changed(other, "POST", "/user/otheruserpassword", given, 401)
    nora = ("nora", given["password"])
    within_a_second(codes, [403, 403])
    changed(one, "DELETE", "/user/nora", None, 401)
    record_property("seconds at most", round(max(taken), 3))
