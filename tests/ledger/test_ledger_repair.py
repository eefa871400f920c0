"""What becomes of a transaction whose finality was cut: the notary decides, and all agree."""

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_text
from host.ledger.parts import REPAIR_TIMES, RepairTimes
from host.ledger.protocols import repair as programs
from host.ledger.protocols.receive_finality import receive_finality
from host.ledger.protocols.repair import LATER_MS
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, NOTARY, Finality, Nodes
from tests.ledger.program_network import run
from tests.services.support import NOW

LOST = CapabilityError("session-error", "the other host is gone")
HOUR = 3_600_000


def cut(nodes, signed, *others, after):
    """A finality whose initiator is lost when it has performed the call `after`."""
    made = Finality(nodes, signed, others, by=ALICE)
    while getattr(made.initiator.pending, "function", None) != after:
        for party in made.receivers.values():
            party.step()
        assert made.initiator.step_one()
    made.initiator.step_one()
    for party in made.receivers.values():
        party.ends["r"].error = LOST
    run(*made.receivers.values())
    return made


def test_a_finality_that_goes_well_leaves_no_repair(nodes):
    made = nodes.finality(nodes.build(5), BOB)
    assert made.initiator.later == made.receivers[BOB].later == {}
    assert [type(each).__name__ for each in made.initiator.operations].count("Remember") == 1


def test_without_a_notary_there_is_nobody_to_ask(node_stores, notary):
    nodes = Nodes(*node_stores, notary=False)
    made = nodes.finality(nodes.build(5), BOB)
    kinds = {type(each).__name__ for party in made.parties for each in party.operations}
    assert "Remember" not in kinds


def test_the_notary_was_not_reached(nodes):
    """Both parties ask later; it has not seen it, and then it has."""
    nodes.notary.refuses = CapabilityError("finality-undecided", "not reached")
    made = nodes.finality(nodes.build(5), BOB)
    (at_alice,) = made.initiator.later.values()
    (at_bob,) = made.receivers[BOB].later.values()
    assert (at_alice.after_ms, at_bob.after_ms) == (REPAIR_TIMES.first_ms, programs.AT_ONCE_MS)
    nodes.notary.refuses = None
    party = nodes.repair(BOB, at_bob)
    (again,) = party.later.values()
    assert (again.after_ms, again.request["attempt"]) == (LATER_MS[0], 1)
    assert nodes.statuses(made.id, ALICE, BOB) == ["U", "U"]
    nodes.notary.accepted.add(made.id)
    for name, later in ((ALICE, at_alice), (BOB, again)):
        party = nodes.repair(name, later)
        assert (party.result, party.later) == ("V", {})
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]
    assert nodes.unconsumed(BOB) == [5]


def test_an_initiator_that_dies_after_the_notarys_commit(nodes):
    made = cut(nodes, nodes.build(5), BOB, after="notarise")
    assert made.id in nodes.notary.accepted
    assert nodes.status(BOB, made.id)[0] == "U"
    assert made.receivers[BOB].result.code == "session-error"
    (later,) = made.receivers[BOB].later.values()
    assert nodes.repair(BOB, later).result == "V"
    (later,) = made.initiator.later.values()
    assert nodes.repair(ALICE, later).result == "V"
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]


def test_a_receiver_that_lacks_the_others_signatures_asks_for_them(nodes):
    """Carol signed and never got Bob's signature; the initiator has it."""
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    made = cut(nodes, signed, BOB, CAROL, after="add-signatures")
    nodes.notary.accepted.add(made.id)
    assert nodes.statuses(made.id, ALICE, BOB, CAROL) == ["U", "U", "U"]
    (later,) = made.receivers[CAROL].later.values()
    assert nodes.repair(CAROL, later).result == "V"


def test_a_window_that_ends_makes_it_invalid(nodes):
    nodes.notary.refuses = CapabilityError("finality-undecided", "not reached")
    made = nodes.finality(nodes.build(5), BOB)
    nodes.notary.refuses, nodes.notary.has_window_ended = None, True
    for name, party in ((ALICE, made.initiator), (BOB, made.receivers[BOB])):
        (later,) = party.later.values()
        repaired = nodes.repair(name, later)
        assert (repaired.result, repaired.later) == ("I", {})
        assert nodes.status(name, made.id) == ("I", "notary")


def test_a_refusal_is_repaired_when_the_window_has_ended(nodes):
    made = nodes.finality(nodes.build(5), BOB, refuse={BOB: "no"})
    (later,) = made.initiator.later.values()
    assert later.after_ms == HOUR + REPAIR_TIMES.first_ms
    assert nodes.status(ALICE, made.id) == ("I", "refused")
    nodes.notary.accepted.add(made.id)
    # Bob has not signed, so that it cannot be final, whatever the notary has accepted.
    assert nodes.repair(ALICE, later).result == "I"


