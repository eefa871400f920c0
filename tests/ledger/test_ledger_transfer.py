"""Transactions that are sent to other nodes, beside finality."""

import pytest

from host.ledger.protocols.transfer import (
    receive_ledger_transaction,
    receive_transaction,
    send_ledger_transaction,
    send_transaction,
)
from host.ports.directory import Judged
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


def show(nodes, signed, *others, change=None):
    """Alice shows a transaction with its states."""
    request = {"transaction": signed, "sessions": list(others)}
    alice = Party(ALICE, send_ledger_transaction, request, Functions(nodes, ALICE, "show"))
    receivers = {}
    for name in others:
        functions = Functions(nodes, name, f"see-{name[2:5]}")
        receivers[name] = Party(name, receive_ledger_transaction, {"session": "r"}, functions)
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


def test_a_transaction_is_seen_with_its_states_and_not_stored(both):
    nodes, backchain = both
    signed = final(nodes)
    alice, others = show(nodes, signed, BOB, CAROL)
    assert alice.result is None
    seen = others[CAROL].result
    assert seen == nodes.call(ALICE, "find", {"op": "ledger-transaction", "id": signed["id"]})
    assert seen == others[BOB].result
    assert [each["state"]["value"]["amount"] for each in seen["inputs"]] == [5]
    assert nodes.status(CAROL, signed["id"]) is None
    consumed = seen["inputs"][0]["stateRef"].rpartition(":")[0]
    assert nodes.status(CAROL, consumed) == (("V", None) if backchain else None)


def test_what_is_not_final_is_seen_by_the_receivers_own_code(both):
    nodes, _ = both
    signed = nodes.build(6, inputs=nodes.final(5))
    alice, others = show(nodes, signed, CAROL)
    assert alice.result is None
    assert others[CAROL].result["id"] == signed["id"]
    assert nodes.status(CAROL, signed["id"]) is None


def test_a_shown_transaction_is_judged_by_its_contracts(both, monkeypatch):
    nodes, _ = both
    signed = nodes.build(6, inputs=nodes.final(5))
    judge = nodes.contracts.verify

    def verify(cpks, transaction, *, node):
        if transaction["id"] == signed["id"]:
            return Judged(failures=({"message": "six"},), receipts=())
        return judge(cpks, transaction, node=node)

    monkeypatch.setattr(nodes.contracts, "verify", verify)
    alice, others = show(nodes, signed, CAROL)
    assert others[CAROL].result.code == "contract-verification-failed"
    assert alice.result.code == "transfer-refused"
    assert nodes.status(CAROL, signed["id"]) is None


def _other_state(payload):
    for each in payload["dependencies"] or ():
        leaf = each["filtered"]["groups"][-1]["leaves"][0]
        leaf["leaf"] = leaf["leaf"].replace("5", "6")
    return payload


def _unsigned(payload):
    for each in payload["dependencies"] or ():
        each["signatures"] = []
    return payload


def _none_shown(payload):
    return payload | {"backchain": False, "dependencies": []}


def _stored_kind(payload):
    return payload | {"kind": "transaction"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_other_state, "filtered-invalid"),
        (_unsigned, "dependencies-mismatch"),
        (_none_shown, "dependencies-mismatch"),
        (_stored_kind, "protocol-mismatch"),
    ],
)
def test_a_receiver_sees_no_state_that_is_not_proved(node_stores, notary, change, code):
    nodes = Nodes(*node_stores, backchain=False)
    signed = final(nodes)

    def first(payload):
        return change(payload) if payload["kind"] == "ledger-transaction" else payload

    alice, others = show(nodes, signed, CAROL, change=first)
    assert others[CAROL].result.code == code
    assert alice.result.code in {"transfer-refused", "session-error"}


def test_states_alone_are_not_seen_where_the_notary_requires_backchains(nodes):
    signed = final(nodes)

    def first(payload):
        return _none_shown(payload) if payload["kind"] == "ledger-transaction" else payload

    _, others = show(nodes, signed, CAROL, change=first)
    assert others[CAROL].result.code == "dependencies-mismatch"
    assert "requires backchains" in others[CAROL].result.message


def test_a_transaction_that_is_to_be_stored_is_not_shown_instead(nodes):
    signed = final(nodes)
    shown = lambda payload: payload | {"kind": "ledger-transaction"}  # noqa: E731
    _, others = transfer(nodes, signed, CAROL, backchain=True, change=shown)
    assert others[CAROL].result.code == "protocol-mismatch"
    assert nodes.status(CAROL, signed["id"]) is None
