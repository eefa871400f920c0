"""Keys of notaries that were given away: who has one can choose all that it signs."""

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core.signed import read_signed
from host.ledger.core.statuses import Status
from host.ledger.vault.transactions import Origin
from host.ports.keys import KeyCategory
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, NOTARY, Nodes
from tests.ledger.test_ledger_backchain import chain, proposal_to_carol
from tests.ledger.test_ledger_transfer import transfer
from tests.services.ledger_support import EC
from tests.services.support import NOW, holding

AFTER, BEFORE = NOW + 1, NOW
"""Cut-offs after and before (not after) the time at which all nodes of these tests record."""


def distrust(nodes, *names, cut_off):
    distrusted = {nodes.public_keys.key_id(nodes.keys[NOTARY]): cut_off}
    nodes.distrusting = dict.fromkeys(names, distrusted)


def change_key(nodes, *, backchain_required=True):
    """The notary's service goes on with a new key; the id of the old one."""
    old, tenant = nodes.keys[NOTARY], holding(NOTARY).short_hash
    key = nodes.store.create(tenant, KeyCategory.LEDGER, "second", EC).public_key
    nodes.keys[NOTARY] = key
    nodes.group.notaries = ()
    nodes.group.add_notary(key, backchain_required=backchain_required)
    return nodes.public_keys.key_id(old)


def refused(nodes, name, function, request):
    with pytest.raises(CapabilityError) as error:
        nodes.call(name, function, request)
    assert error.value.code == "notary-distrusted"
    return error.value.message


@pytest.fixture
def filtered(node_stores, notary):
    """A group whose notary requires no backchains."""
    return Nodes(*node_stores, backchain=False)


def test_nobody_makes_a_transaction_of_a_distrusted_notary(nodes):
    signed = nodes.build(5)
    distrust(nodes, ALICE, cut_off=AFTER)
    with pytest.raises(CapabilityError) as error:
        nodes.build(6)
    assert error.value.code == "notary-distrusted"
    made = nodes.finality(signed, BOB)
    assert made.result.code == "notary-distrusted"
    key = nodes.public_keys.key_id(nodes.keys[NOTARY])
    assert f"whose key {key} is distrusted" in made.result.message
    assert nodes.statuses(made.id, ALICE, BOB) == [None, None]
    assert nodes.notary.asked == []


def test_a_new_proposal_is_refused_and_spoils_nothing(nodes):
    signed = nodes.build(5)
    distrust(nodes, BOB, cut_off=AFTER)
    made = nodes.finality(signed, BOB)
    assert made.receivers[BOB].result.code == "notary-distrusted"
    assert made.result.reason_code == "notary-distrusted"
    assert nodes.status(BOB, made.id) is None
    assert nodes.notary.asked == []
    nodes.distrusting = {}
    assert nodes.finality(signed, BOB).result["id"] == signed["id"]


@pytest.mark.parametrize("cut_off", [AFTER, BEFORE])
def test_a_backchain_with_such_a_signature_is_refused_whatever_time_it_tells(nodes, cut_off):
    """Signatures and group parameters of the chain are from before the cut-off, as a thief's."""
    ids = chain(nodes, 3)
    distrust(nodes, CAROL, cut_off=cut_off)
    signed = nodes.stored(ALICE, ids[-1]).signed.to_json()
    _, others = transfer(nodes, signed, CAROL, backchain=True)
    assert others[CAROL].result.code == "notary-distrusted"
    assert nodes.statuses(ids[0], CAROL) == [None]
    nodes.distrusting = {}
    assert transfer(nodes, signed, CAROL, backchain=True)[1][CAROL].result == {"id": ids[-1]}


def test_a_chain_that_was_stored_and_not_verified_is_undecided(nodes):
    """A resolution was cut before its first verification, then the key was distrusted."""
    ids = chain(nodes, 2)
    for each in ids:
        nodes.keep(
            CAROL, nodes.stored(ALICE, each).signed.to_json(), Status.UNVERIFIED, Origin.BACKCHAIN
        )
    distrust(nodes, CAROL, cut_off=AFTER)
    message = refused(nodes, CAROL, "protocol.verify-chain", {"ids": ids})
    assert ids[0] in message
    assert [nodes.status(CAROL, each) for each in ids] == [("U", None)] * 2


