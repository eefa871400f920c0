"""Claims of tokens end with their flow, also where the host stops before the end is reported."""

from pathlib import Path

import pytest

from cordapp_testkit import FlowFailedError, Network
from host.flow.core.events import FlowEnded
from host.flow.core.remembered import CLEANUP_MS, LATER
from host.flow.engine.cleanups import CleanupsDone
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code

CASH = Path(__file__).parents[2] / "sample_cordapps" / "cash"
BANK, ALICE = (f"O={name}, L=London, C=GB" for name in ("Bank", "Alice"))
POUNDS = {"issuer": BANK, "currency": "GBP"}


@pytest.fixture(scope="module")
def cash():
    return native_code(load_project(CASH))


@pytest.fixture
def stops_at_ends(monkeypatch):
    """The process stops after the end of a claiming flow is durable, before anything is released.

    The network alone is told of the end, so that it can answer how the flow ended.
    """
    report = CleanupsDone.__call__

    def lost(self, event):
        if isinstance(event, FlowEnded) and event.cleanups:
            self._then._then(event)
        else:
            report(self, event)

    monkeypatch.setattr(CleanupsDone, "__call__", lost)


def available(node):
    return node.start("cash_flows.CashBalance", POUNDS)["available"]


def later(network, node):
    """Keys of the node's system flows that are to start later."""
    begin = f"{LATER}/{node.holding.short_hash}/"
    return [state.key for state in network.parts.store.scan(begin)]


def claim_that_moves_nothing(network):
    """Alice claims 4 of 10 pounds in a flow that fails; answers the nodes."""
    bank, alice = network.node(BANK), network.node(ALICE)
    bank.start("cash_flows.IssueCash", {"owner": ALICE, "currency": "GBP", "amount": "10"})
    nobody = {**POUNDS, "owner": "O=Nobody, L=Rome, C=IT", "amount": "4"}
    with pytest.raises(FlowFailedError) as failed:
        alice.start("cash_flows.MoveCash", nobody)
    assert failed.value.type == "cash-member-unknown"
    return alice


def test_the_report_of_an_end_releases_claims_and_leaves_nothing_to_do_later(cash):
    with Network(cash) as network:
        alice = claim_that_moves_nothing(network)
        assert available(alice) == "10"
        assert later(network, alice) == []


def test_claims_are_released_a_minute_after_an_end_that_was_not_reported(cash, stops_at_ends):
    with Network(cash) as network:
        alice = claim_that_moves_nothing(network)
        assert available(alice) == "0"
        assert len(later(network, alice)) == 1
        network.advance(CLEANUP_MS - 1)
        assert available(alice) == "0"
        network.advance(1)
        assert available(alice) == "10"
        assert later(network, alice) == []
        network.advance(CLEANUP_MS * 2)
        assert available(alice) == "10"


def test_a_flow_that_has_waited_since_its_claim_is_released_in_the_same_way(cash, stops_at_ends):
    with Network(cash) as network:
        bank, alice = network.node(BANK), network.node(ALICE)
        bank.start("cash_flows.IssueCash", {"owner": ALICE, "currency": "GBP", "amount": "10"})
        alice.start("cash_flows.RedeemCash", {**POUNDS, "amount": "4"})
        assert available(alice) == "6"
        (key,) = later(network, alice)
        assert key.startswith(f"{LATER}/{alice.holding.short_hash}/cordbox:release-claims:")
        network.advance(CLEANUP_MS)
        assert later(network, alice) == []
        assert available(alice) == "6"


@pytest.mark.parametrize("calls", [2, 3])
def test_a_flow_that_a_limit_ends_in_the_step_of_its_claim_is_released(cash, stops_at_ends, calls):
    with Network(cash) as network:
        bank, alice = network.node(BANK), network.node(ALICE)
        bank.start("cash_flows.IssueCash", {"owner": ALICE, "currency": "GBP", "amount": "10"})
        quotas, node = network.parts.quotas, alice.holding.short_hash
        quotas.set_overrides(node, {"host_calls_max": calls})
        with pytest.raises(FlowFailedError) as failed:
            alice.start("cash_flows.MoveCash", {**POUNDS, "owner": BANK, "amount": "4"})
        assert failed.value.type == "too-many-host-calls"
        quotas.set_overrides(node, {})
        assert available(alice) == "0"
        network.advance(CLEANUP_MS)
        assert available(alice) == "10"
        assert later(network, alice) == []
