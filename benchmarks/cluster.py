"""Hosts on one PostgreSQL database, beside one on SQLite: work, messages, take-overs, many nodes.

Real hosts with one flow worker each, and a server of its own that synchronises its log, all on one
machine: with few processors they take them from each other, so that ratios say more than rates.
Needs the programs of a PostgreSQL server.

`CORDBOX_IDLE_NODES` sets how many virtual nodes there are, 1,000 by default.
"""

# mypy: disable-error-code="no-untyped-call"

import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import workshop
from benchmarks.measure import BenchmarkError, Measurement, latencies
from benchmarks.processor import used_with_children
from host.adapters.partitions import partition_of
from host.flow.core.messages import GROUP
from plugins.postgres.connections import Session
from plugins.postgres.store import SCHEMA
from tests.network.two_hosts import Packages
from tests.postgres.fleet import (
    Fleet,
    ask_for_node,
    ended,
    flow_pids,
    join,
    made,
    opened_fleet,
    start,
    until,
)
from tests.support.killable_host import BOB, KillableHost
from tests.support.postgres import PostgresServer, server_programs

_WORKERS = "flow=1,rest=1"
_FLOWS, _STEPS = 16, 10
_CONVERSATIONS, _MESSAGES = 12, 20
_DEATHS = 5
_NODES_DEFAULT = 1_000
_AT_ONCE = 4
_FIRST = 100


@contextmanager
def _running() -> Iterator[tuple[Fleet, PostgresServer, Session, ExitStack]]:
    """A server, and a cluster without hosts."""
    programs = server_programs()
    if programs is None:
        raise BenchmarkError("PostgreSQL's server programs are not installed")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(dir=workshop.folder())).resolve()
        server = PostgresServer(programs)
        stack.callback(server.close)
        fleet = opened_fleet(server, folder, stack, workers=_WORKERS, is_wired=False)
        session = Session(server.access(fleet.cluster.name, search_path=SCHEMA))
        stack.callback(session.close)
        yield fleet, server, session, stack


def _embedded(stack: ExitStack, folder: Path) -> KillableHost:
    """A host of its own, with the same network."""
    home = folder / "embedded"
    home.mkdir()
    host = KillableHost(home, ("--workers", _WORKERS))
    host.start()
    stack.callback(host.kill)
    join(host, Packages(home))
    return host


def hosts() -> list[Measurement]:
    """Durable steps of one, two and three hosts, each just before a host on SQLite."""
    found = []
    with _running() as (fleet, server, _session, stack):
        alone = _embedded(stack, fleet.folder)
        _steps([alone], "warm")
        for number in (1, 2, 3):
            running = fleet.first(number)
            _steps(running, f"warm-{number}")
            before = _seconds(server, running), _seconds(None, [alone])
            rate = _steps(running, f"steps-{number}")
            own = _steps([alone], f"steps-{number}")
            after = _seconds(server, running), _seconds(None, [alone])
            total = _FLOWS * _STEPS
            cpu = [1000 * (b - a) / total for a, b in zip(before[0], after[0], strict=True)]
            theirs = 1000 * (after[1][1] - before[1][1]) / total
            found += [
                Measurement(
                    name=f"durable steps, {number} hosts on PostgreSQL",
                    value=rate,
                    unit="steps/s",
                    against=f"a host on SQLite ({own:.0f} steps/s)",
                    ratio=rate / own,
                ),
                Measurement(
                    name=f"PostgreSQL's processor time, {number} hosts",
                    value=cpu[0],
                    unit="CPU ms a step",
                    note=f"hosts {cpu[1]:.1f}, a host on SQLite {theirs:.1f}",
                ),
            ]
    return found


def _steps(running: Sequence[KillableHost], name: str) -> float:
    """Durable steps a second, of flows that are started at each host in turn."""
    begun = time.perf_counter()
    for number in range(_FLOWS):
        request = f"{name}-{number}"
        start(running[number % len(running)], request, "Steps", name=request, count=_STEPS)
    for number in range(_FLOWS):
        if ended(running[number % len(running)], f"{name}-{number}") != _STEPS:
            raise BenchmarkError(f"flow {name}-{number} has another result")
    return _FLOWS * _STEPS / (time.perf_counter() - begun)


def _seconds(server: PostgresServer | None, running: Sequence[KillableHost]) -> tuple[float, float]:
    """Processor time of the server's processes, and of the hosts'."""
    of_server = 0.0
    if server is not None:
        pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        of_server = used_with_children(pid).cpu_seconds
    return of_server, sum(used_with_children(host.pid).cpu_seconds for host in running)


def messages() -> list[Measurement]:
    """Session messages whose two flows run on one host or on two, beside a host of its own."""
    with _running() as (fleet, _server, session, stack):
        alone = _embedded(stack, fleet.folder)
        running = fleet.first(2)
        _bounce([alone], "warm")
        _bounce(running, "warm")
        own = list(_bounce([alone], "bounce").values())
        seconds = _bounce(running, "bounce")
        owners = dict(
            session.run(
                "SELECT partition, split_part(member, '.', 1) FROM owners WHERE consumer = :g",
                g=GROUP,
            )
        )
        partitions = session.run("SELECT partitions FROM meta")[0][0]
        apart: dict[bool, list[float]] = {False: [], True: []}
        for request, taken in seconds.items():
            flows = session.run(
                "SELECT flow_id FROM flow_glance WHERE request = :r OR origin ="
                " (SELECT flow_id FROM flow_glance WHERE request = :r)",
                r=request,
            )
            homes = {owners[partition_of(flow, partitions)] for (flow,) in flows}
            apart[len(homes) > 1].append(taken)
    floor = statistics.median(own)
    return [
        Measurement(
            name=f"session message, flows on {where}",
            value=1000 * statistics.median(found),
            unit="ms",
            against=f"a host on SQLite ({1000 * floor:.1f} ms)",
            ratio=floor / statistics.median(found),
            note=f"{len(found)} conversations, {latencies(found)}",
        )
        for where, found in (("one host", apart[False]), ("two hosts", apart[True]))
        if found
    ]


