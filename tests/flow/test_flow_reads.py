"""How often steps query the store: a query costs as much as the step's own work."""

import sqlite3
from collections import Counter
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.accounts import Account, QuotaExceededError
from host.domain.quotas import Quota
from host.flow.core.room import REREAD_BYTES, NodeBalances, Room
from host.ports.bus import NewRecord
from host.ports.units import FlowStore, Unit
from tests.flow.network import Network
from tests.flow.queues import ALICES
from tests.flow.scripted import Guest

QUERIES = frozenset(
    {"balance", "balances", "get", "get_many", "journal", "share", "shares", "take",
     "whole_and_share"}
)  # fmt: skip


class Counted:
    """Passes everything on to `inner`, and counts what is asked and committed."""

    def __init__(self, inner: FlowStore) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in QUERIES and name != "commit":
            return found

        def counted(*values: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return found(*values, **named)

        return counted


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    inner = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "flows.sqlite")
    yield Counted(inner)
    inner.close()


def persisting(guest: Guest, count: int) -> str:
    for _ in range(count):
        guest.call("persistence", "write", op="persist")
    return "done"


def test_a_flow_of_one_step_takes_two_commits_and_five_queries(store: Any) -> None:
    network = Network(store, {"test.Initiator": lambda guest: persisting(guest, 1)})
    network.start()
    assert store.calls == {"get": 1, "balances": 1, "commit": 1}
    store.calls.clear()
    (queue,) = network.engine.ready()
    network.engine.process(queue)
    assert store.calls == {"take": 1, "get_many": 1, "balances": 1, "commit": 1}
    assert network.alice().result == "done"


def test_a_flow_of_one_step_takes_few_statements(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that begins or ends, and a journal that begins, are not looked up before."""
    connect, executed = sqlite3.connect, Counter[str]()

    def connected(*values: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*values, **named)
        connection.set_trace_callback(lambda sql: executed.update([" ".join(sql.split()[:3])]))
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    store = SqliteStore(tmp_path / "flows.sqlite")
    network = Network(store, {"test.Initiator": lambda guest: persisting(guest, 1)})
    for request_id in ("first", "second"):
        executed.clear()
        network.start(request_id=request_id)
        (queue,) = network.engine.ready()
        network.engine.process(queue)
    assert executed["BEGIN IMMEDIATE"] == executed["COMMIT"] == 2  # nothing large is swept
    assert executed["INSERT INTO states"] == executed["UPDATE states SET"] == 1
    assert executed["SELECT length(CAST(key AS"] == 1, "only the status changes what is stored"
    assert executed.total() <= 28
    store.close()


def test_a_durable_step_takes_one_commit_and_no_query(store: Any) -> None:
    counts: list[Counter[str]] = []
    for steps in (10, 30):
        network = Network(store, {"test.Initiator": lambda g, n=steps: persisting(g, n)})
        network.start(request_id=str(steps))
        (queue,) = network.engine.ready()
        store.calls.clear()
        network.engine.process(queue)
        counts.append(store.calls.copy())
    assert counts[1] - counts[0] == {"commit": 20}


def test_balances_are_read_again_before_a_refusal_and_after_many_bytes(store: Any) -> None:
    room = Room(
        balances=NodeBalances(store, ALICES), node=ALICES, quota=Quota(bus_bytes_max=1024 * 1024)
    )
    record = NewRecord(topic="t", key="k", value=b"x" * 1_000_000, node=ALICES)
    room.check(Account.BUS, pending=0, more=1024 * 1024)
    store.commit(Unit(records=(record,)))  # another step's
    room.check(Account.BUS, pending=0, more=1024 * 1024)
    room.balances.wrote(1)
    with pytest.raises(QuotaExceededError):
        room.check(Account.BUS, pending=0, more=1024 * 1024)
    assert store.calls["balances"] == 2
    room.balances.wrote(REREAD_BYTES + 1)
    room.check(Account.BUS, pending=0, more=1)
    assert store.calls["balances"] == 3
