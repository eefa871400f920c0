"""Backchains between nodes with real vaults: what a newcomer verifies, and what it refuses."""

from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select

from host.domain.capability_error import CapabilityError
from host.ledger.core.answers import ChainLimits
from host.ledger.core.signed import read_signed
from host.ledger.core.statuses import Reason, Status
from host.ledger.parts import CHAIN_LIMITS, LedgerParts
from host.ledger.protocols.backchain import resolve
from host.ledger.vault import old_chains, parties, transactions
from host.ledger.vault.tables import CONSUMPTION, SIGNATURE
from host.ledger.vault.transactions import Origin
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Changed, Finality
from tests.ledger.program_network import run
from tests.services.support import NOW, holding


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
    assert [(each["ids"], each["ahead"]) for each in questions] == [
        ([ids[last]], 9) for last in (24, 14, 4)
    ]


def test_a_chain_is_verified_in_few_writes(nodes, monkeypatch):
    ids = chain(nodes, 12)
    for each in ids:
        signed = nodes.stored(ALICE, each).signed.to_json()
        nodes.keep(CAROL, signed, Status.UNVERIFIED, Origin.BACKCHAIN)
    writes = []
    write = LedgerParts.write
    monkeypatch.setattr(
        LedgerParts, "write", lambda parts, *rest: writes.append(1) or write(parts, *rest)
    )

    assert nodes.call(CAROL, "protocol.verify-chain", {"ids": ids}) == {"count": 12}

    assert nodes.statuses(ids[-1], CAROL) == ["V"]
    assert len(writes) == 1


@pytest.mark.parametrize("wrong", [1, 3])
def test_what_is_verified_before_one_that_is_refused_stays_verified(nodes, wrong):
    ids = chain(nodes, 5)
    for number, each in enumerate(ids):
        signed = nodes.stored(ALICE, each).signed
        if number == wrong:
            signed = replace(signed, signatures=signed.signatures[:1])
        nodes.keep(CAROL, signed.to_json(), Status.UNVERIFIED, Origin.BACKCHAIN)

    with pytest.raises(CapabilityError) as refused:
        nodes.call(CAROL, "protocol.verify-chain", {"ids": ids})

    assert refused.value.code == "backchain-invalid"
    statuses = [nodes.statuses(each, CAROL)[0] for each in ids]
    assert statuses == ["V"] * wrong + ["U"] * (5 - wrong)


def test_one_that_consumes_what_a_verified_one_does_spoils_none_before_it(nodes):
    """A notary has signed both: the vault holds the first, whatever the chain says."""
    ids = chain(nodes, 3)
    signed = {each: nodes.stored(ALICE, each).signed.to_json() for each in ids}
    for each in ids:
        nodes.keep(CAROL, signed[each], Status.UNVERIFIED, Origin.BACKCHAIN)
    with nodes.vaults.read(holding(CAROL).short_hash) as connection:
        other = transactions.seq_of(connection, ids[0])
    consumed = {"transaction_id": ids[1], "output_index": 0, "by_seq": other}
    nodes.vaults.transact(
        holding(CAROL).short_hash, lambda c: c.execute(insert(CONSUMPTION), consumed)
    )

    with pytest.raises(CapabilityError) as refused:
        nodes.call(CAROL, "protocol.verify-chain", {"ids": ids})

    assert refused.value.code == "state-consumed"
    assert [nodes.statuses(each, CAROL)[0] for each in ids] == ["V", "V", "U"]


def ahead_of(nodes, ids, ahead):
    """What Carol's take of a chain's end answers, if the rest of the chain comes with it."""
    found = [nodes.stored(ALICE, each).signed.to_json() for each in reversed(ids)]
    payload = {"cordbox": "chain", "v": 1, "kind": "transactions", "transactions": found}
    request = {"ids": [ids[-1]], "ahead": ahead, "payload": payload}
    return nodes.call(CAROL, "protocol.take-chain", request)


def test_no_more_is_taken_ahead_than_was_asked_for(nodes):
    ids = chain(nodes, 3)
    with pytest.raises(CapabilityError) as refused:
        ahead_of(nodes, ids, 1)
    assert refused.value.code == "backchain-unexpected"
    assert [nodes.status(CAROL, each) for each in ids] == [None] * 3

    assert ahead_of(nodes, ids, 2)["taken"].keys() == set(ids)


