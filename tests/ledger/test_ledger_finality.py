"""Finality between nodes with real vaults, keys and contracts."""

from dataclasses import replace

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core.statuses import Reason, Status
from host.ledger.vault import parties, verifications
from host.ledger.vault.transactions import Origin
from host.ports.directory import Judged
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, NOTARY, Changed, Finality, Nodes
from tests.ledger.program_network import run
from tests.services.support import holding


@pytest.fixture(params=["backchain", "filtered", "no notary"])
def any_nodes(request, node_stores, notary):
    kind = request.param
    return Nodes(*node_stores, backchain=kind == "backchain", notary=kind != "no notary")


def test_a_transaction_is_final_at_all_parties(any_nodes):
    nodes = any_nodes
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    made = nodes.finality(signed, BOB, CAROL)
    names = (ALICE, BOB, CAROL)
    assert nodes.statuses(made.id, *names) == ["V", "V", "V"]
    assert [nodes.unconsumed(name) for name in names] == [[5], [5], [5]]
    kept = [nodes.stored(name, made.id).signed.signatures for name in names]
    keys = {nodes.keys[name] for name in (*names, *([NOTARY] if nodes.notarised else []))}
    assert [{each.key for each in signatures} for signatures in kept] == [keys] * 3
    assert made.result["visible"] == [0]
    assert [each["outputs"][0]["value"] for each in made.seen] == [{"amount": 5}] * 2


def test_a_state_moves_and_is_consumed_everywhere(any_nodes):
    nodes = any_nodes
    (ref,) = nodes.final(5)
    nodes.final(3, 2, inputs=[ref])
    assert nodes.unconsumed(ALICE) == nodes.unconsumed(BOB) == [3, 2]


def test_a_newcomer_gets_what_it_needs(any_nodes):
    """Carol has seen nothing of what she receives a part of."""
    nodes = any_nodes
    (ref,) = nodes.final(5)
    (ref,) = nodes.final(6, inputs=[ref])
    signed = nodes.build(7, inputs=[ref], signatories=(ALICE, BOB, CAROL))
    made = nodes.finality(signed, BOB, CAROL)
    assert nodes.statuses(made.id, ALICE, BOB, CAROL) == ["V"] * 3
    assert nodes.unconsumed(CAROL) == [7]
    is_filtered = nodes.notarised and not nodes.group.notaries[0].backchain_required
    before = ref.rpartition(":")[0]
    assert nodes.statuses(before, CAROL) == [None if is_filtered else "V"]
    (seen, other) = made.seen
    assert seen["inputs"] == other["inputs"]
    assert seen["inputs"][0]["state"]["value"] == {"amount": 6}


def test_what_was_shown_filtered_is_passed_on(node_stores, notary):
    """Carol has no chain, and what she was shown is enough for the next one."""
    nodes = Nodes(*node_stores, backchain=False)
    first, second = nodes.final(5, 6)
    signed = nodes.build(7, inputs=[first], signatories=(ALICE, CAROL))
    made = nodes.finality(signed, CAROL)
    assert nodes.status(CAROL, first.rpartition(":")[0]) is None
    signed = nodes.build(8, by=CAROL, inputs=[f"{made.id}:0"], signatories=(CAROL, BOB))
    made = nodes.finality(signed, BOB, by=CAROL)
    assert nodes.statuses(made.id, CAROL, BOB) == ["V", "V"]
    assert second


def test_a_double_spend_is_refused_by_the_notary(any_nodes):
    nodes = any_nodes
    (ref,) = nodes.final(5)
    one = nodes.build(1, inputs=[ref])
    other = nodes.build(2, inputs=[ref], signatories=(ALICE, CAROL))
    made = nodes.finality(one, BOB)
    assert made.result["id"] == one["id"]
    if not nodes.notarised:
        return
    refused = nodes.finality(other, CAROL)
    assert refused.result.code == "notary-input-state-conflict"
    assert nodes.status(ALICE, other["id"]) == ("I", "notary")
    assert nodes.status(CAROL, other["id"]) == ("U", None)
    assert refused.receivers[CAROL].result.code == "finality-failed"
    assert nodes.unconsumed(ALICE) == [1]
    assert nodes.unconsumed(CAROL) == []


