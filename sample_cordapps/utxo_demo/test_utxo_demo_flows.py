import pytest
from utxo_demo_chains import NonValidatingNotaryTestFlow, UtxoBackchainResolutionDemoFlow
from utxo_demo_flows import (
    FindTransactionFlow,
    PeekTransactionFlow,
    UtxoCustomQueryDemoFlow,
    UtxoDemoEvolveFlow,
    UtxoDemoFlow,
)

from cordapp_testkit import FlowFailedError, Network, Node

ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))


@pytest.fixture
def nodes(cordapp_network: Network) -> list[Node]:
    cordapp_network.notary()
    return [cordapp_network.node(name) for name in (ALICE, BOB, CHARLIE)]


def made(alice: Node, text: str = "test input") -> str:
    return str(alice.start(UtxoDemoFlow, {"input": text, "members": [BOB, CHARLIE]}))


def test_a_transaction_is_found_at_every_member(nodes: list[Node]) -> None:
    alice = nodes[0]
    transaction_id = made(alice)
    for node in nodes:
        found = node.start(FindTransactionFlow, {"transactionId": transaction_id})
        view = {"testField": "test input", "participants": [ALICE, BOB, CHARLIE]}
        assert found["transaction"]["states"] == [view]
        assert found["errorMessage"] is None


def test_a_transaction_that_nobody_made_is_not_found(nodes: list[Node]) -> None:
    unknown = f"SHA-256D:{'0' * 64}"
    found = nodes[0].start(FindTransactionFlow, {"transactionId": unknown})
    assert found == {
        "transaction": None,
        "errorMessage": f"Failed to find transaction with id {unknown}.",
    }


def test_what_a_member_does_not_want_is_made_nowhere(nodes: list[Node]) -> None:
    with pytest.raises(FlowFailedError, match="Failed verification") as failed:
        made(nodes[0], "fail")
    assert failed.value.type == "finality-refused"


def test_a_state_evolves_once(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    first = made(alice)
    again = {"update": "evolved", "transactionId": first, "index": 0}
    evolved = alice.start(UtxoDemoEvolveFlow, again)
    assert evolved["errorMessage"] is None
    for node in nodes:
        found = node.start(UtxoCustomQueryDemoFlow, {"testField": "evolved"})
        assert found == [f"{evolved['transactionId']}:0"]
        assert node.start(UtxoCustomQueryDemoFlow, {"testField": "test input"}) == []
    peeked = bob.start(PeekTransactionFlow, {"transactionId": evolved["transactionId"]})
    texts = [[view["testField"] for view in peeked[side]] for side in ("inputs", "outputs")]
    assert texts == [["test input"], ["evolved"]]
    spent = bob.start(UtxoDemoEvolveFlow, {**again, "update": "otherwise"})
    assert spent["transactionId"] is None
    assert "Unable to notarize transaction" in spent["errorMessage"]
    assert "Input State Conflict" in spent["errorMessage"]


def test_a_newcomer_resolves_a_chain(nodes: list[Node]) -> None:
    alice, bob, _ = nodes
    made_chain = alice.start(UtxoBackchainResolutionDemoFlow, {"member": BOB, "length": 12})
    last = bob.start(FindTransactionFlow, {"transactionId": made_chain["transactionId"]})
    assert last["transaction"]["states"][0]["testField"] == "link 11"
    first = bob.start(UtxoCustomQueryDemoFlow, {"testField": "link 0"})
    assert first == []  # verified, but nothing that Bob keeps


def test_the_notary_answers_as_corda_names_it(nodes: list[Node]) -> None:
    alice = nodes[0]
    issued = alice.start(NonValidatingNotaryTestFlow, {"outputStateCount": 3})["issuedStateRefs"]
    spending = {"outputStateCount": 1, "inputStateRefs": issued[:1]}
    referring = {"outputStateCount": 1, "referenceStateRefs": issued[:1]}
    assert alice.start(NonValidatingNotaryTestFlow, referring)["consumedReferenceStateRefs"]
    assert alice.start(NonValidatingNotaryTestFlow, spending)["consumedInputStateRefs"]
    late = {"outputStateCount": 1, "timeWindowUpperBoundOffsetMs": -1000}
    for request, code in (
        (spending, "notary-input-state-conflict"),
        (referring, "notary-reference-state-conflict"),
        (late, "notary-time-window-out-of-bounds"),
    ):
        with pytest.raises(FlowFailedError) as failed:
            alice.start(NonValidatingNotaryTestFlow, request)
        assert failed.value.type == code


def test_a_state_of_a_member_that_has_not_signed_is_refused(nodes: list[Node]) -> None:
    with pytest.raises(FlowFailedError, match="Every participant signs"):
        nodes[0].start(
            NonValidatingNotaryTestFlow, {"outputStateCount": 1, "unsignedParticipants": [BOB]}
        )
