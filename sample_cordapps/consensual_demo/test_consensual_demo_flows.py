import pytest
from consensual_demo_flows import ConsensualDemoFlow, FindTransactionFlow

from cordapp_testkit import FlowFailedError, Network, Node

ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))


@pytest.fixture
def nodes(cordapp_network: Network) -> list[Node]:
    return [cordapp_network.node(name) for name in (ALICE, BOB, CHARLIE)]


def made(alice: Node, text: str = "test input", members: tuple[str, ...] = (BOB, CHARLIE)) -> str:
    return str(alice.start(ConsensualDemoFlow, {"input": text, "members": list(members)}))


def test_all_members_find_what_they_agreed_on(nodes: list[Node]) -> None:
    transaction_id = made(nodes[0])
    assert transaction_id.startswith("SHA-256D:")
    for node in nodes:
        found = node.start(FindTransactionFlow, {"transactionId": transaction_id})
        (state,) = found["transaction"]["states"]
        assert state["testField"] == "test input"
        assert len(state["participants"]) == len(nodes)
        assert found["transaction"]["participants"] == state["participants"]
        assert found["errorMessage"] is None


def test_who_does_not_take_part_does_not_find_it(nodes: list[Node]) -> None:
    transaction_id = made(nodes[0], members=(BOB,))
    found = nodes[2].start(FindTransactionFlow, {"transactionId": transaction_id})
    assert found == {
        "transaction": None,
        "errorMessage": f"Failed to find transaction with id {transaction_id}.",
    }


def test_what_a_member_does_not_want_is_recorded_nowhere(nodes: list[Node]) -> None:
    answer = made(nodes[0], "fail")
    assert answer.startswith("Finality failed, Transaction validation failed for transaction ")
    assert answer.endswith("Message: Failed verification")
    transaction_id = answer.split()[7]
    for node in nodes:
        found = node.start(FindTransactionFlow, {"transactionId": transaction_id})
        assert found["transaction"] is None


def test_a_state_refuses_its_transaction(nodes: list[Node]) -> None:
    with pytest.raises(FlowFailedError, match="State verification failed") as failed:
        made(nodes[0], "invalid")
    assert failed.value.type == "contract-verification-failed"


def test_a_member_that_nobody_knows_is_named(nodes: list[Node]) -> None:
    nobody = "O=Nobody, L=London, C=GB"
    with pytest.raises(FlowFailedError, match=f"Member {nobody} does not exist"):
        made(nodes[0], members=(nobody,))