def test_a_receivers_flow_refuses(nodes):
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    made = nodes.finality(signed, BOB, CAROL, refuse={BOB: "no thanks"})
    assert made.result.code == "finality-refused"
    assert made.result.reason_code == "not-wanted"
    assert nodes.status(ALICE, made.id) == ("I", "refused")
    assert nodes.status(BOB, made.id) == ("I", "refused")
    assert nodes.status(CAROL, made.id)[0] == "U"
    assert nodes.notary.asked == []


def test_a_refused_transaction_that_was_notarised_all_the_same_becomes_final(nodes):
    """Who has all signatures can have it notarised: the notary's word wins."""
    signed = nodes.build(5)
    nodes.keep(BOB, signed, Status.INVALID, Origin.FINALITY, reason=Reason.REFUSED)
    made = nodes.finality(signed, BOB)
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]


@pytest.mark.parametrize("reason", [Reason.STRUCTURE, Reason.CONTRACT])
def test_what_broke_a_rule_stays_invalid(nodes, reason):
    signed = nodes.build(5)
    nodes.keep(BOB, signed, Status.INVALID, Origin.FINALITY, reason=reason)
    made = nodes.finality(signed, BOB)
    assert made.result.code == "finality-refused"
    assert made.result.reason_code == "transaction-is-invalid"
    assert nodes.status(BOB, made.id) == ("I", reason.value)
    assert nodes.notary.asked == []


def test_a_contract_refuses_at_the_receiver(nodes):
    """The initiator's host believes everything; the receiver's does not."""
    judge, bob = nodes.contracts.verify, holding(BOB).short_hash

    def verify(cpks, transaction, *, node=None):
        return judge(cpks, transaction) if node == bob else Judged(failures=(), receipts=())

    nodes.contracts.verify = verify
    made = nodes.finality(nodes.build(0), BOB)
    assert made.result.code == "finality-refused"
    assert made.result.reason_code == "contract-verification-failed"
    assert "amount must be positive" in str(made.result)
    assert nodes.status(BOB, made.id) == ("I", "contract")
    assert nodes.status(ALICE, made.id) == ("I", "refused")
    assert [each.key for each in nodes.stored(BOB, made.id).signed.signatures] == [
        nodes.keys[ALICE]
    ]


def test_no_verdict_leaves_it_undecided(nodes):
    nodes.refusals[BOB, "examine"] = CapabilityError("contract-undecided", "no fuel")
    signed = nodes.build(5)
    made = nodes.finality(signed, BOB)
    assert made.result.reason_code == "contract-undecided"
    assert nodes.status(BOB, made.id) == ("U", None)


def test_the_notary_is_not_reached(nodes):
    nodes.notary.refuses = CapabilityError("finality-undecided", "not reached")
    signed = nodes.build(5)
    made = nodes.finality(signed, BOB)
    assert made.result.code == "finality-undecided"
    assert nodes.statuses(made.id, ALICE, BOB) == ["U", "U"]
    # The flow is run again: nothing is in its way.
    nodes.notary.refuses = None
    assert nodes.finality(signed, BOB).result["id"] == made.id
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]


def test_a_transaction_is_finalised_twice_at_once(nodes):
    signed = nodes.build(5)
    one = nodes.finality(signed, BOB)
    other = nodes.finality(signed, BOB)
    assert one.result["id"] == other.result["id"]
    assert nodes.unconsumed(ALICE) == nodes.unconsumed(BOB) == [5]


def test_parties_are_noted_at_both(nodes):
    made = nodes.finality(nodes.build(5), BOB)
    for name, other in ((ALICE, BOB), (BOB, ALICE)):
        with nodes.vaults.read(holding(name).short_hash) as connection:
            assert parties.names(connection, made.id) == [other]


