"""Transactions that are sent to other nodes, beside finality."""

import pytest

from host.ledger.protocols.transfer import receive_transaction, send_transaction
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Changed, Functions, Nodes
from tests.ledger.program_network import Party, join, run


@pytest.fixture(params=[True, False], ids=["backchain", "filtered"])
def both(request, node_stores, notary):
    return Nodes(*node_stores, backchain=request.param), request.param


def transfer(nodes, signed, *others, backchain, change=None):
    """Alice sends a transaction."""
    request = {"transaction": signed, "sessions": list(others), "backchain": backchain}
    alice = Party(ALICE, send_transaction, request, Functions(nodes, ALICE, "send"))
    receivers = {}
    for name in others:
        functions = Functions(nodes, name, f"take-{name[2:5]}")
        receivers[name] = Party(name, receive_transaction, {"session": "r"}, functions)
        join(alice, name, receivers[name], "r")
        if change is not None:
            receivers[name].ends["r"].inbox = Changed(change)
    run(alice, *receivers.values())
    return alice, receivers


def final(nodes):
    """What Alice and Bob have made final, in two steps."""
    (ref,) = nodes.final(5)
    (ref,) = nodes.final(6, inputs=[ref])
    return nodes.stored(ALICE, ref.rpartition(":")[0]).signed.to_json()


def test_a_final_transaction_is_verified_by_who_receives_it(both):
    nodes, backchain = both
    signed = final(nodes)
    alice, others = transfer(nodes, signed, CAROL, backchain=backchain)
    assert (alice.result, others[CAROL].result) == (None, {"id": signed["id"]})
    assert nodes.status(CAROL, signed["id"]) == ("V", None)
    assert nodes.unconsumed(CAROL) == []


def test_where_the_notary_requires_backchains_they_are_sent_unasked(nodes):
    (ref,) = nodes.final(5)
    (spent,) = nodes.final(6, inputs=[ref])
    signed = nodes.stored(ALICE, spent.rpartition(":")[0]).signed.to_json()
    _, others = transfer(nodes, signed, CAROL, backchain=False)
    assert others[CAROL].result == {"id": signed["id"]}
    assert nodes.status(CAROL, ref.rpartition(":")[0]) == ("V", None)


def test_states_alone_are_refused_where_the_notary_requires_backchains(nodes):
    """A notary that sees no states signs what contracts refuse, too: a proof shows nothing."""
    signed = final(nodes)

    def states_only(payload):
        if payload["kind"] == "transaction":
            payload |= {"backchain": False, "dependencies": []}
        return payload

    alice, others = transfer(nodes, signed, CAROL, backchain=True, change=states_only)
    assert others[CAROL].result.code == "dependencies-mismatch"
    assert "requires backchains" in others[CAROL].result.message
    assert alice.result.reason_code == "dependencies-mismatch"
    assert nodes.status(CAROL, signed["id"]) is None


def test_several_receive_at_once(both):
    nodes, backchain = both
    signed = final(nodes)
    alice, others = transfer(nodes, signed, BOB, CAROL, backchain=backchain)
    assert alice.result is None
    assert [each.result for each in others.values()] == [{"id": signed["id"]}] * 2


def test_what_is_not_final_stays_unverified(both):
    nodes, backchain = both
    signed = nodes.build(5)
    _, others = transfer(nodes, signed, BOB, backchain=backchain)
    assert others[BOB].result == {"id": signed["id"]}
    assert nodes.status(BOB, signed["id"]) == ("U", None)
    assert nodes.stored(BOB, signed["id"]).examined
    assert nodes.finality(signed, BOB).result["id"] == signed["id"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_final_transaction_with_wrong_signatures(both, number):
    nodes, backchain = both
    signed = final(nodes)

    def forged(payload):
        if payload["kind"] == "transaction":
            signatures = payload["transaction"]["signatures"]
            signatures[number]["signature"] = signatures[number - 1]["signature"]
        return payload

    alice, others = transfer(nodes, signed, CAROL, backchain=backchain, change=forged)
    assert others[CAROL].result.code in {"signature-invalid", "notary-signature-invalid"}
    assert alice.result.code == "transfer-refused"
    assert nodes.status(CAROL, signed["id"]) is None


def test_a_sender_gives_only_what_is_right(nodes):
    signed = nodes.build(5)
    signed["signatures"][0]["timestamp"] = None
    alice, others = transfer(nodes, signed, CAROL, backchain=True)
    assert alice.result.code == "request-invalid"
    assert others[CAROL].sent == []


def test_another_message_fails_the_session(nodes):
    signed = final(nodes)
    alice, others = transfer(nodes, signed, CAROL, backchain=True, change=lambda _: {"a": 1})
    assert others[CAROL].result.code == "protocol-mismatch"
    assert alice.result.code == "session-error"
