import pytest
from cash_contracts import Cash
from cash_flows import CashBalance, IssueCash, ListCash, MoveCash, RedeemCash

from cordapp_testkit import FlowFailedError, Network, Node

BANK, ALICE, BOB = (f"O={name}, L=London, C=GB" for name in ("Bank", "Alice", "Bob"))
POUNDS = {"issuer": BANK, "currency": "GBP"}


@pytest.fixture
def nodes(cordapp_network: Network) -> list[Node]:
    return [cordapp_network.node(name) for name in (BANK, ALICE, BOB)]


def issue(bank: Node, *amounts: str, owner: str = ALICE, currency: str = "GBP") -> None:
    for amount in amounts:
        bank.start(IssueCash, {"owner": owner, "currency": currency, "amount": amount})


def balance(node: Node) -> tuple[str, str]:
    found = node.start(CashBalance, POUNDS)
    return found["available"], found["total"]


def test_cash_is_issued_moved_with_change_and_redeemed(nodes: list[Node]) -> None:
    bank, alice, bob = nodes
    issue(bank, "10", "5.50")
    assert balance(alice) == ("15.5", "15.5")
    assert bank.states(Cash) == []
    moved = alice.start(MoveCash, {**POUNDS, "owner": BOB, "amount": "12.25"})
    assert moved["change"] == "3.25"
    assert (balance(alice)[1], balance(bob)[1]) == ("3.25", "12.25")
    redeemed = bob.start(RedeemCash, {**POUNDS, "amount": "12.25"})
    assert redeemed["change"] == "0"
    assert balance(bob) == ("0", "0")
    assert [f.status for f in bank.flows] == ["COMPLETED"] * 3


def test_a_notary_makes_it_final(cordapp_network: Network) -> None:
    cordapp_network.notary()
    bank, alice, bob = (cordapp_network.node(name) for name in (BANK, ALICE, BOB))
    issue(bank, "10", "5.50")
    assert alice.start(MoveCash, {**POUNDS, "owner": BOB, "amount": "12.25"})["change"] == "3.25"
    assert (balance(alice)[1], balance(bob)[1]) == ("3.25", "12.25")
    assert bob.start(RedeemCash, {**POUNDS, "amount": "12"})["change"] == "0.25"
    assert balance(bob) == ("0.25", "0.25")


def test_cash_that_was_received_moves_on(nodes: list[Node]) -> None:
    bank, alice, bob = nodes
    issue(bank, "10")
    for sender, owner in ((alice, BOB), (bob, ALICE), (alice, BOB)):
        sender.start(MoveCash, {**POUNDS, "owner": owner, "amount": "10"})
    assert (balance(alice), balance(bob)) == (("0", "0"), ("10", "10"))


def test_more_cash_than_there_is_is_not_claimed(nodes: list[Node]) -> None:
    bank, alice, _ = nodes
    issue(bank, "10")
    with pytest.raises(FlowFailedError) as failed:
        alice.start(MoveCash, {**POUNDS, "owner": BOB, "amount": "10.01"})
    assert failed.value.type == "cash-not-enough"
    assert balance(alice) == ("10", "10")


def test_a_flow_that_fails_gives_its_claim_back(nodes: list[Node]) -> None:
    bank, alice, _ = nodes
    issue(bank, "10")
    with pytest.raises(FlowFailedError) as failed:
        alice.start(MoveCash, {**POUNDS, "owner": "O=Nobody, L=Rome, C=IT", "amount": "4"})
    assert failed.value.type == "cash-member-unknown"
    assert balance(alice) == ("10", "10")
    alice.start(MoveCash, {**POUNDS, "owner": BOB, "amount": "10"})


def test_cash_is_listed_by_a_named_query(nodes: list[Node]) -> None:
    bank, alice, _ = nodes
    issue(bank, "9.50", "100", "10")
    issue(bank, "50", currency="EUR")
    assert alice.start(ListCash, {"currency": "GBP"}) == ["100", "10", "9.50"]
    assert alice.start(ListCash, {"currency": "GBP", "least": "10"}) == ["100", "10"]
    assert alice.start(ListCash, {"currency": "USD"}) == []


def test_cash_of_another_bank_is_other_cash(nodes: list[Node]) -> None:
    bank, alice, bob = nodes
    issue(bank, "10")
    issue(bob, "7")
    assert balance(alice) == ("10", "10")
    with pytest.raises(FlowFailedError, match="not enough cash"):
        alice.start(MoveCash, {**POUNDS, "issuer": BOB, "owner": BANK, "amount": "8"})
