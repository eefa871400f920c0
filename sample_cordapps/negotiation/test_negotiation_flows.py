from decimal import Decimal
from typing import Any

import pytest
from negotiation_contracts import Proposal, Trade
from negotiation_flows import (
    AcceptPrice,
    ExpensiveTrades,
    ExpireProposal,
    ListProposals,
    ModifyPrice,
    ProposePrice,
    RejectPrice,
)
from negotiation_haggle import Haggle, SetReserve

from cordapp_testkit import FlowFailedError, FlowRefusedError, Network, Node

ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
GILT = {"name": "Gilt 2040", "kind": "bond", "quantity": "100.5"}


@pytest.fixture
def nodes(cordapp_network: Network) -> list[Node]:
    return [cordapp_network.node(name) for name in (ALICE, BOB)]


def gbp(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "GBP"}


def propose(node: Node, amount: str = "9.50", **more: Any) -> str:
    request = {"counterparty": BOB, "asset": GILT, "price": gbp(amount), **more}
    proposed: dict[str, str] = node.start(ProposePrice, request)
    return proposed["id"]


def test_a_price_is_negotiated_in_rounds(nodes: list[Node]) -> None:
    alice, bob = nodes
    proposal = propose(alice)
    for node, amount in ((bob, "12"), (alice, "10.00"), (bob, "10.75")):
        node.start(ModifyPrice, {"id": proposal, "amount": amount})
    assert alice.start(ListProposals) == bob.start(ListProposals)
    accepted = alice.start(AcceptPrice, {"id": proposal})
    assert alice.states(Proposal) == bob.states(Proposal) == []
    (trade,) = alice.states(Trade)
    assert [trade] == bob.states(Trade)
    assert (trade.price.amount, trade.rounds) == (Decimal("10.75"), 4)
    stored = bob.signed_transaction(accepted["transaction_id"])
    assert stored is not None
    assert {each["key"] for each in stored["signatures"]} == {alice.key, bob.key}


def test_trades_are_found_by_price(nodes: list[Node]) -> None:
    alice, bob = nodes
    for amount in ("9.50", "100", "20.00"):
        bob.start(AcceptPrice, {"id": propose(alice, amount)})
    found = bob.start(ExpensiveTrades, {"kind": "bond", "least": "10"})
    assert [row["amount"] for row in found] == ["100", "20.00"]
    assert bob.start(ExpensiveTrades, {"kind": "equity"}) == []


def test_a_side_waits_for_its_turn(nodes: list[Node]) -> None:
    alice, _ = nodes
    proposal = propose(alice)
    for flow, more in ((AcceptPrice, {}), (ModifyPrice, {"amount": "1"})):
        with pytest.raises(FlowFailedError, match="It is the turn of O=Bob") as failed:
            alice.start(flow, {"id": proposal, **more})
        assert failed.value.type == "negotiation-not-your-turn"


def test_a_rejection_ends_the_negotiation(nodes: list[Node]) -> None:
    alice, bob = nodes
    proposal = propose(alice, as_side="seller")
    bob.start(RejectPrice, {"id": proposal, "reason": "too dear"})
    assert alice.states(Proposal) == []
    with pytest.raises(FlowFailedError) as failed:
        bob.start(AcceptPrice, {"id": proposal})
    assert failed.value.type == "negotiation-unknown"


def test_a_proposal_expires(cordapp_network: Network, nodes: list[Node]) -> None:
    alice, bob = nodes
    proposal = propose(alice, valid_for="PT1M")
    with pytest.raises(FlowFailedError) as failed:
        bob.start(ExpireProposal, {"id": proposal})
    assert failed.value.type == "negotiation-still-valid"
    cordapp_network.advance(60_000)
    with pytest.raises(FlowFailedError) as failed:
        bob.start(AcceptPrice, {"id": proposal})
    assert failed.value.type == "negotiation-out-of-time"
    bob.start(ExpireProposal, {"id": proposal})
    assert alice.states(Proposal) == bob.states(Proposal) == []


def test_the_contracts_message_reaches_the_client(nodes: list[Node]) -> None:
    with pytest.raises(FlowFailedError, match="A price is positive") as failed:
        propose(nodes[0], "0")
    assert failed.value.type == "contract-verification-failed"


def test_a_request_that_does_not_fit_is_refused(nodes: list[Node]) -> None:
    for more in ({"price": {"amount": "1", "currency": "pounds"}}, {"as_side": "lender"}):
        with pytest.raises(FlowRefusedError) as refused:
            propose(nodes[0], **more)
        assert refused.value.type == "flow-input-invalid"


HAGGLE = {"seller": BOB, "asset": GILT, "opening": gbp("8"), "limit": "11", "step": "1"}


def reserve(bob: Node, **more: Any) -> None:
    least = {"asset": "Gilt 2040", "least": gbp("10"), "first_ask": "14"}
    assert bob.start(SetReserve, {**least, **more}) is None


def test_haggling_ends_with_a_proposal(nodes: list[Node]) -> None:
    alice, bob = nodes
    reserve(bob)
    result = alice.start(Haggle, HAGGLE)
    assert result == {
        "$type": "negotiation_haggle.Agreed",
        "price": gbp("11"),
        "proposal": result["proposal"],
        "bids": ["8", "9", "10", "11"],
    }
    bob.start(AcceptPrice, {"id": result["proposal"]})
    assert [trade.price.amount for trade in alice.states(Trade)] == [Decimal(11)]


def test_haggling_ends_without_a_deal(native_network: Network) -> None:
    alice, bob = native_network.node(ALICE), native_network.node(BOB)
    reserve(bob)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"limit": "9"}, "limit"),
        ({"rounds": 2}, "rounds"),
        ({"opening": {"amount": "8", "currency": "EUR"}}, "currency"),
    ]
    for change, reason in changes:
        assert alice.start(Haggle, HAGGLE | change)["reason"] == reason
    assert {flow.status for flow in bob.flows} == {"COMPLETED"}


def test_a_sellers_failure_is_an_outcome(nodes: list[Node]) -> None:
    alice, bob = nodes
    result = alice.start(Haggle, HAGGLE)
    assert (result["code"], result["bids"]) == ("negotiation-not-for-sale", ["8"])
    assert bob.flows[-1].status == "FAILED"


def test_a_buyers_patience_ends(nodes: list[Node]) -> None:
    alice, bob = nodes
    reserve(bob, thinks="PT2M")
    with pytest.raises(FlowFailedError) as failed:
        alice.start(Haggle, HAGGLE | {"patience": "PT1M"})
    assert failed.value.type == "session-timeout"
