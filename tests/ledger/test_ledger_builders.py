"""Builders that two parties add to, in turn."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.capability_error import CapabilityError
from host.ledger.core.builder_exchange import additions, merge
from host.ledger.protocols.builders import exchange_builder, receive_builder, send_builder
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, NOTARY, UNTIL, Changed, Functions, Nodes
from tests.ledger.program_network import Party, join, run
from tests.services.ledger_support import CONTRACT, IOU

EMPTY = {
    "notary": None, "timeWindow": None, "inputs": [], "references": [], "outputs": [],
    "commands": [], "signatories": [],
}  # fmt: skip
LISTS = ("inputs", "references", "outputs", "commands", "signatories")
VALUES = st.one_of(st.integers(0, 2), st.booleans(), st.sampled_from(["a", "b", 1.0]))
BUILDERS = st.fixed_dictionaries(
    {
        "notary": st.sampled_from([None, "n", "m"]),
        "timeWindow": st.sampled_from([None, {"until": "1"}, {"until": "2"}]),
        **{name: st.lists(VALUES, max_size=4) for name in LISTS},
    }
)


@given(BUILDERS, BUILDERS)
def test_a_merge_keeps_the_original_first_and_merging_again_changes_nothing(one, other):
    merged = merge(one, other)
    assert merge(merged, other) == merged
    assert merge(one, one) == one
    assert merge(merged, one) == merged
    for name in ("notary", "timeWindow"):
        assert merged[name] == (other[name] if one[name] is None else one[name])
    for name in LISTS:
        size = len(one[name])
        assert merged[name][:size] == one[name]
        texts = [(type(each) is bool, each) for each in merged[name]]
        added, rest = texts[size:], texts[:size]
        assert len(set(added)) == len(added)
        assert not set(added) & set(rest)
        assert set(texts) == {(type(each) is bool, each) for each in one[name] + other[name]}


@given(BUILDERS, BUILDERS)
def test_additions_are_what_a_merge_gives_back(one, other):
    updated = merge(one, other)
    added = additions(one, updated)
    assert merge(one, added) == updated
    assert additions(updated, merge(updated, added)) == EMPTY


def refused(code, received, updated):
    with pytest.raises(CapabilityError) as error:
        additions(received, updated)
    assert error.value.code == code


def test_what_is_no_extension_is_refused():
    full = {"notary": "n", "timeWindow": {"until": "1"}} | {name: [1, 2] for name in LISTS}
    assert additions(full, full) == EMPTY
    for name in ("notary", "timeWindow"):
        refused("builder-not-received", full, full | {name: None})
        refused("builder-not-received", full, full | {name: "other"})
    for name in LISTS:
        for changed in ([], [1], [2, 1], [1, True], [0, 1, 2]):
            refused("builder-not-received", full, full | {name: changed})


def test_an_output_that_a_merge_would_lose_is_refused():
    one = EMPTY | {"outputs": [1], "commands": [1]}
    assert additions(one, one | {"commands": [1, 1]}) == EMPTY
    refused("request-invalid", one, one | {"outputs": [1, 1]})
    refused("request-invalid", one, one | {"outputs": [1, 2, 2]})


@pytest.fixture(params=[True, False], ids=["backchain", "filtered"])
def nodes(request, node_stores, notary):
    return Nodes(*node_stores, backchain=request.param)


def output(nodes, amount, *owners):
    return {
        "type": IOU, "contract": CONTRACT, "value": {"amount": amount},
        "participants": [nodes.keys[name] for name in owners], "encumbrance": None,
    }  # fmt: skip


def builder(nodes, *amounts, **more):
    made = EMPTY | {"notary": NOTARY, "timeWindow": {"from": None, "until": UNTIL}}
    made["outputs"] = [output(nodes, amount, CAROL) for amount in amounts]
    return made | {"commands": [{"type": "iou.Issue", "value": {}}]} | more


def parties(nodes, offered, update, *, by=CAROL, to=ALICE):
    """`by` sends a builder, to which `to` adds by `update`."""

    def responder(request):
        received = yield from receive_builder({"session": "r"})
        back = {"received": received, "builder": update(received), "session": "r"}
        return (yield from send_builder(back))

    request = {"builder": offered, "session": to}
    one = Party(by, exchange_builder, request, Functions(nodes, by, "exchange"))
    other = Party(to, responder, {}, Functions(nodes, to, "respond"))
    join(one, to, other, "r")
    return one, other


def exchange(nodes, offered, update, *, change=None, answers=None):
    """As `parties`, to the end; `change` and `answers` change what either of them receives."""
    one, other = parties(nodes, offered, update)
    if change is not None:
        one.ends[ALICE].inbox = Changed(change)
    if answers is not None:
        other.ends["r"].inbox = Changed(answers)
    run(one, other)
    return one, other


def adding(**more):
    return lambda received: {
        name: value if name not in more else [*value, *more[name]]
        for name, value in received.items()
    }


def held(nodes):
    """A state of Alice and Bob, at the end of a chain that Carol has not seen."""
    (ref,) = nodes.final(5)
    (ref,) = nodes.final(6, inputs=[ref])
    return ref


def test_what_is_added_is_merged_and_nothing_else_is_resolved(nodes):
    offered = builder(nodes, 1)
    more = {"outputs": [output(nodes, 2, ALICE)], "signatories": [nodes.keys[ALICE]]}
    one, other = exchange(nodes, offered, adding(**more))
    assert one.result == adding(**more)(offered)
    assert other.result is None
    assert [function for function, _ in one.calls] == ["check-builder", "take-proposed"]
    proposed = other.sent[0][1]["builder"]
    assert proposed == EMPTY | more


def test_nothing_has_to_be_added(nodes):
    one, other = exchange(nodes, builder(nodes, 1), lambda received: received)
    assert (one.result, other.result) == (builder(nodes, 1), None)


def test_an_added_input_is_resolved_before_the_builder_is_answered(nodes):
    ref = held(nodes)
    one, other = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]))
    assert (one.result, other.result) == (builder(nodes, 1) | {"inputs": [ref]}, None)
    (found,) = nodes.call(CAROL, "find", {"stateRefs": [ref]})
    assert found["state"]["value"] == {"amount": 6}
    signed = nodes.call(
        CAROL, "build", one.result | {"signatories": [nodes.keys[n] for n in (CAROL, ALICE, BOB)]}
    )
    made = nodes.finality(signed, ALICE, BOB, by=CAROL)
    assert made.result["id"] == signed["id"]
    assert nodes.statuses(signed["id"], ALICE, BOB, CAROL) == ["V"] * 3


def test_an_added_reference_is_resolved(nodes):
    ref = held(nodes)
    one, _ = exchange(nodes, builder(nodes, 1), adding(references=[ref]))
    assert one.result["references"] == [ref]
    assert nodes.call(CAROL, "find", {"stateRefs": [ref]})


def test_crashes_at_every_operation_change_nothing(nodes):
    ref = held(nodes)
    both = parties(nodes, builder(nodes, 1), adding(inputs=[ref]))
    going = True
    while going:
        going = False
        for party in both:
            while party.step_one():
                going = True
                if not party.is_over:
                    party.crash()
    one, other = both
    assert (one.result, other.result) == (builder(nodes, 1) | {"inputs": [ref]}, None)
    assert nodes.call(CAROL, "find", {"stateRefs": [ref]})


def test_what_was_resolved_before_is_not_asked_for_again(nodes):
    ref = held(nodes)
    first, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]))
    again, other = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]))
    assert again.result == first.result
    assert other.result is None
    assert "take-chain" not in [function for function, _ in again.calls]


def test_an_input_that_the_other_does_not_have_is_refused_there(nodes):
    held(nodes)
    one, other = exchange(nodes, builder(nodes, 1), adding(inputs=[f"SHA-256D:{'0' * 64}:0"]))
    assert other.result.code == "state-not-found"
    assert one.sent[0][1]["kind"] == "builder"
    assert not one.is_over


def test_a_changed_builder_is_not_sent_back(nodes):
    one, other = exchange(nodes, builder(nodes, 1), lambda received: received | {"outputs": []})
    assert other.result.code == "builder-not-received"
    assert other.sent == []
    assert not one.is_over


def test_keys_and_names_become_canonical(nodes):
    offered = builder(nodes, 1, notary="C=GB,O=Notary, L=London".replace("O=Notary", NOTARY[:8]))
    one, _ = exchange(nodes, offered, adding(signatories=[nodes.keys[ALICE]] * 2))
    assert one.result["notary"] == NOTARY
    assert one.result["signatories"] == [nodes.keys[ALICE]]


def test_who_adds_may_set_the_notary_and_window(nodes):
    ref, whole = held(nodes), builder(nodes, 1)
    unset = {"notary": None, "timeWindow": None}
    missing = {name: whole[name] for name in unset}
    one, other = exchange(
        nodes, whole | unset, lambda received: received | missing | {"inputs": [ref]}
    )
    assert (one.result, other.result) == (whole | {"inputs": [ref]}, None)


def test_without_a_notary_all_is_resolved_if_the_other_has_it(nodes):
    ref, unset = held(nodes), builder(nodes, 1) | {"notary": None}
    one, other = exchange(nodes, unset, adding(inputs=[ref]))
    assert (one.result, other.result) == (unset | {"inputs": [ref]}, None)
    assert nodes.status(CAROL, ref.rpartition(":")[0]) == ("V", None)


def test_a_notary_that_was_set_stays(nodes):
    """A counterparty that is not honest sends another notary and window; neither counts."""

    def changed(payload):
        window = {"from": None, "until": "2099-01-01T00:00:00.000000Z"}
        content = payload["builder"] | {"notary": ALICE, "timeWindow": window}
        return payload | {"builder": content}

    one, _ = exchange(nodes, builder(nodes, 1), lambda received: received, change=changed)
    assert one.result == builder(nodes, 1)


@pytest.mark.parametrize(
    "changed",
    [
        lambda p: {"a": 1},
        lambda p: p | {"kind": "get"},
        lambda p: p | {"more": 1},
        lambda p: p | {"builder": {"outputs": 1}},
        lambda p: p | {"builder": p["builder"] | {"inputs": ["x"]}},
        lambda p: p | {"builder": p["builder"] | {"signatories": ["x"]}},
        lambda p: p | {"builder": p["builder"] | {"notary": "x"}},
        lambda p: p | {"builder": {"x": 1}},
    ],
)
def test_another_message_fails_the_session(nodes, changed):
    one, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[held(nodes)]), change=changed)
    assert one.result.code == "protocol-mismatch"
    assert one.ends[ALICE].error is not None
    offer, _ = exchange(nodes, builder(nodes, 1), lambda received: received, answers=changed)
    assert offer.result.code == "session-error"


def test_a_builder_of_more_than_one_can_have_is_refused(nodes):
    """Either part has at most 1,000 commands, both together more."""

    def commands(first):
        return [{"type": "iou.Issue", "value": {"n": n}} for n in range(first, first + 501)]

    def more(payload):
        return payload | {"builder": payload["builder"] | {"commands": commands(501)}}

    offered = builder(nodes, 1, commands=commands(0))
    one, _ = exchange(nodes, offered, lambda received: received, change=more)
    assert one.result.code == "protocol-mismatch"
    assert "commands" in one.result.message


def test_a_version_that_is_not_known_fails_the_session(nodes):
    one, _ = exchange(nodes, builder(nodes, 1), lambda r: r, change=lambda p: p | {"v": 2})
    assert one.result.code == "protocol-version-unknown"


def test_states_are_not_shown_where_the_notary_requires_backchains(node_stores, notary):
    nodes = Nodes(*node_stores, backchain=True)
    ref = held(nodes)
    one, other = exchange(
        nodes, builder(nodes, 1), adding(inputs=[ref]), change=lambda p: p | {"filtered": []}
    )
    assert one.result.code == "dependencies-mismatch"
    assert other.result.code == "session-error"


def test_shown_states_are_those_that_were_added(node_stores, notary):
    nodes = Nodes(*node_stores, backchain=False)
    ref = held(nodes)

    def without(payload):
        return payload | {"filtered": []}

    one, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]), change=without)
    assert one.result.code == "dependencies-mismatch"

    def unsigned(payload):
        (shown,) = payload["filtered"]
        return payload | {"filtered": [shown | {"signatures": []}]}

    one, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]), change=unsigned)
    assert one.result.code == "dependencies-mismatch"

    def signed_by_nobody(payload):
        (shown,) = payload["filtered"]
        (signature,) = shown["signatures"]
        wrong = signature | {"signature": base64.b64encode(b"wrong").decode()}
        return payload | {"filtered": [shown | {"signatures": [wrong]}]}

    one, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]), change=signed_by_nobody)
    assert one.result.code == "signature-invalid"

    def of_another_amount(payload):
        text = json.dumps(payload["filtered"])
        assert '{\\"amount\\":6}' in text
        return payload | {"filtered": json.loads(text.replace('amount\\":6', 'amount\\":7'))}

    one, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]), change=of_another_amount)
    assert one.result.code == "filtered-invalid"
    with pytest.raises(CapabilityError) as error:
        nodes.call(CAROL, "find", {"stateRefs": [ref]})
    assert error.value.code == "state-not-found"


def test_only_what_was_added_is_served(node_stores, notary):
    """A resolver that asks for another transaction gets nothing."""
    nodes = Nodes(*node_stores, backchain=True)
    ref, (other_ref,) = held(nodes), nodes.final(9)

    def asking(payload):
        if payload["kind"] == "get":
            return payload | {"ids": [other_ref.rpartition(":")[0]]}
        return payload

    one, other = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]), answers=asking)
    assert other.result.code == "backchain-unexpected"
    assert one.result.code == "session-error"


def test_an_invalid_chain_is_not_answered(node_stores, notary):
    nodes = Nodes(*node_stores, backchain=True)
    ref = held(nodes)

    def forged(payload):
        if payload["kind"] == "transactions":
            for each in payload["transactions"]:
                each["signatures"] = each["signatures"][:1]
        return payload

    one, _ = exchange(nodes, builder(nodes, 1), adding(inputs=[ref]), change=forged)
    assert one.result.code == "backchain-invalid"
    assert one.ends[ALICE].error is not None
