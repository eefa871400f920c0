"""A host that dies before or after any commit: nobody notices, no effect happens twice."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.domain.flow import FlowStatusName
from host.ports.units import FlowStore, Unit
from tests.flow.durable_flows import FLOWS, RESULT
from tests.flow.network import CountedEntropy, Network, Notes

ROOT = Path(__file__).parents[2]


class Crash(BaseException):
    """The process dies here."""


class CrashingStore:
    """Passes everything on to `inner`, and dies at the `at`-th commit, counted from 1."""

    def __init__(self, inner: FlowStore, *, at: int, before: bool) -> None:
        self._inner = inner
        self._at = at
        self._before = before
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, unit: Unit) -> None:
        self.commits += 1
        if self.commits == self._at and self._before:
            raise Crash
        self._inner.commit(unit)
        if self.commits == self._at:
            raise Crash


class FailingStore(CrashingStore):
    """Cannot be written at the `at`-th commit, as when the disk is full, and can afterwards."""

    def commit(self, unit: Unit) -> None:
        self.commits += 1
        if self.commits == self._at:
            raise StorageError("disk full")
        self._inner.commit(unit)


def settle(network: Network) -> None:
    """Run until nothing is left to happen but clean-up."""
    network.engine.drain()
    while network.store.scan("timer/"):
        network.later(1_000)


def run_with_crash(inner: FlowStore, *, at: int, before: bool) -> tuple[Network, bool]:
    clock, entropy, notes = SimClock(), CountedEntropy(), Notes()
    shared = {"clock": clock, "entropy": entropy, "notes": notes}
    Network(inner, FLOWS, **shared).start({"amount": 5})
    died = False
    try:
        settle(Network(CrashingStore(inner, at=at, before=before), FLOWS, **shared))
    except Crash:
        died = True
    restarted = Network(inner, FLOWS, **shared)
    settle(restarted)
    return restarted, died


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_crash_at_any_commit_changes_nothing(before: bool) -> None:
    at, died = 1, True
    while died:
        network, died = run_with_crash(MemoryStore(), at=at, before=before)
        check(network)
        at += 1
    assert at > 12, "the flow is expected to take more commits than that"


@pytest.mark.parametrize("at", [2, 5, 7, 9])
def test_a_crash_changes_nothing_on_disk(tmp_path: Path, at: int) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    network, died = run_with_crash(store, at=at, before=True)
    assert died
    check(network)
    store.close()


def test_a_store_that_fails_once_at_any_commit_changes_nothing() -> None:
    at, failed = 1, True
    while failed:
        store = FailingStore(MemoryStore(), at=at, before=True)
        network = Network(store._inner, FLOWS)
        network.start({"amount": 5})
        failing = Network(store, FLOWS, clock=network.clock, notes=network.notes)
        while network.alice().result is None:
            with contextlib.suppress(StorageError):  # a timer that could not be fired
                failing.engine.drain()
            network.clock.advance(1_000)
        failing.engine.drain()
        check(network)
        failed = store.commits > at
        at += 1
    assert at > 12


def check(network: Network) -> None:
    alice, (bob,) = network.alice(), network.bobs()
    assert (alice.status, bob.status) == (FlowStatusName.COMPLETED, FlowStatusName.COMPLETED)
    assert alice.result == RESULT
    assert [row["op"] for row in network.notes.rows] == ["persist", "merge", "persist"]
    assert network.notes.rows[0]["drawn"] == network.notes.rows[1]["drawn"]
    assert network.store.scan("flow/") == []


@pytest.mark.crash
@pytest.mark.unparked
def test_kill_9_at_every_few_commits_changes_nothing(tmp_path: Path) -> None:
    """Each process dies by SIGKILL at its third commit, until one gets to the end."""
    deaths = 0
    while True:
        process = subprocess.run(
            [sys.executable, "-m", "tests.flow.durable_flows", str(tmp_path), "3"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if process.returncode == 0:
            break
        assert process.returncode == -9, process.stderr
        deaths += 1
        assert deaths < 30
    found = json.loads(process.stdout)
    assert found == {"alice": ["COMPLETED", RESULT], "bob": "COMPLETED", "effects": 3}
    assert deaths >= 3