def test_a_signatory_without_a_conversation(nodes):
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    made = nodes.finality(signed, BOB)
    assert made.result.code == "signature-missing"
    assert nodes.public_keys.key_id(nodes.keys[CAROL]) in str(made.result)
    assert nodes.notary.asked == []
    assert nodes.status(ALICE, made.id) == ("I", "refused")


def test_a_receiver_need_not_sign(nodes):
    """An observer: its keys are not among the signatories."""
    signed = nodes.build(5, signatories=(ALICE, BOB))
    made = nodes.finality(signed, BOB, CAROL)
    assert nodes.statuses(made.id, ALICE, BOB, CAROL) == ["V"] * 3
    assert made.receivers[CAROL].result["visible"] == []


def test_parameters_that_are_no_longer_current(nodes):
    signed = nodes.build(5)
    nodes.group.add_notary(nodes.keys[CAROL], "O=Other, L=London, C=GB")
    made = nodes.finality(signed, BOB)
    assert made.result.code == "group-parameters-not-current"
    assert nodes.status(ALICE, made.id) is None
    assert made.initiator.sent == []


def test_a_crash_repeats_nothing(nodes):
    """Each function is called twice, as after a step that was cut: the end is the same."""
    nodes.final(5)
    call = nodes.call

    def twice(name, function, request, flow=None):
        first = call(name, function, request, flow)
        if function.startswith("protocol."):
            assert call(name, function, request, flow) == first, function
        return first

    nodes.call = twice
    (ref,) = nodes.final(7, others=(BOB, CAROL))
    signed = nodes.build(8, inputs=[ref], signatories=(ALICE, BOB, CAROL))
    made = nodes.finality(signed, BOB, CAROL)
    run(*made.parties)
    assert nodes.statuses(made.id, ALICE, BOB, CAROL) == ["V"] * 3
    assert nodes.unconsumed(BOB) == [5, 8]


def test_a_flow_may_accept_what_another_has_refused(nodes):
    signed = nodes.build(5)
    nodes.finality(signed, BOB, refuse={BOB: "not today"})
    made = nodes.finality(signed, BOB)
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]


def test_what_contract_runs_found_is_compared_and_kept(nodes):
    made = nodes.finality(nodes.build(5), BOB)
    with nodes.vaults.read(holding(ALICE).short_hash) as connection:
        found = verifications.list_of(connection, made.id)
    assert [party for party, _ in found] == ["", BOB]
    assert found[0][1] == found[1][1]


def test_a_counterparty_that_ran_other_code_is_found(nodes):
    """Bob's node has other code for the same CPK: it signs, and the initiator does not go on."""
    judge, bob = nodes.contracts.verify, holding(BOB).short_hash

    def verify(cpks, transaction, *, node=None):
        if node == bob:
            cpks = [replace(e, cpk=replace(e.cpk, code_digest="SHA-256:00")) for e in cpks]
        return judge(cpks, transaction)

    nodes.contracts.verify = verify
    made = nodes.finality(nodes.build(5), BOB)
    assert made.result.code == "verification-differs"
    assert BOB in str(made.result)
    assert nodes.notary.asked == []
    assert nodes.status(ALICE, made.id) == ("I", "refused")


def changed(nodes, signed, name, kind, change, *others):
    """A finality in which `change` meets the messages of one kind that `name` receives."""
    made = Finality(nodes, signed, others or (name,), by=ALICE)
    end = made.receivers[name].ends["r"]
    end.inbox = Changed(lambda payload: change(payload) if payload["kind"] == kind else payload)
    run(*made.parties)
    return made


def test_old_parameters_are_refused_by_the_receiver(nodes):
    """The receiver knows newer ones than the initiator."""
    signed = nodes.build(5)
    old, parameters = nodes.group.current, nodes.group.parameters
    nodes.group.add_notary(nodes.keys[CAROL], "O=Other, L=London, C=GB")

    def at(viewer, hash=None):  # noqa: A002  # as the port
        return parameters(viewer, hash or (old if str(viewer.x500_name) == ALICE else None))

    nodes.group.parameters = at
    made = nodes.finality(signed, BOB)
    assert made.result.reason_code == "group-parameters-not-current"
    assert nodes.status(BOB, made.id) == ("I", "refused")
    assert nodes.notary.asked == []


