"""What a node's quota does to its flows, on the engine."""

import json
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.flow import FlowStatusName
from host.domain.ids import ShortHash
from host.domain.quotas import Quota
from host.flow.core.errors import FlowsTooManyError
from host.flow.engine.service import FlowService
from host.nodes.quotas import QuotaService
from host.ports.guest import FlowRun, GuestOutcome, HostCallHandler, Usage
from host.ports.live import Fixed
from tests.flow.network import ALICE, BOB, CountedEntropy, Flow, Network, holding
from tests.flow.scripted import Guest, ScriptedGuests

FUEL = 1000
ALICE_ID, BOB_ID = holding(ALICE).short_hash, holding(BOB).short_hash


class Burning(ScriptedGuests):
    """Every run uses the same fuel. Notes who ran under which quota."""

    def __init__(self, flows: dict[str, Flow]) -> None:
        super().__init__(flows)
        self.quotas: list[Quota] = []

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        self.quotas.append(run.quota)
        outcome = super().run(run, host)
        object.__setattr__(outcome, "usage", Usage(fuel=FUEL, host_calls=1))
        return outcome


class Metered:
    """Two nodes on one engine, with quotas in a database."""

    def __init__(self, cluster: Any, flow: Flow, store: Any = None, **defaults: int) -> None:
        self.clock = SimClock()
        self.store = store or MemoryStore()
        self.quotas = QuotaService(
            database=cluster, defaults=Fixed(Quota(**defaults)), clock=self.clock
        )
        self.guests = Burning({"test.Initiator": flow})
        self.network = Network(
            self.store, {}, clock=self.clock, guests=self.guests, quotas=self.quotas
        )
        self.service = FlowService(
            units=self.store, clock=self.clock, entropy=CountedEntropy(), quotas=self.quotas
        )

    def start(self, name: str, request: str) -> None:
        node = self.network.nodes.nodes[holding(name)]
        self.service.start(node, self.network.cpi, request, "test.Initiator", None)

    def status(self, node: ShortHash, request: str) -> FlowStatusName:
        return self.service.status(node, request).status


def test_a_run_gets_its_nodes_quota(cluster):
    metered = Metered(cluster, lambda _g: "done")
    metered.quotas.set_overrides(ALICE_ID, {"memory_bytes_max": 1 << 20})
    metered.start(ALICE, "a")
    metered.network.engine.drain()
    metered.start(BOB, "b")
    metered.network.engine.drain()
    assert [q.memory_bytes_max for q in metered.guests.quotas] == [1 << 20, 128 << 20]


def test_a_node_beyond_its_rate_waits_and_its_neighbour_does_not(cluster):
    metered = Metered(cluster, lambda _g: "done", fuel_per_second_max=FUEL)
    for number in range(20):
        metered.start(ALICE, f"a{number}")
    for number in range(2):
        metered.start(BOB, f"b{number}")
    metered.network.engine.drain()

    def done(node: ShortHash, count: int, letter: str) -> int:
        names = [metered.status(node, f"{letter}{n}") for n in range(count)]
        return names.count(FlowStatusName.COMPLETED)

    assert done(BOB_ID, 2, "b") == 2
    early = done(ALICE_ID, 20, "a")
    assert early <= 4
    for _ in range(60):
        metered.clock.advance(1000)
        metered.network.engine.drain()
    assert done(ALICE_ID, 20, "a") == 20
    used = metered.quotas.usage(ALICE_ID)
    assert (used.runs, used.fuel) == (20, 20 * FUEL)
    assert used.hits["fuel-rate"].count >= 16
    assert metered.quotas.usage(BOB_ID).hits == {}
    assert not [e for e in metered.network.events if type(e).__name__ == "RecordRetried"]


def test_a_waiting_flow_that_was_stored_goes_on_after_a_restart(cluster):
    metered = Metered(cluster, lambda _g: "done", fuel_per_second_max=FUEL)
    for number in range(4):
        metered.start(ALICE, f"a{number}")
    metered.network.engine.drain()
    again = Metered(cluster, lambda _g: "done", store=metered.store, fuel_per_second_max=FUEL)
    for _ in range(10):
        again.clock.advance(2000)
        again.network.engine.drain()
    names = {again.status(ALICE_ID, f"a{n}") for n in range(4)}
    assert names == {FlowStatusName.COMPLETED}


def test_the_text_of_a_failure_counts_as_what_a_flow_logs(cluster):
    def failing(_guest: Guest) -> str:
        raise ValueError("m" * 5000)

    metered = Metered(cluster, failing, log_bytes_per_second_max=1000)
    for number in range(6):
        metered.start(ALICE, f"a{number}")
    metered.network.engine.drain()
    used = metered.quotas.usage(ALICE_ID)
    assert used.hits["log-rate"].count >= 1
    assert 5000 < used.log_bytes <= 6 * 5100
    ended = [metered.status(ALICE_ID, f"a{n}") for n in range(6)]
    assert ended.count(FlowStatusName.FAILED) < 6


def calls(count: int) -> Flow:
    def flow(guest: Guest) -> str:
        return json.dumps([guest.call("flow", "random", bytes=100) for _ in range(count)])

    return flow


@pytest.mark.parametrize(
    ("override", "code", "hit"),
    [
        ({"journal_calls_max": 3}, "journal-limit", "journal-limit"),
        ({"journal_bytes_max": 1024}, "quota-exceeded", "quota-exceeded:journal"),
    ],
    ids=["calls", "bytes"],
)
def test_a_full_journal_ends_the_flow(cluster, override, code, hit):
    metered = Metered(cluster, calls(20))
    metered.quotas.set_overrides(ALICE_ID, override)
    metered.start(ALICE, "a")
    metered.network.engine.drain()
    status = metered.service.status(ALICE_ID, "a")
    assert status.error is not None
    assert status.error.type == code
    assert "flow.random" in status.error.message
    used = metered.quotas.usage(ALICE_ID)
    assert used.hits[hit].count == 1
    assert used.calls == {"flow.random": override.get("journal_calls_max", 8)}


def test_a_journal_that_just_fits_is_enough(cluster):
    metered = Metered(cluster, calls(3), journal_calls_max=3)
    metered.start(ALICE, "a")
    metered.network.engine.drain()
    assert metered.status(ALICE_ID, "a") is FlowStatusName.COMPLETED


def test_a_node_has_so_many_flows_open_and_no_more(cluster):
    def sleeping(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=1000)
        return "done"

    metered = Metered(cluster, sleeping, flows_open_max=3)
    for number in range(3):
        metered.start(ALICE, f"a{number}")
    metered.network.engine.drain()
    with pytest.raises(FlowsTooManyError, match="has 3 flows that have not ended, at most 3"):
        metered.start(ALICE, "a3")
    metered.start(BOB, "b")
    assert metered.service.open_count(ALICE_ID) == 3
    metered.clock.advance(1000)
    metered.network.engine.drain()
    assert metered.service.open_count(ALICE_ID) == 0
    metered.start(ALICE, "a3")
    assert metered.quotas.usage(ALICE_ID).hits["flows-too-many"].count == 1
