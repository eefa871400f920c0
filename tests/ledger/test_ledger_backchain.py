"""Backchains between nodes with real vaults: what a newcomer verifies, and what it refuses."""

from dataclasses import replace

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core.answers import ChainLimits
from host.ledger.core.statuses import Reason, Status
from host.ledger.parts import CHAIN_LIMITS
from host.ledger.protocols.backchain import resolve
from host.ledger.vault.transactions import Origin
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Changed, Finality
from tests.ledger.program_network import run


def chain(nodes, length):
    """A chain of transactions between Alice and Bob, from the first; Carol knows none."""
    found = []
    (ref,) = nodes.final(1)
    found.append(ref)
    for number in range(1, length):
        (ref,) = nodes.final(number + 1, inputs=[ref])
        found.append(ref)
    return [each.rpartition(":")[0] for each in found]


def proposal_to_carol(nodes, spent, *, change=None):
    """Alice proposes to Carol what spends an output; `change` meets each payload that she sends."""
    signed = nodes.build(99, inputs=[f"{spent}:0"], signatories=(ALICE, CAROL))
    made = Finality(nodes, signed, [CAROL], by=ALICE)
    if change is not None:
        end = made.receivers[CAROL].ends["r"]
        end.inbox = Changed(change)
    run(*made.parties)
    return made


def changing(kind, change):
    """Changes the payloads of one kind."""

    def changed(payload):
        return change(payload) if payload["kind"] == kind else payload

    return changed


def test_a_chain_is_resolved_by_a_newcomer(nodes):
    ids = chain(nodes, 25)
    made = proposal_to_carol(nodes, ids[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    assert nodes.statuses(ids[0], CAROL) == ["V"]
    assert [nodes.stored(CAROL, each).origin for each in ids] == [Origin.BACKCHAIN] * 25
    assert nodes.unconsumed(CAROL) == [99]
    questions = [p for _, p in made.receivers[CAROL].sent if p["kind"] == "get"]
    assert [len(each["ids"]) for each in questions] == [1] * 25


def test_a_chain_is_resolved_once(nodes):
    ids = chain(nodes, 3)
    first = proposal_to_carol(nodes, ids[-1])
    signed = nodes.build(7, inputs=[f"{first.id}:0"], signatories=(ALICE, CAROL))
    made = nodes.finality(signed, CAROL)
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    assert [p["kind"] for _, p in made.receivers[CAROL].sent] == ["stop", "signatures"]


def stripped(payload):
    """Without the notary's signatures."""
    for each in payload["transactions"]:
        each["signatures"] = each["signatures"][:1]
    return payload


def forged(payload):
    for each in payload["transactions"]:
        each["signatures"][0]["signature"] = each["signatures"][1]["signature"]
    return payload


def other_content(payload):
    payload["transactions"][0]["componentGroups"][9] = ['{"forged":true}']
    return payload


def without(payload):
    return {**payload, "transactions": []}


def twice(payload):
    return {**payload, "transactions": payload["transactions"] * 2}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (stripped, "backchain-invalid"),
        (forged, "backchain-invalid"),
        (other_content, "transaction-invalid"),
        (without, "backchain-incomplete"),
        (twice, "backchain-unexpected"),
        (lambda _: {"hello": "world"}, "protocol-mismatch"),
        (lambda payload: {**payload, "kind": "parameters"}, "protocol-mismatch"),
    ],
)
def test_a_chain_that_is_not_right_is_refused(nodes, change, code):
    ids = chain(nodes, 3)
    made = proposal_to_carol(nodes, ids[-1], change=changing("transactions", change))
    assert made.receivers[CAROL].result.code == code
    assert nodes.status(CAROL, made.id) == ("U", None)
    assert nodes.statuses(ids[-1], CAROL)[0] in {None, "U"}
    assert nodes.notary.asked.count(made.id) == 0
    assert [each.key for each in nodes.stored(CAROL, made.id).signed.signatures] == [
        nodes.keys[ALICE]
    ]