def test_what_is_told_as_notarised_is_checked(nodes):
    """The receiver is told another's signature, a wrong one, or none."""

    def stranger(payload):
        return {**payload, "signatures": [nodes.signature(CAROL, signed["id"]).to_json()]}

    def wrong(payload):
        (signature,) = payload["signatures"]
        other = nodes.signature(NOTARY, "SHA-256D:" + "0" * 64).to_json()
        return {**payload, "signatures": [{**signature, "signature": other["signature"]}]}

    for change, code in (
        (stranger, "notary-signature-invalid"),
        (wrong, "notary-signature-invalid"),
        (lambda payload: {**payload, "signatures": []}, "notary-required"),
    ):
        signed = nodes.build(5)
        made = changed(nodes, signed, BOB, "notarised", change)
        assert made.receivers[BOB].result.code == code
        assert nodes.status(BOB, made.id) == ("U", None)
        assert len(made.receivers[BOB].later) == 1
    (later,) = made.receivers[BOB].later.values()
    assert nodes.repair(BOB, later).result == "V"


def test_signatures_of_others_are_checked_by_the_receiver(nodes):

    def wrong(payload):
        (signature,) = payload["signatures"]
        other = nodes.signature(CAROL, "SHA-256D:" + "0" * 64).to_json()
        return {**payload, "signatures": [{**signature, "signature": other["signature"]}]}

    def missing(payload):
        return {**payload, "signatures": []}

    for change, code in ((wrong, "signature-invalid"), (missing, "signature-missing")):
        signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
        made = changed(nodes, signed, BOB, "more", change, BOB, CAROL)
        assert made.receivers[BOB].result.code == code
        assert nodes.status(BOB, made.id) == ("U", None)
        keys = {each.key for each in nodes.stored(BOB, made.id).signed.signatures}
        assert nodes.keys[CAROL] not in keys


def test_filtered_dependencies_that_are_not_right(node_stores, notary):
    nodes = Nodes(*node_stores, backchain=False)
    (ref,) = nodes.final(5)
    (other,) = nodes.final(6)
    signed = nodes.build(7, inputs=[ref], signatories=(ALICE, CAROL))
    unrelated = nodes.build(8, inputs=[other], signatories=(ALICE, CAROL))
    foreign = nodes.call(
        ALICE, "protocol.begin-finality", {"transaction": unrelated, "parties": []}
    )
    request = {"id": foreign["id"], "more": False}
    (shown,) = nodes.call(ALICE, "protocol.make-proposal", request)["payload"]["dependencies"]

    def edited(change):
        def edit(payload):
            (own,) = payload["dependencies"]
            return {**payload, "dependencies": change(own)}

        return edit

    def bit(own):
        for part in own["filtered"]["groups"]:
            if part["group"] == 8:
                part["leaves"][0]["leaf"] = part["leaves"][0]["leaf"].replace("5", "6", 1)
        return [own]

    forged = [{**shown["signatures"][0]}]
    for change, codes in (
        (lambda own: None, {"dependencies-mismatch"}),
        (lambda own: [], {"dependencies-mismatch"}),
        (lambda own: [own, shown], {"dependencies-mismatch"}),
        (lambda own: [shown], {"dependencies-mismatch"}),
        (lambda own: [{**own, "signatures": []}], {"dependencies-mismatch"}),
        (lambda own: [{**own, "signatures": forged}], {"signature-invalid"}),
        (bit, {"filtered-invalid"}),
    ):
        made = changed(nodes, signed, CAROL, "proposal", edited(change))
        assert made.receivers[CAROL].result.code in codes
        assert nodes.status(CAROL, made.id) is None
    assert nodes.finality(signed, CAROL).result["id"] == signed["id"]