def test_pauses_grow_and_end(nodes):
    nodes.notary.refuses = CapabilityError("finality-undecided", "not reached")
    made = nodes.finality(nodes.build(5), BOB)
    (later,) = made.initiator.later.values()
    pauses = []
    for _ in range(4):
        (later,) = nodes.repair(ALICE, later).later.values()
        pauses.append(later.after_ms)
    assert pauses == [*LATER_MS, LATER_MS[-1]]
    end = NOW + HOUR + REPAIR_TIMES.until_ms + HOUR
    party = nodes.repair(ALICE, later, now=instant_text(end))
    assert party.later == {}
    assert "repair-given-up" in [name for name, _ in party.calls]
    assert nodes.status(ALICE, made.id) == ("U", None)


def only_receives(_):
    """A flow that ends between `receive` and `accept`."""
    found = yield from receive_finality({"session": "r"})
    raise CapabilityError("own", found["proposal"]["id"])


def test_a_receiver_whose_flow_ends_before_it_agrees_learns_that_it_is_final(nodes):
    """Bob need not sign: Alice may go on without him, and his node asks the notary."""
    signed = nodes.build(5, signatories=(ALICE,))
    made = Finality(nodes, signed, [BOB], by=ALICE, flow=only_receives)
    bob = made.receivers[BOB]
    while not bob.is_over:
        made.initiator.step_one()
        bob.step_one()
    assert (bob.result.code, nodes.status(BOB, made.id)) == ("own", ("U", None))
    (later,) = bob.later.values()
    assert later.after_ms == REPAIR_TIMES.first_ms
    (later,) = nodes.repair(BOB, later).later.values()
    assert later.after_ms == LATER_MS[0]
    assert nodes.finality(signed).result["id"] == made.id
    party = nodes.repair(BOB, later)
    assert (party.result, party.later) == ("V", {})


def test_a_receiver_that_never_agreed_learns_that_it_cannot_be_final(nodes):
    made = Finality(nodes, nodes.build(5), [BOB], by=ALICE, flow=only_receives)
    bob = made.receivers[BOB]
    while not bob.is_over:
        made.initiator.step_one()
        bob.step_one()
    nodes.notary.has_window_ended = True
    (later,) = bob.later.values()
    assert nodes.repair(BOB, later).result == "I"
    assert nodes.status(BOB, made.id) == ("I", "notary")


def test_what_a_flow_does_not_want_is_not_repaired(nodes):
    made = nodes.finality(nodes.build(5), BOB, refuse={BOB: "no"})
    assert made.receivers[BOB].later == {}


def test_times_are_those_of_the_settings(nodes):
    nodes.repair_times = RepairTimes(first_ms=77_000, until_ms=2 * HOUR)
    nodes.notary.refuses = CapabilityError("finality-undecided", "not reached")
    made = nodes.finality(nodes.build(5), BOB)
    (later,) = made.initiator.later.values()
    assert later.after_ms == 77_000
    remembered = [each for each in made.receivers[BOB].operations if hasattr(each, "after_ms")]
    assert [each.after_ms for each in remembered] == [77_000, 77_000, programs.AT_ONCE_MS]
    end = instant_text(NOW + HOUR + 2 * HOUR)
    assert len(nodes.repair(ALICE, later, now=end).later) == 1
    assert nodes.repair(ALICE, later, now=instant_text(NOW + 3 * HOUR + 1)).later == {}


def test_signatures_are_given_to_parties_only(nodes):
    made = nodes.finality(nodes.build(5), BOB)
    request = {"id": made.id, "party": CAROL}
    answer = nodes.call(ALICE, "protocol.answer-repair", request)
    assert answer["payload"]["signatures"] is None
    answer = nodes.call(ALICE, "protocol.answer-repair", {"id": made.id, "party": BOB})
    keys = {each["key"] for each in answer["payload"]["signatures"]}
    assert keys == {nodes.keys[ALICE], nodes.keys[BOB]}


def test_a_wrong_signature_of_a_peer_is_not_stored(nodes):
    signed = nodes.build(5, signatories=(ALICE, BOB, CAROL))
    made = cut(nodes, signed, BOB, CAROL, after="begin-finality")
    forged = nodes.signature(BOB, "SHA-256D:" + "0" * 64).to_json()
    with pytest.raises(CapabilityError) as refused:
        nodes.call(ALICE, "protocol.take-repair", {"id": made.id, "signatures": [forged]})
    assert refused.value.code == "signature-invalid"
    stranger = nodes.signature(NOTARY, made.id).to_json()
    nodes.call(ALICE, "protocol.take-repair", {"id": made.id, "signatures": [stranger]})
    assert [e.key for e in nodes.stored(ALICE, made.id).signed.signatures] == [nodes.keys[ALICE]]
