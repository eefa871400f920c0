from decimal import Decimal

import pytest
from dvp_contracts import Bond, Money
from dvp_flows import BuyBond, IssueBonds, IssueMoneyTo

from cordapp_testkit import FlowFailedError, Network, Node

BANK, ALICE, BOB, CAROL = (
    f"O={name}, L=London, C=GB" for name in ("Bank", "Alice", "Bob", "Carol")
)


@pytest.fixture(params=["non-validating", "contract-verifying"])
def protocol(request: pytest.FixtureRequest) -> str:
    """The first requires that receivers verify all that a transaction depends on."""
    name: str = request.param
    return name


@pytest.fixture
def nodes(cordapp_network: Network, protocol: str) -> list[Node]:
    """A bank, Alice with a bond of 80, Bob with money of 50 and 40, and Carol with nothing."""
    cordapp_network.notary(protocol=protocol)
    bank, alice, bob, carol = (cordapp_network.node(name) for name in (BANK, ALICE, BOB, CAROL))
    alice.start(IssueBonds, {"name": "A1", "price": "80"})
    for amount in ("50", "40"):
        bank.start(IssueMoneyTo, {"owner": BOB, "amount": amount})
    return [bank, alice, bob, carol]


def buy(node: Node, seller: str, price: str, name: str = "A1") -> str:
    request = {"seller": seller, "name": name, "price": price, "bank": BANK}
    found: str = node.start(BuyBond, request)["transaction_id"]
    return found


def holds(node: Node) -> tuple[list[str], list[Decimal]]:
    return [bond.name for bond in node.states(Bond)], [m.amount for m in node.states(Money)]


def test_a_bond_and_its_price_change_hands_in_one_transaction(nodes: list[Node]) -> None:
    bank, alice, bob, carol = nodes
    transaction = buy(bob, ALICE, "80")
    assert (holds(alice), holds(bob)) == (([], [Decimal(80)]), (["A1"], [Decimal(10)]))
    assert holds(bank) == holds(carol) == ([], [])
    for node in (alice, bob):
        stored = node.signed_transaction(transaction)
        assert stored is not None
        keys = {each["key"] for each in stored["signatures"]}
        assert {alice.key, bob.key} < keys
        assert len(keys) == 3  # and the notary's
    assert carol.signed_transaction(transaction) is None


def test_a_bond_is_sold_on_with_all_that_came_before(nodes: list[Node]) -> None:
    bank, alice, bob, carol = nodes
    buy(bob, ALICE, "80")
    bank.start(IssueMoneyTo, {"owner": CAROL, "amount": "80"})
    buy(carol, BOB, "80")
    assert holds(bob) == ([], [Decimal(10), Decimal(80)])
    assert holds(carol) == (["A1"], [])
    assert holds(alice) == ([], [Decimal(80)])


def test_the_buyer_verifies_what_the_bond_depends_on(nodes: list[Node], protocol: str) -> None:
    _, alice, bob, _ = nodes
    issued = alice.start(IssueBonds, {"name": "A2", "price": "5"})["transaction_id"]
    assert bob.signed_transaction(issued) is None
    buy(bob, ALICE, "5", "A2")
    is_known = bob.signed_transaction(issued) is not None
    assert is_known == (protocol == "non-validating")


def test_nothing_moves_where_one_does_not_give(nodes: list[Node]) -> None:
    _, alice, bob, _ = nodes
    before = (holds(alice), holds(bob))
    with pytest.raises(FlowFailedError):
        buy(bob, ALICE, "79.99")
    error = alice.flows[-1].error
    assert error is not None
    assert error.type == "dvp-not-paid"
    with pytest.raises(FlowFailedError):
        buy(bob, ALICE, "80", "A2")
    error = alice.flows[-1].error
    assert error is not None
    assert error.type == "dvp-bond-unknown"
    with pytest.raises(FlowFailedError) as failed:
        buy(bob, ALICE, "100")
    assert failed.value.type == "dvp-money-not-enough"
    assert (holds(alice), holds(bob)) == before
    buy(bob, ALICE, "80")


def test_a_bond_is_sold_once(nodes: list[Node]) -> None:
    bank, alice, bob, carol = nodes
    bank.start(IssueMoneyTo, {"owner": CAROL, "amount": "80"})
    buy(bob, ALICE, "80")
    with pytest.raises(FlowFailedError):
        buy(carol, ALICE, "80")
    assert holds(carol) == ([], [Decimal(80)])
    assert holds(alice) == ([], [Decimal(80)])