@pytest.mark.parametrize("code", ["signature-missing", "signature-invalid"])
def test_an_own_transaction_without_right_signatures_is_not_offered(nodes, code):
    signed = nodes.build(5)
    foreign = nodes.signature(ALICE, "SHA-256D:" + "0" * 64).to_json()
    wrong = {**signed, "signatures": [foreign] if code == "signature-invalid" else []}
    made = nodes.finality(wrong, BOB)
    assert made.result.code == code
    assert made.initiator.sent == []
    assert nodes.statuses(signed["id"], ALICE, BOB) == [None, None]


def test_a_proposal_that_is_changed_on_its_way(nodes):
    """Another content than the identifier's, or a signature over another transaction."""
    signed = nodes.build(5)

    def content(payload):
        payload["transaction"]["componentGroups"][9] = ['{"forged":true}']
        return payload

    def signature(payload):
        foreign = nodes.signature(ALICE, "SHA-256D:" + "0" * 64).to_json()
        payload["transaction"]["signatures"] = [foreign]
        return payload

    def unsigned(payload):
        payload["transaction"]["signatures"] = []
        return payload

    for change, code in (
        (content, "transaction-invalid"),
        (signature, "signature-invalid"),
        (unsigned, "signature-missing"),
    ):
        made = changed(nodes, signed, BOB, "proposal", change)
        assert made.receivers[BOB].result.code == code
        assert nodes.status(BOB, made.id) is None
    assert nodes.finality(signed, BOB).result["id"] == signed["id"]


def test_a_flow_signs_only_what_its_counterparty_proposed_and_this_node_examined(nodes):
    """A guest names what it likes: another counterparty's proposal, or one that was not examined."""
    signed = nodes.build(5)
    made = Finality(nodes, signed, [BOB], by=ALICE)
    bob = made.receivers[BOB]
    while getattr(bob.pending, "function", None) != "examine":
        made.initiator.step_one()
        bob.step_one()

    def sign(party):
        with pytest.raises(CapabilityError) as refused:
            nodes.call(BOB, "protocol.sign", {"id": signed["id"], "party": party})
        return refused.value.code

    assert sign(ALICE) == "proposal-unknown"
    bob.step_one()
    assert sign(CAROL) == "proposal-unknown"
    refusal = {"id": signed["id"], "party": CAROL, "invalid": True}
    with pytest.raises(CapabilityError):
        nodes.call(BOB, "protocol.refuse", refusal)
    assert nodes.status(BOB, signed["id"]) == ("U", None)
    answer = nodes.call(BOB, "protocol.sign", {"id": signed["id"], "party": ALICE})
    assert [each["key"] for each in answer["signatures"]] == [nodes.keys[BOB]]


def test_messages_that_are_repeated_or_early_are_refused(nodes):
    """The notary's signature before the others', a proposal instead of it, a second answer."""
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    early = {"cordbox": "finality", "v": 1, "kind": "notarised", "signatures": []}
    made = changed(nodes, signed, BOB, "more", lambda _: early, BOB, CAROL)
    assert made.receivers[BOB].result.code == "protocol-mismatch"
    again = nodes.build(6)
    first = []
    made = changed(nodes, again, BOB, "proposal", lambda p: first.append(p) or p)
    assert made.result["id"] == again["id"]
    third = nodes.build(7)
    made = changed(nodes, third, BOB, "notarised", lambda _: first[0])
    assert made.receivers[BOB].result.code == "protocol-mismatch"
    assert nodes.status(BOB, third["id"]) == ("U", None)


def test_a_proposal_that_is_repeated_is_signed_again_and_final_once(nodes):
    """The same proposal by another session: the transaction is the same."""
    signed = nodes.build(5)
    nodes.finality(signed, BOB)
    made = nodes.finality(signed, BOB)
    assert made.receivers[BOB].result["visible"] == [0]
    assert nodes.unconsumed(BOB) == [5]
