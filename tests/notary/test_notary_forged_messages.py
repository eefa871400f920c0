"""Guests that speak the platform's protocols by themselves: refused, or no more than they may do."""

import copy

import pytest

from host.ledger.core.statuses import Status
from host.ledger.vault import transactions
from host.tools.testkit.network import Network
from tests.notary.conftest import ALICE
from tests.notary.requests import NODE, SERVICE
from tests.notary.test_notary_finality import BOB, coins, coins_code, pay

__all__ = ["coins_code"]
FINALITY = {"cordbox": "finality", "v": 1}
CHAIN = {"cordbox": "chain", "v": 1}
UNKNOWN = "SHA-256D:" + "0" * 64
AGREES = {**FINALITY, "kind": "signatures", "verifications": []}


@pytest.fixture(scope="module")
def network(coins_code):
    with Network(coins_code) as network:
        network.notary(NODE, service=SERVICE)
        network.node(ALICE)
        network.node(BOB)
        yield network


@pytest.fixture
def alice(network):
    return network.nodes[ALICE]


@pytest.fixture
def bob(network):
    return network.nodes[BOB]


def last(node):
    flow = node.flows[-1]
    return flow.status, None if flow.error is None else flow.error.code


@pytest.mark.parametrize(
    "payload",
    [
        {**FINALITY, "kind": "notarised", "signatures": []},
        {**FINALITY, "kind": "failed", "reason": "FATAL", "code": "x", "message": "given up"},
        {**AGREES, "signatures": []},
        {**CHAIN, "kind": "get", "ids": [UNKNOWN]},
        {**CHAIN, "kind": "transactions", "transactions": []},
        {"cordbox": "repair", "v": 1, "kind": "ask", "id": UNKNOWN},
        {"cordbox": "registry", "v": 1, "kind": "proposal"},
        {**FINALITY, "kind": "proposal", "transaction": {}, "more": False, "dependencies": None,
         "backchain": True, "trusted": True},
    ],
    ids=lambda payload: f"{payload['cordbox']}-{payload['kind']}",
)  # fmt: skip
def test_a_flow_that_awaits_a_proposal_takes_no_other_message(alice, bob, payload):
    sent = {"to": BOB, "payloads": [payload]}
    assert alice.start("forging_flows.SendForged", sent) == "session-error"
    assert last(bob) == ("FAILED", "protocol-mismatch")


def stored(network, node, transaction_id):
    with network.parts.vaults.read(node.holding.short_hash) as connection:
        return transactions.find_stored(connection, transaction_id)


def test_a_final_transaction_that_a_guest_proposes_counts_by_its_notarys_signature_alone(
    network, alice, bob
):
    coin = pay(alice).rpartition(":")[0]
    signed = stored(network, alice, coin).signed.to_json()
    (own, notary) = signed["signatures"]
    proposal = {
        **FINALITY, "kind": "proposal", "transaction": {**signed, "signatures": [own]},
        "more": False, "dependencies": None, "backchain": True,
    }  # fmt: skip
    forged = copy.deepcopy(notary)
    forged["signature"] = own["signature"]
    for signatures in ([forged], [own], []):
        done = {**FINALITY, "kind": "notarised", "signatures": signatures}
        sent = {"to": BOB, "payloads": [proposal, done]}
        alice.start("forging_flows.SendForged", sent)
        assert last(bob)[0] == "FAILED"
        assert stored(network, bob, coin).status is Status.UNVERIFIED
    spent = {**proposal, "transaction": {**signed, "id": UNKNOWN}}
    alice.start("forging_flows.SendForged", {"to": BOB, "payloads": [spent]})
    assert last(bob)[0] == "FAILED"
    assert stored(network, bob, UNKNOWN) is None
    assert coins(bob) == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({**AGREES, "signatures": []}, "signature-missing"),
        ({**AGREES, "signatures": [{"copied": True}]}, "signature-invalid"),
        ({**FINALITY, "kind": "notarised", "signatures": []}, "protocol-mismatch"),
        ({**FINALITY, "kind": "failed", "reason": "FATAL", "code": "x", "message": "y"},
         "protocol-mismatch"),
        ({**CHAIN, "kind": "get", "ids": [UNKNOWN]}, "backchain-unexpected"),
        ({**FINALITY, "kind": "refused", "code": "x", "message": "no", "invalid": True},
         "finality-refused"),
        ({"answer": "of a flow"}, "protocol-mismatch"),
        (None, "session-error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_guest_that_answers_a_proposal_by_itself_makes_nothing_final(alice, bob, answer, code):
    before = coins(alice), coins(bob)
    request = {"notary": SERVICE, "to": BOB, "answer": answer}
    assert alice.start("forging_flows.PayForger", request) == code
    if answer is None:
        assert last(bob) == ("FAILED", "payload-mismatch")
    assert (coins(alice), coins(bob)) == before