def _bounce(running: Sequence[KillableHost], name: str) -> dict[str, float]:
    """Seconds of a message, of each of some conversations one after the other.

    A conversation of one message is taken off: start, end and polling are not measured.
    """
    seconds = {}
    for number in range(_CONVERSATIONS):
        request, host = f"{name}-{number}", running[number % len(running)]
        took = []
        for count in (1, _MESSAGES + 1):
            begun = time.perf_counter()
            start(host, f"{request}-{count}", "Bounce", peer=BOB, count=count)
            if ended(host, f"{request}-{count}") != count:
                raise BenchmarkError(f"flow {request} has another result")
            took.append(time.perf_counter() - begun)
        seconds[f"{request}-{_MESSAGES + 1}"] = (took[1] - took[0]) / (2 * _MESSAGES)
    return seconds


def takeover() -> list[Measurement]:
    """How long partitions belong to the dead: a killed worker's, and a killed host's."""
    workers, machines = [], []
    with _running() as (fleet, _server, session, _stack):
        running = fleet.first(3)
        for number in range(_DEATHS):
            host = running[number % 3]
            (worker,) = flow_pids(host)
            workers.append(
                _orphaned(session, f"%.{worker}.%", lambda pid=worker: os.kill(pid, signal.SIGKILL))  # type: ignore[misc]
            )
            name = f"host-{number % 3}.flow-%"
            until(session, "SELECT count(*) = 1 FROM members WHERE member LIKE :m", m=name)
        for number in range(2):
            machines.append(_orphaned(session, f"host-{number}.%", running[number].kill_all))
            running[number].kill()
            running[number].start()
    return [
        Measurement(
            name=f"taken over after kill -9 of a {what}",
            value=statistics.median(found),
            unit="s",
            note=f"goal: at most {goal} s; {len(found)} deaths, slowest {max(found):.2f} s",
        )
        for what, found, goal in (("worker", workers, 1), ("host", machines, 20))
    ]


def _orphaned(session: Session, member: str, die: Callable[[], object]) -> float:
    begun = time.perf_counter()
    die()
    until(session, "SELECT count(*) = 0 FROM owners WHERE member LIKE :m", m=member)
    return time.perf_counter() - begun


def nodes() -> list[Measurement]:
    """Virtual nodes made over REST by two hosts, and a third host that starts with them."""
    count = int(os.environ.get("CORDBOX_IDLE_NODES", _NODES_DEFAULT))
    with _running() as (fleet, _server, session, _stack):
        running = fleet.first(2)
        taken = [0.0] * count

        def make(number: int) -> str:
            begun = time.perf_counter()
            host = running[number % 2]
            name = f"O=Node {number}, L=London, C=GB"
            node = made(host, ask_for_node(host, fleet.checksum, name))
            taken[number] = time.perf_counter() - begun
            return node

        empty = [host.resident_mib() for host in running]
        begun = time.perf_counter()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(make, range(count)))
        seconds = time.perf_counter() - begun
        full = [host.resident_mib() for host in running]
        used = [_first_flow(running[n % 2], node) for n, node in enumerate(found[:: count // 20])]
        begun = time.perf_counter()
        fleet.start()
        started = time.perf_counter() - begun
        ((size,),) = session.run("SELECT pg_database_size(current_database()) / 1048576.0")
    first, last = (statistics.median(part) for part in (taken[:_FIRST], taken[-_FIRST:]))
    return [
        Measurement(
            name=f"{count:,} nodes made over REST by two hosts",
            value=count / seconds,
            unit="nodes/s",
            note=f"{_AT_ONCE} at once",
        ),
        Measurement(
            name="a node, the last ones",
            value=1000 * last,
            unit="ms",
            against=f"the first ones ({1000 * first:.0f} ms)",
            ratio=first / last,
        ),
        Measurement(
            name=f"memory of a host with {count:,} nodes",
            value=sum(full) / 2,
            unit="MiB",
            against=f"without ({sum(empty) / 2:.0f} MiB)",
            ratio=sum(empty) / sum(full),
        ),
        Measurement(name="first flow of a node", value=1000 * statistics.median(used), unit="ms"),
        Measurement(name=f"third host ready with {count:,} nodes", value=started, unit="s"),
        Measurement(name=f"database with {count:,} nodes", value=float(size), unit="MiB"),
    ]


def _first_flow(host: KillableHost, node: str) -> float:
    begun = time.perf_counter()
    host.nodes[node] = node
    reply = host.flow(node, "first", "stream_flows.Steps", {"name": "a", "count": 1})
    if reply.status_code != 202:  # accepted
        raise BenchmarkError(reply.text)
    found = host.result(node, "first")
    if (found["flowStatus"], json.loads(found["flowResult"] or "0")) != ("COMPLETED", 1):
        raise BenchmarkError(f"the flow ended {found}")
    return time.perf_counter() - begun
