import pytest
from iou_contracts import Iou
from iou_flows import CreditLimit, IssueIou, ListIous, SetCreditLimit, SettleIou, TransferIou

from cordapp_testkit import FlowFailedError, FlowRefusedError, Network, Node

ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))


def last_error(node: Node) -> FlowFailedError:
    error = node.flows[-1].error
    assert error is not None
    return error


@pytest.fixture
def nodes(cordapp_network: Network) -> list[Node]:
    return [cordapp_network.node(name) for name in (ALICE, BOB, CHARLIE)]


def test_issue_is_stored_by_both_and_seen_by_nobody_else(nodes: list[Node]) -> None:
    alice, bob, charlie = nodes
    result = alice.start(IssueIou, {"counterparty": BOB, "amount": 100})
    assert result["outstanding"] == 100
    assert alice.states(Iou) == bob.states(Iou)
    assert [iou.linear_id for iou in bob.states(Iou)] == [result["linear_id"]]
    assert [f.status for f in bob.flows] == ["COMPLETED"]
    assert charlie.states(Iou) == []
    assert charlie.flows == []
    for node in (alice, bob):
        stored = node.signed_transaction(result["transaction_id"])
        assert stored is not None
        assert {s["key"] for s in stored["signatures"]} == {alice.key, bob.key}


def test_contract_message_reaches_both_sides(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    with pytest.raises(FlowFailedError) as failed:
        alice.start(IssueIou, {"counterparty": BOB, "amount": 0})
    assert failed.value.type == "contract-verification-failed"
    assert failed.value.message == "An IOU's amount must be positive"
    assert failed.value.trace[-1]["file"] == "iou_flows.py"
    assert [f.status for f in bob.flows] == ["FAILED"]
    assert last_error(bob).message == "An IOU's amount must be positive"
    assert alice.states(Iou) == bob.states(Iou) == []


def test_lender_does_not_rely_on_the_borrowers_host(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    alice.accept_every_transaction()
    with pytest.raises(FlowFailedError, match="An IOU's amount must be positive") as failed:
        alice.start(IssueIou, {"counterparty": BOB, "amount": 0})
    assert failed.value.type == "finality-refused"
    assert last_error(bob).type == "contract-verification-failed"
    assert last_error(bob).message == "An IOU's amount must be positive"
    assert bob.states(Iou) == []


def test_settle_in_parts_until_nothing_is_left(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    issued = alice.start(IssueIou, {"counterparty": BOB, "amount": 100})
    part = alice.start(SettleIou, {"linear_id": issued["linear_id"], "amount": 30})
    assert part["outstanding"] == 70
    listed = bob.start(ListIous, {})
    assert [(i["paid"], i["outstanding"]) for i in listed] == [(30, 70)]
    alice.start(SettleIou, {"linear_id": issued["linear_id"], "amount": 70})
    assert alice.states(Iou) == bob.states(Iou) == []


def test_settling_too_much_fails_on_both_sides(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    issued = alice.start(IssueIou, {"counterparty": BOB, "amount": 100})
    with pytest.raises(FlowFailedError, match="cannot exceed what is outstanding"):
        alice.start(SettleIou, {"linear_id": issued["linear_id"], "amount": 101})
    assert last_error(bob).message == "A settlement cannot exceed what is outstanding"
    assert bob.states(Iou)[0].paid == 0


def test_only_the_borrower_settles(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    issued = alice.start(IssueIou, {"counterparty": BOB, "amount": 100})
    with pytest.raises(FlowFailedError) as failed:
        bob.start(SettleIou, {"linear_id": issued["linear_id"], "amount": 1})
    assert failed.value.type == "iou-not-borrower"


def test_lender_refuses_beyond_its_limit(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    bob.start(SetCreditLimit, {"borrower": ALICE, "amount": 50})
    assert bob.stored(CreditLimit) == [CreditLimit(ALICE, 50)]
    with pytest.raises(FlowFailedError) as failed:
        alice.start(IssueIou, {"counterparty": BOB, "amount": 51})
    assert failed.value.message == f"{ALICE} may borrow 50, not 51"
    assert failed.value.code == "iou-over-limit"
    assert last_error(bob).type == "iou-over-limit"
    alice.start(IssueIou, {"counterparty": BOB, "amount": 50})


def test_pause_takes_time_between_two_messages(cordapp_network: Network, nodes: list[Node]) -> None:
    alice, _, _ = nodes
    before = cordapp_network.now()
    alice.start(IssueIou, {"counterparty": BOB, "amount": 1, "pause_millis": 5000})
    assert (before, cordapp_network.now()) == (
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:05.000000Z",
    )


def test_unknown_counterparty_and_wrong_input(nodes: list[Node]) -> None:
    alice, _, _ = nodes
    with pytest.raises(FlowFailedError, match="O=Nobody, L=Paris, C=FR is no member"):
        alice.start(IssueIou, {"counterparty": "O=Nobody, L=Paris, C=FR", "amount": 1})
    with pytest.raises(FlowRefusedError, match=r"\$\.amount: 'x' is "):
        alice.start(IssueIou, {"counterparty": BOB, "amount": "x"})


def test_a_notary_signs_what_becomes_final(cordapp_network: Network) -> None:
    notary = cordapp_network.notary()
    alice, bob, charlie = (cordapp_network.node(name) for name in (ALICE, BOB, CHARLIE))
    issued = alice.start(IssueIou, {"counterparty": BOB, "amount": 100})
    linear_id = issued["linear_id"]
    sold = bob.start(TransferIou, {"linear_id": linear_id, "new_lender": CHARLIE})
    # Charlie's host has verified the issue, which Charlie had never seen.
    assert charlie.signed_transaction(issued["transaction_id"]) is not None
    alice.start(SettleIou, {"linear_id": linear_id, "amount": 30})
    for node in (alice, charlie):
        assert [(iou.lender, iou.paid) for iou in node.states(Iou)] == [(CHARLIE, 30)]
    assert bob.states(Iou) == []
    for node in (alice, bob, charlie):
        stored = node.signed_transaction(sold["transaction_id"])
        assert stored is not None
        assert len(stored["signatures"]) == 4
    assert [flow.status for flow in notary.flows] == ["COMPLETED"] * 3


def test_only_the_lender_sells(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    issued = alice.start(IssueIou, {"counterparty": BOB, "amount": 100})
    request = {"linear_id": issued["linear_id"], "new_lender": CHARLIE}
    with pytest.raises(FlowFailedError) as failed:
        alice.start(TransferIou, request)
    assert failed.value.type == "iou-not-lender"
    bob.start(TransferIou, request)
    assert [iou.lender for iou in alice.states(Iou)] == [CHARLIE]