def test_what_was_wrong_is_mended_by_the_next_attempt(nodes):
    """Wrong signatures of a peer must not spoil what is right: the identifier is the same."""
    ids = chain(nodes, 3)
    proposal_to_carol(nodes, ids[-1], change=changing("transactions", stripped))
    made = proposal_to_carol(nodes, ids[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]


def test_another_transaction_than_asked_for(nodes):
    ids = chain(nodes, 2)
    other = nodes.stored(ALICE, chain(nodes, 1)[0]).signed.to_json()
    swap = changing("transactions", lambda p: {**p, "transactions": [other]})
    made = proposal_to_carol(nodes, ids[-1], change=swap)
    assert made.receivers[CAROL].result.code == "backchain-unexpected"
    assert nodes.status(CAROL, other["id"]) is None


def test_a_chain_with_an_invalid_transaction_is_not_asked_for(nodes):
    ids = chain(nodes, 3)
    signed = nodes.stored(ALICE, ids[0]).signed.to_json()
    nodes.keep(CAROL, signed, Status.INVALID, Origin.BACKCHAIN, reason=Reason.CONTRACT)
    made = proposal_to_carol(nodes, ids[-1])
    assert made.receivers[CAROL].result.code == "backchain-invalid"
    assert nodes.status(CAROL, ids[0]) == ("I", "contract")


def test_a_part_that_is_stored_is_not_sent_again(nodes):
    """An earlier resolution stored the middle of the chain and was cut."""
    ids = chain(nodes, 5)
    for each in ids[2:4]:
        signed = nodes.stored(ALICE, each).signed.to_json()
        nodes.keep(CAROL, signed, Status.UNVERIFIED, Origin.BACKCHAIN)
    made = proposal_to_carol(nodes, ids[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    asked = [i for _, p in made.receivers[CAROL].sent if p["kind"] == "get" for i in p["ids"]]
    assert sorted(asked) == sorted([ids[0], ids[1], ids[4]])


def test_an_unverified_one_without_the_notarys_signature_is_asked_for(nodes):
    """The rest of a finality that this node never heard the end of."""
    ids = chain(nodes, 2)
    signed = nodes.stored(ALICE, ids[0]).signed
    unsigned = replace(signed, signatures=signed.signatures[:1]).to_json()
    nodes.keep(CAROL, unsigned, Status.UNVERIFIED, Origin.FINALITY)
    made = proposal_to_carol(nodes, ids[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    assert nodes.statuses(ids[0], CAROL) == ["V"]


@pytest.mark.parametrize("limits", [{"transactions": 3}, {"bytes": 5_000}])
def test_a_chain_beyond_a_limit(nodes, limits):
    fields = {name: getattr(CHAIN_LIMITS, name) for name in CHAIN_LIMITS.__struct_fields__}
    nodes.chain_limits = ChainLimits(**{**fields, **limits})
    ids = chain(nodes, 6)
    made = proposal_to_carol(nodes, ids[-1])
    assert made.receivers[CAROL].result.code == "backchain-too-large"
    assert nodes.status(CAROL, made.id) == ("U", None)


def test_only_verified_transactions_leave_the_vault(nodes):
    draft = nodes.build(5)
    nodes.keep(ALICE, draft, Status.UNVERIFIED, Origin.OWN)
    answer = nodes.call(ALICE, "protocol.serve-chain", {"ids": [draft["id"]]})
    assert answer["payload"]["transactions"] == []
    (first,) = chain(nodes, 1)
    answer = nodes.call(ALICE, "protocol.serve-chain", {"ids": [first, draft["id"]]})
    assert [each["id"] for each in answer["payload"]["transactions"]] == [first]
    assert answer["summary"]["sent"] == [first]


def test_parameters_of_an_earlier_time_are_asked_for(nodes):
    """Carol's host does not have the parameters that the chain names."""
    ids = chain(nodes, 2)
    old = nodes.group.current
    nodes.group.add_notary(nodes.keys[BOB], "O=Other, L=London, C=GB")
    hidden = nodes.group.versions[old]
    kept = []
    asked = nodes.group.parameters

    def parameters(viewer, hash=None):  # noqa: A002  # as the port
        is_hidden = hash == old and str(viewer.x500_name) == CAROL and not kept
        return asked(viewer, "hidden" if is_hidden else hash)

    nodes.group.parameters = parameters
    nodes.group.keep_parameters = lambda viewer, signed: kept.append(signed.hash)
    made = proposal_to_carol(nodes, ids[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    assert kept == [old]
    assert hidden.hash == old


def test_parameters_that_are_not_those_asked_for(nodes):
    answer = nodes.call(ALICE, "protocol.serve-parameters", {"hash": nodes.group.current})
    request = {"hash": "SHA-256:00", "payload": answer["payload"]}
    with pytest.raises(CapabilityError) as refused:
        nodes.call(CAROL, "protocol.take-parameters", request)
    assert refused.value.code == "group-parameters-invalid"


def test_a_server_gives_nothing_but_its_offer(nodes):
    """Carol asks Alice for a transaction that has nothing to do with the proposal."""
    foreign = chain(nodes, 1)[0]
    ids = chain(nodes, 1)

    def asks(request):
        yield from resolve("r", [foreign])

    signed = nodes.build(99, inputs=[f"{ids[0]}:0"], signatories=(ALICE, CAROL))
    made = Finality(nodes, signed, [CAROL], by=ALICE)
    carol = made.receivers[CAROL]
    carol.running = asks({})
    run(*made.parties)
    assert made.result.code == "backchain-unexpected"
    assert [payload["kind"] for _, payload in made.initiator.sent] == ["proposal"]
    assert nodes.status(CAROL, foreign) is None


def test_long_work_is_divided(nodes):
    """Verification answers how far it came, so that other flows of the partition go on."""
    ids = chain(nodes, 3)
    for each in ids:
        signed = nodes.stored(ALICE, each).signed.to_json()
        nodes.keep(CAROL, signed, Status.UNVERIFIED, Origin.BACKCHAIN)
    clock = iter(range(100))
    nodes.monotonic = lambda: next(clock)
    counts = []
    while ids:
        answer = nodes.call(CAROL, "protocol.verify-chain", {"ids": ids})
        counts.append(answer["count"])
        ids = ids[answer["count"] :]
    assert counts == [1, 1, 1]