def test_only_dependencies_are_taken_ahead(nodes):
    ids = chain(nodes, 3)
    with pytest.raises(CapabilityError) as refused:
        ahead_of(nodes, [ids[0], ids[2]], 9)
    assert refused.value.code == "backchain-unexpected"
    assert nodes.status(CAROL, ids[2]) is None


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


def test_a_part_that_is_stored_is_not_asked_for_again(nodes):
    """An earlier resolution stored the middle of the chain and was cut."""
    ids = chain(nodes, 5)
    for each in ids[2:4]:
        signed = nodes.stored(ALICE, each).signed.to_json()
        nodes.keep(CAROL, signed, Status.UNVERIFIED, Origin.BACKCHAIN)
    made = proposal_to_carol(nodes, ids[-1])
    assert nodes.statuses(made.id, ALICE, CAROL) == ["V", "V"]
    asked = [i for _, p in made.receivers[CAROL].sent if p["kind"] == "get" for i in p["ids"]]
    assert asked == [ids[4]]


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
    answer = nodes.call(ALICE, "protocol.serve-chain", {"ids": [draft["id"]], "ahead": 0})
    assert answer["payload"]["transactions"] == []
    (first,) = chain(nodes, 1)
    answer = nodes.call(ALICE, "protocol.serve-chain", {"ids": [first, draft["id"]], "ahead": 0})
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


DAY = 24 * 3_600_000


def old(nodes, signed, *, hours, status=Status.UNVERIFIED, origin=Origin.BACKCHAIN):
    """Carol has a transaction since some hours."""
    nodes.vaults.transact(
        holding(CAROL).short_hash,
        lambda c: transactions.keep(
            c, read_signed(signed), status=status, origin=origin, now=NOW - hours * 3_600_000
        ),
    )
    return signed["id"]


def final_elsewhere(nodes, amount):
    (ref,) = nodes.final(amount)
    return nodes.stored(ALICE, ref.rpartition(":")[0]).signed.to_json()


def test_parts_of_chains_that_nobody_verified_go_after_a_day(nodes):
    """Drafts, proposals, invalid ones and what a resolution has asked for today stay."""
    gone = old(nodes, nodes.build(1), hours=25)
    stay = [
        old(nodes, nodes.build(2), hours=23),
        old(nodes, nodes.build(3), hours=99, origin=Origin.FINALITY),
        old(nodes, nodes.build(4), hours=99, origin=Origin.TRANSFER),
        old(nodes, nodes.build(5), hours=99, status=Status.DRAFT),
    ]
    of_party = old(nodes, nodes.build(6), hours=99)
    asked_for = old(nodes, final_elsewhere(nodes, 7), hours=99)

    def work(connection):
        parties.keep(connection, of_party, [ALICE])

    nodes.vaults.transact(holding(CAROL).short_hash, work)
    plan = nodes.call(CAROL, "protocol.plan", {"ids": [asked_for]})
    assert list(plan["unverified"]) == [asked_for]
    (ref,) = nodes.final(8)
    chained = nodes.build(9, inputs=[ref], signatories=(ALICE, CAROL))
    assert nodes.finality(chained, CAROL).result["id"] == chained["id"]
    assert nodes.status(CAROL, gone) is None
    assert all(nodes.status(CAROL, each) for each in (*stay, of_party, asked_for))


def test_old_parts_go_some_at_a_time_with_their_signatures(nodes, monkeypatch):
    monkeypatch.setattr(old_chains, "FORGOTTEN_MAX", 2)
    ids = [old(nodes, nodes.build(number), hours=30 - number) for number in range(1, 4)]

    def forget():
        node = holding(CAROL).short_hash
        return nodes.vaults.transact(node, lambda c: old_chains.forget_old(c, now=NOW))

    assert [forget(), forget(), forget()] == [2, 1, 0]
    assert nodes.statuses(ids[0], CAROL) == [None]
    with nodes.vaults.read(holding(CAROL).short_hash) as connection:
        assert connection.execute(select(func.count()).select_from(SIGNATURE)).scalar() == 0
