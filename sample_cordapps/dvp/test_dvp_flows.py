from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from dvp_contracts import Bond, Money, MoveBond
from dvp_flows import BuyBond, IssueBonds, IssueMoneyTo, SellBond

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


Sale = Callable[[Any, Any, Any], None]
"""What a seller does to the builder of `buyer`, with its bond."""


def nothing(bond: Any, builder: Any, buyer: Any) -> None:
    """The seller takes the money and adds no bond."""


def to_the_seller(bond: Any, builder: Any, buyer: Any) -> None:
    """The bond is spent, and the seller has it again."""
    builder.add_input_states(bond.ref).add_output_states(bond.state).add_commands(MoveBond())


def to_a_key_of_the_seller(bond: Any, builder: Any, buyer: Any) -> None:
    """The buyer's name, and a key that is not the buyer's."""
    sold = replace(bond.state, owner=buyer.name)
    builder.add_input_states(bond.ref).add_output_states(sold).add_commands(MoveBond())


def another_bond(bond: Any, builder: Any, buyer: Any) -> None:
    sold = replace(bond.state, name="A0", owner=buyer.name, owner_key=buyer.ledger_keys[0])
    builder.add_input_states(bond.ref).add_output_states(sold).add_commands(MoveBond())


def cheaper(bond: Any, builder: Any, buyer: Any) -> None:
    """The bond as the buyer expects it, but for what its contract keeps."""
    sold = replace(bond.state, price=Decimal(1), owner=buyer.name, owner_key=buyer.ledger_keys[0])
    builder.add_input_states(bond.ref).add_output_states(sold).add_commands(MoveBond())
    builder.add_signatories(bond.state.owner_key)


def and_money_for_the_seller(bond: Any, builder: Any, buyer: Any) -> None:
    (paid, *_) = [each for each in builder.output_states if isinstance(each, Money)]
    sold = replace(bond.state, owner=buyer.name, owner_key=buyer.ledger_keys[0])
    builder.add_input_states(bond.ref).add_output_states(sold, replace(paid, amount=Decimal(7)))
    builder.add_commands(MoveBond()).add_signatories(bond.state.owner_key)


def with_one_more(bond: Any, builder: Any, buyer: Any) -> None:
    sold = replace(bond.state, owner=buyer.name, owner_key=buyer.ledger_keys[0])
    more = replace(sold, name="A0")
    builder.add_input_states(bond.ref).add_output_states(sold, more).add_commands(MoveBond())
    builder.add_signatories(bond.state.owner_key)


@pytest.fixture
def market(native_network: Network) -> list[Node]:
    """As `nodes`, as plain Python: the seller's own code is replaced."""
    native_network.notary()
    bank, alice, bob = (native_network.node(name) for name in (BANK, ALICE, BOB))
    alice.start(IssueBonds, {"name": "A1", "price": "80"})
    bank.start(IssueMoneyTo, {"owner": BOB, "amount": "90"})
    return [alice, bob]


@pytest.mark.parametrize(
    ("sale", "code"),
    [
        (nothing, "dvp-changed"),
        (to_the_seller, "dvp-not-delivered"),
        (to_a_key_of_the_seller, "dvp-not-delivered"),
        (another_bond, "dvp-not-delivered"),
        (cheaper, "contract-verification-failed"),
        (and_money_for_the_seller, "dvp-changed"),
        (with_one_more, "dvp-not-delivered"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_buyer_refuses_what_a_seller_should_not_add(
    market: list[Node], monkeypatch: pytest.MonkeyPatch, sale: Sale, code: str
) -> None:
    """Whatever the seller's own code does: nothing moves, and the bond can be bought after it."""
    alice, bob = market
    before = (holds(alice), holds(bob))
    with monkeypatch.context() as hostile:
        hostile.setattr(
            SellBond, "_add", lambda _, bond, builder, buyer: sale(bond, builder, buyer)
        )
        hostile.setattr(SellBond, "_check", lambda *_: None)
        with pytest.raises(FlowFailedError) as failed:
            buy(bob, ALICE, "80")
    assert failed.value.type == code
    assert (holds(alice), holds(bob)) == before
    buy(bob, ALICE, "80")
    assert holds(bob) == (["A1"], [Decimal(10)])


def test_a_seller_that_does_not_sign_keeps_its_bond_and_gets_no_money(
    market: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = market
    before = (holds(alice), holds(bob))

    def refuse(*_: Any) -> None:
        raise ValueError("I have changed my mind")

    monkeypatch.setattr(SellBond, "_check", refuse)
    with pytest.raises(FlowFailedError, match="I have changed my mind") as failed:
        buy(bob, ALICE, "80")
    assert failed.value.type == "finality-refused"
    assert (holds(alice), holds(bob)) == before
