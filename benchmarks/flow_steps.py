"""Durable flow steps per second over REST: two nodes exchange session messages.

Every message that arrives is one step: the flow's guest runs by replay from its start, and journal,
session state, outgoing records and offset are committed with one fsync. The floor is the same
number of bare commits to an SQLite file with the same settings.
"""

import sqlite3
import time
from collections.abc import Callable

from benchmarks import workshop
from benchmarks.engine import NAMES, form_network
from benchmarks.measure import Measurement
from sample_cordapps.demo.flows import FlowRunner

_ROUNDS = 10
_FLOWS = 40
_COMMITS = 1000


def sessions() -> list[Measurement]:
    """One flow alone, and many at once."""
    with workshop.running_host("steps") as (rest, _host):
        alice, _bob = form_network(rest)
        runner = FlowRunner(rest)
        body = {"counterparty": NAMES[1], "rounds": _ROUNDS}
        runner.run(alice, "pingpong_flows.Ping", body, show=False)
        alone = _timed(lambda: runner.run(alice, "pingpong_flows.Ping", body, show=False))
        together = _timed(lambda: _many(runner, alice, body))
    floor = commits_per_second()
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


def commits_per_second() -> float:
    """Bare commits to an SQLite file with the settings of the host's."""
    return _COMMITS / _timed(_commits)


def _commits() -> None:
    path = workshop.folder() / "floor.sqlite"
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE record (number INTEGER PRIMARY KEY, content BLOB)")
    for number in range(_COMMITS):
        database.execute("INSERT INTO record VALUES (?, ?)", (number, b"x" * 300))
    database.close()