def test_what_was_recorded_before_the_cut_off_is_spent_with_another_key(nodes):
    """The service goes on with a new key: states of the old one are spent where they are known."""
    known = proposal_to_carol(nodes, chain(nodes, 2)[-1]).id
    distrusting = {change_key(nodes): AFTER}
    nodes.distrusting = dict.fromkeys((ALICE, BOB, CAROL), distrusting)
    made = proposal_to_carol(nodes, chain(nodes, 2)[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    signed = nodes.build(3, by=CAROL, inputs=[f"{known}:0"], signatories=(CAROL, ALICE))
    made = nodes.finality(signed, ALICE, by=CAROL)
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]


def test_what_was_recorded_after_the_cut_off_stays_but_is_not_spent(nodes):
    """The theft was noticed late: what came meanwhile may be a thief's."""
    (ref,) = nodes.final(5)
    nodes.distrusting = {BOB: {change_key(nodes): BEFORE}}
    signed = nodes.build(6, inputs=[ref])
    made = nodes.finality(signed, BOB)
    assert made.receivers[BOB].result.code == "notary-distrusted"
    assert f"state {ref}" in made.receivers[BOB].result.message
    assert nodes.statuses(ref.rpartition(":")[0], ALICE, BOB) == ["V", "V"]
    assert nodes.unconsumed(BOB) == [5]


def test_a_key_that_becomes_distrusted_in_the_middle_finishes_nothing(nodes):
    signed = nodes.build(5)
    nodes.call(ALICE, "protocol.begin-finality", {"transaction": signed, "parties": [BOB]})
    whole = [*read_signed(signed).signatures, nodes.signature(BOB, signed["id"])]
    nodes.keep(
        ALICE,
        {**signed, "signatures": [each.to_json() for each in whole]},
        Status.UNVERIFIED,
        Origin.OWN,
    )
    notarised = [nodes.signature(NOTARY, signed["id"]).to_json()]
    request = {"id": signed["id"], "signatures": notarised}
    distrust(nodes, ALICE, cut_off=AFTER)
    refused(nodes, ALICE, "protocol.finish", request)
    assert nodes.status(ALICE, signed["id"]) == ("U", None)
    nodes.distrusting = {}
    nodes.call(ALICE, "protocol.finish", request)
    assert nodes.status(ALICE, signed["id"]) == ("V", None)
    distrust(nodes, ALICE, cut_off=AFTER)
    nodes.call(ALICE, "protocol.finish", request)
    distrust(nodes, ALICE, cut_off=BEFORE)
    refused(nodes, ALICE, "protocol.finish", request)
    assert nodes.status(ALICE, signed["id"]) == ("V", None)


def test_a_flow_records_and_verifies_none(nodes):
    (ref,) = nodes.final(5)
    signed = nodes.stored(ALICE, ref.rpartition(":")[0]).signed.to_json()
    distrust(nodes, CAROL, cut_off=AFTER)
    refused(nodes, CAROL, "record", {"transaction": signed})
    refused(nodes, CAROL, "verify", {"transaction": signed, "sign": False})
    assert nodes.status(CAROL, signed["id"]) is None


def test_states_that_are_shown_without_their_chain(filtered):
    """A proof counts only if it was stored before the cut-off; a refused one is not stored."""
    nodes = filtered
    first, second = nodes.final(5, 6)
    to_carol = nodes.build(7, inputs=[first], signatories=(ALICE, CAROL))
    made = nodes.finality(to_carol, CAROL)
    nodes.distrusting = {CAROL: {change_key(nodes, backchain_required=False): AFTER}}
    again = nodes.build(8, inputs=[second], signatories=(ALICE, CAROL))
    refused_one = nodes.finality(again, CAROL)
    assert refused_one.receivers[CAROL].result.code == "notary-distrusted"
    assert f"state {second}" in refused_one.receivers[CAROL].result.message
    assert nodes.status(CAROL, again["id"]) is None
    signed = nodes.build(9, by=CAROL, inputs=[f"{made.id}:0"], signatories=(CAROL, ALICE))
    assert nodes.finality(signed, ALICE, by=CAROL).result["id"] == signed["id"]


def test_a_proof_that_was_stored_before_counts_when_its_transaction_is_examined(filtered):
    """The key is distrusted between the proposal and its examination."""
    nodes = filtered
    (ref,) = nodes.final(5)
    old = change_key(nodes, backchain_required=False)
    signed = nodes.build(7, inputs=[ref], signatories=(ALICE, CAROL))
    nodes.call(ALICE, "protocol.begin-finality", {"transaction": signed, "parties": [CAROL]})
    made = nodes.call(ALICE, "protocol.make-proposal", {"id": signed["id"], "more": False})
    proposal = {"payload": made["payload"], "counterparty": ALICE}
    nodes.call(CAROL, "protocol.take-proposal", proposal)
    nodes.distrusting = {CAROL: {old: BEFORE}}
    assert f"state {ref}" in refused(nodes, CAROL, "protocol.examine", {"id": signed["id"]})
    nodes.distrusting = {CAROL: {old: AFTER}}
    assert nodes.call(CAROL, "protocol.examine", {"id": signed["id"]})["id"] == signed["id"]


def test_a_transfer_shows_no_states_of_such_a_notary(filtered):
    """What is refused is not stored, so that it does not count later."""
    nodes = filtered
    (ref,) = nodes.final(5)
    old = change_key(nodes, backchain_required=False)
    (spent,) = nodes.final(6, inputs=[ref])
    transaction_id = spent.rpartition(":")[0]
    signed = nodes.stored(ALICE, transaction_id).signed.to_json()
    nodes.distrusting = {CAROL: {old: AFTER}}
    _, others = transfer(nodes, signed, CAROL, backchain=False)
    assert others[CAROL].result.code == "notary-distrusted"
    assert f"state {ref}" in others[CAROL].result.message
    assert nodes.status(CAROL, transaction_id) is None
