"""Durable flow steps per second over REST: two nodes exchange session messages.

Every message that arrives is one step: the flow's guest runs by replay from its start, and journal,
session state, outgoing records and offset are committed with one fsync. The floor is the same
number of bare commits to an SQLite file with the same settings.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks import workshop
from benchmarks.measure import Measurement
from cpi.build import build_cpi
from cpi.group_policy_generation import generate_static_policy
from sample_cordapps.demo import network
from sample_cordapps.demo.flows import FlowRunner

_ROUNDS = 10
_FLOWS = 40
_COMMITS = 2000
_NAMES = ("O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB")


def run() -> list[Measurement]:
    with workshop.running_host("steps") as (rest, _host):
        certificate = workshop.folder() / "steps.pem"
        certificate.write_bytes(_certificate())
        network.trust_signer(rest, certificate)
        checksum = network.upload(rest, _cpi())
        alice, _bob = (workshop.node_of(rest, checksum, name) for name in _NAMES)
        runner = FlowRunner(rest)
        body = {"counterparty": _NAMES[1], "rounds": _ROUNDS}
        runner.run(alice, "pingpong_flows.Ping", body, show=False)
        alone = _timed(lambda: runner.run(alice, "pingpong_flows.Ping", body, show=False))
        together = _timed(lambda: _many(runner, alice, body))
    floor = _COMMITS / _timed(_commits)
    steps = 2 * _ROUNDS
    against = f"bare commits, synchronous=FULL ({floor:,.0f}/s)"
    return [
        Measurement(
            name="one flow, sequential session messages",
            value=steps / alone,
            unit="steps/s",
            against=against,
            ratio=steps / alone / floor,
        ),
        Measurement(
            name=f"{_FLOWS} flows at once",
            value=_FLOWS * steps / together,
            unit="steps/s",
            against=against,
            ratio=_FLOWS * steps / together / floor,
        ),
    ]


def _many(runner: FlowRunner, node: str, body: object) -> None:
    started = [runner.start(node, "pingpong_flows.Ping", body, show=False) for _ in range(_FLOWS)]
    for request_id in started:
        runner.wait(node, request_id, show=False)


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _certificate() -> bytes:
    return workshop.key().certificate_chain[0].public_bytes(Encoding.PEM)


def _cpi() -> Path:
    built = workshop.built(Path("benchmarks/pingpong"))
    policy = generate_static_policy(
        names=_NAMES, group_id=None, endpoint_url="http://localhost:1080", endpoint_protocol=1
    )
    path = workshop.folder() / "pingpong.cpi"
    cpb = (built.cpb.path.name, built.cpb.path.read_bytes())
    path.write_bytes(
        build_cpi(
            name="pingpong", version="1.0.0", cpb=cpb, group_policy=policy, keys=(workshop.key(),)
        )
    )
    return path


def _commits() -> None:
    database = sqlite3.connect(workshop.folder() / "floor.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE record (number INTEGER PRIMARY KEY, content BLOB)")
    for number in range(_COMMITS):
        database.execute("INSERT INTO record VALUES (?, ?)", (number, b"x" * 300))
    database.close()
