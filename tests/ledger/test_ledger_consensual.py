"""The consensual ledger: its rules as values, and finality between nodes with vaults and keys."""

import base64
from dataclasses import replace

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.packages import CodeWorld
from host.ledger.core.components import ledger_of
from host.ledger.core.consensual import (
    check_consensual,
    consensual_groups,
    read_content,
    signatories_of,
)
from host.ledger.core.facts import default_facts
from host.ledger.core.metadata import check_metadata, make_metadata
from host.ledger.core.model import Ledger, State, Transaction
from host.ledger.core.signed import privacy_salt, read_signed, unsigned
from host.ledger.errors import LedgerMismatchError, TransactionInvalidError
from host.ledger.examine import Purpose
from host.ledger.protocols.receive_finality import (
    accept_finality,
    receive_finality,
    refuse_finality,
)
from host.ledger.protocols.steps import fail
from host.ledger.recorded import RecordedTransactions
from host.ledger.vault import verifications
from host.ports.directory import Judged
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL, Changed, Finality, Nodes
from tests.ledger.program_network import run
from tests.services.ledger_support import receipt
from tests.services.support import cpi, cpk, holding, workflow_cpk

FACT = "facts.Fact"
TIME = "2026-01-02T03:04:05.000006Z"
MISMATCH = "Deserialized required signatories do not match with the ones derived from the states!"


class Judge:
    """The `ContractVerifier` port over one rule of the state: its text is not `throw`."""

    def __init__(self):
        self.seen = []

    def verify(self, cpks, transaction, *, node=None):
        self.seen.append(transaction)
        failures = [
            {"contract": FACT, "states": [FACT], "type": "ValueError", "message": "State failed"}
            for state in transaction["states"]
            if state["value"]["text"] == "throw"
        ]
        receipts = [(each.cpk.file_checksum, receipt(each.cpk, transaction)) for each in cpks]
        return Judged(failures=tuple(failures), receipts=tuple(receipts))


def fact_cpi():
    facts = cpk("facts", CodeWorld.CONTRACT, contract_types=(FACT,), state_types=((FACT, FACT),))
    return cpi(cpks=(facts, workflow_cpk()), name="facts")


def state(*participants, text="fact"):
    return State(type=FACT, contract=FACT, value={"text": text}, participants=participants)


def content(*states, **changes):
    made = Transaction(
        metadata=make_metadata(fact_cpi(), "SHA-256:AB", Ledger.CONSENSUAL),
        notary=None,
        time_window=None,
        signatories=signatories_of(states),
        outputs=states,
        commands=(),
        inputs=(),
        references=(),
        timestamp=TIME,
    )
    return replace(made, **changes)


def test_content_is_read_as_it_was_written():
    made = content(state("a", "b"), state("b", "c", text="other"))
    groups = consensual_groups(made)
    assert [len(group) for group in groups] == [1, 1, 3, 2, 2]
    assert read_content(groups) == made
    assert ledger_of(groups) is Ledger.CONSENSUAL
    assert made.signatories == ("a", "b", "c")
    assert default_facts(made, {"a"}) == ()


@pytest.mark.parametrize(
    ("group", "leaves"),
    [
        (0, ()),
        (0, ('{"a": 1}',)),
        (1, ()),
        (1, ("1",)),
        (2, ("1",)),
        (3, ()),
        (3, ('{"participants":["a"]}',)),
        (3, ('{"participants":"a","value":1}',)),
        (3, ('{"more":1,"participants":["a"],"value":1}',)),
        (4, ('"a.B"', '"a.B"')),
    ],
)
def test_what_is_not_written_so_is_refused(group, leaves):
    groups = list(consensual_groups(content(state("a"))))
    groups[group] = leaves
    with pytest.raises(TransactionInvalidError, match="malformed"):
        read_content(tuple(groups))


@pytest.mark.parametrize("count", [0, 4, 6, 9, 11])
def test_other_numbers_of_groups_are_refused(count):
    with pytest.raises(TransactionInvalidError, match="component groups"):
        read_content(((),) * count)


@pytest.mark.parametrize(
    ("made", "rule", "message"),
    [
        (content(), "states-missing", "At least one consensual state is required"),
        (
            content(state("a"), state()),
            "participants-missing",
            "All consensual states must have participants",
        ),
        (content(state("a"), signatories=()), "signatories-mismatch", MISMATCH),
        (content(state("a"), signatories=("a", "b")), "signatories-mismatch", MISMATCH),
        (content(state("a", "b"), signatories=("a",)), "signatories-mismatch", MISMATCH),
        (content(state("a"), timestamp="yesterday"), "timestamp-malformed", "instant"),
    ],
)
def test_a_rule_is_broken(made, rule, message):
    with pytest.raises(TransactionInvalidError, match=f"{rule}: .*{message}"):
        check_consensual(made)


def test_metadata_of_one_ledger_is_not_that_of_the_other():
    made = content(state("a")).metadata
    check_metadata(made, Ledger.CONSENSUAL)
    assert str(made["ledgerModel"]).endswith(".ConsensualLedgerTransactionImpl")
    assert "transactionSubtype" not in made
    utxo = make_metadata(fact_cpi(), "SHA-256:AB")
    for metadata, ledger in ((made, Ledger.UTXO), (utxo, Ledger.CONSENSUAL)):
        with pytest.raises(TransactionInvalidError, match="ledgerModel"):
            check_metadata(metadata, ledger)


@pytest.fixture
def nodes(node_stores):
    """A group with a notary, which no transaction here names."""
    return made_nodes(node_stores)


def made_nodes(node_stores, **changes):
    made = Nodes(*node_stores, contracts=Judge(), **changes)
    made.cpi = fact_cpi()
    return made


def build(nodes, *participants, by=ALICE, text="fact"):
    keys = [nodes.keys[name] for name in participants]
    wanted = {"type": FACT, "value": {"text": text}, "participants": keys}
    return nodes.call(by, "build", {"op": "consensual", "states": [wanted]})


def receiver(request):
    wanted = {"session": "r", "ledger": "consensual"}
    found = yield from receive_finality(wanted)
    answer = {"session": "r", "proposal": found["proposal"]}
    request["seen"].append(found["transaction"])
    if request["refuse"]:
        refusal = {"message": request["refuse"], "invalid": True, "code": "not-wanted"}
        yield from refuse_finality({**answer, **refusal})
        raise CapabilityError("not-wanted", request["refuse"])
    return (yield from accept_finality(answer))


def finality(nodes, signed, *others, flow=receiver, change=None, to_initiator=False, **options):
    """`change` meets the messages that the first of `others`, or the initiator, receives."""
    made = Finality(nodes, signed, others, by=ALICE, flow=flow, **options)
    if change is not None:
        ends = made.initiator.ends
        end = ends[others[0]] if to_initiator else made.receivers[others[0]].ends["r"]
        end.inbox = Changed(change)
    run(*made.parties)
    return made


def found(nodes, name, transaction_id, op="consensual"):
    return nodes.call(name, "find", {"op": op, "id": transaction_id})


@pytest.mark.parametrize("others", [(), (BOB,), (BOB, CAROL)], ids=["alone", "two", "three"])
def test_a_fact_is_final_at_all_parties(nodes, others):
    signed = build(nodes, ALICE, *others)
    made = finality(nodes, signed, *others)
    names = (ALICE, *others)
    assert nodes.statuses(made.id, *names) == ["V"] * len(names)
    keys = {nodes.keys[name] for name in names}
    for name in names:
        kept = nodes.stored(name, made.id)
        assert {each.key for each in kept.signed.signatures} == keys
        assert kept.signed.groups == read_signed(signed).groups
        seen = found(nodes, name, made.id, "consensual-ledger-transaction")
        assert seen["states"][0]["value"] == {"text": "fact"}
        assert set(seen["signatories"]) == keys
        assert found(nodes, name, made.id)["id"] == made.id
        with nodes.vaults.read(holding(name).short_hash) as connection:
            parties = {party for party, _ in verifications.list_of(connection, made.id)}
        assert parties == ({"", *others} if name == ALICE else {""})
        assert nodes.unconsumed(name) == []
    assert (made.result["visible"], made.result["undelivered"]) == ([], [])
    assert nodes.notary.asked == []
    assert made.initiator.later == {}


def test_facts_are_exported_in_pages_beside_other_transactions(nodes):
    """What `cordbox ledger export` reads: identifiers by pages, each transaction when it is sent."""
    ids = [finality(nodes, build(nodes, ALICE, text=f"{n}")).id for n in range(5)]
    node = holding(ALICE).short_hash
    recorded = RecordedTransactions(nodes.vaults)
    found, after = [], None
    while page := recorded.oldest(node, 2, after):
        assert len(page) <= 2
        after = page[-1][0]
        found += [recorded.find(node, each) for _, each in page]
    shown = [each.resolved.to_json() for each in found]
    assert [each["id"] for each in shown] == ids
    assert [each["states"][0]["value"] for each in shown] == [{"text": f"{n}"} for n in range(5)]
    assert {kind for each in found for kind in each.state_types} == {FACT}


def test_a_group_without_a_notary_does_the_same(node_stores):
    nodes = made_nodes(node_stores, notary=False)
    made = finality(nodes, build(nodes, ALICE, BOB), BOB)
    assert nodes.statuses(made.id, ALICE, BOB) == ["V", "V"]


def test_who_signs_nothing_may_receive_it(nodes):
    """Carol is no participant: she stores what the others have signed."""
    made = finality(nodes, build(nodes, ALICE, BOB), BOB, CAROL)
    assert nodes.statuses(made.id, ALICE, BOB, CAROL) == ["V"] * 3
    assert made.receivers[CAROL].result["signatures"]


def test_a_state_that_refuses_its_transaction_is_signed_by_nobody(nodes):
    with pytest.raises(CapabilityError, match="State failed") as refused:
        build(nodes, ALICE, BOB, text="throw")
    assert refused.value.code == "contract-verification-failed"


def test_a_state_that_refuses_at_the_receiver_is_invalid_there(nodes):
    signed = build(nodes, ALICE, BOB)
    made = Finality(nodes, signed, (BOB,), by=ALICE, flow=receiver)
    while made.initiator.step():
        pass
    nodes.contracts.verify = lambda *_, **__: Judged(
        failures=({"contract": FACT, "states": [FACT], "type": "E", "message": "not here"},)
    )
    run(*made.parties)
    assert made.result.code == "finality-refused"
    assert "not here" in str(made.result)
    assert nodes.status(BOB, made.id) == ("I", "contract")
    assert nodes.status(ALICE, made.id) == ("I", "refused")


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("signature-missing", lambda t: {**t, "signatures": []}),
        ("signature-invalid", lambda t: {**t, "signatures": [forged(t["signatures"][0])]}),
    ],
)
def test_a_proposal_without_right_signatures_is_refused_and_not_stored(nodes, rule, change):
    def altered(payload):
        return {**payload, "transaction": change(payload["transaction"])}

    made = finality(nodes, build(nodes, ALICE, BOB), BOB, change=altered)
    assert made.receivers[BOB].result.code == rule
    assert nodes.status(BOB, made.id) is None


@pytest.mark.parametrize("refusing", [BOB, CAROL])
def test_what_a_flow_does_not_want_is_final_nowhere(nodes, refusing):
    signed = build(nodes, ALICE, BOB, CAROL)
    made = finality(nodes, signed, BOB, CAROL, refuse={refusing: "no, thanks"})
    assert made.result.code == "finality-refused"
    assert str(made.result) == (
        f"Transaction validation failed for transaction {made.id} when signature was requested."
        " Message: no, thanks"
    )
    assert nodes.status(ALICE, made.id) == ("I", "refused")
    assert nodes.status(refusing, made.id) == ("I", "refused")
    assert "V" not in nodes.statuses(made.id, ALICE, BOB, CAROL)
    assert found(nodes, ALICE, made.id) is None


def test_a_session_that_is_lost_leaves_it_undecided(nodes):
    def lost(request):
        yield from fail("r", CapabilityError("session-expired", "gone"))

    made = finality(nodes, build(nodes, ALICE, BOB), BOB, flow=lost)
    assert made.result.code == "session-error"
    assert nodes.status(ALICE, made.id) == ("U", None)


@pytest.mark.parametrize("message", ["signatures", "notarised"])
def test_a_participant_that_does_not_sign_keeps_it_from_being_final(nodes, message):
    def without(payload):
        return {**payload, "signatures": []} if payload["kind"] == "signatures" else payload

    signed = build(nodes, ALICE, BOB)
    if message == "signatures":
        made = finality(nodes, signed, BOB, change=without, to_initiator=True)
        assert made.result.code == "signature-missing"
        assert "lacks the signatures" in str(made.result)
    else:  # Carol has to sign, and is not asked
        signed = build(nodes, ALICE, BOB, CAROL)
        made = finality(nodes, signed, BOB)
        assert made.result.code == "signature-missing"
    assert nodes.status(ALICE, made.id) == ("I", "refused")
    assert nodes.statuses(made.id, BOB) == ["U"]


def test_a_forged_answer_keeps_it_from_being_final(nodes):
    def altered(payload):
        if payload["kind"] != "signatures":
            return payload
        return {**payload, "signatures": [forged(payload["signatures"][0])]}

    made = finality(nodes, build(nodes, ALICE, BOB), BOB, change=altered, to_initiator=True)
    assert made.result.code == "signature-invalid"
    assert "V" not in nodes.statuses(made.id, ALICE, BOB)


def test_a_flow_that_waits_for_the_other_ledger_refuses(nodes):
    def utxo(request):
        return (yield from receive_finality({"session": "r"}))

    made = finality(nodes, build(nodes, ALICE, BOB), BOB, flow=utxo)
    refused = made.receivers[BOB].result
    assert (refused.code, nodes.status(BOB, made.id)) == ("protocol-mismatch", None)
    assert "expected a proposal of the UTXO ledger" in str(refused)


def test_a_utxo_transaction_is_no_fact(node_stores, notary):
    nodes = Nodes(*node_stores)
    made = finality(nodes, nodes.build(5), BOB)
    assert made.receivers[BOB].result.code == "protocol-mismatch"
    (ref,) = nodes.final(7)
    for op in ("consensual", "consensual-ledger-transaction"):
        assert found(nodes, ALICE, ref.rpartition(":")[0], op) is None


def test_a_fact_is_no_utxo_transaction(nodes):
    made = finality(nodes, build(nodes, ALICE, BOB), BOB)
    assert nodes.call(ALICE, "find", {"id": made.id}) is None
    assert found(nodes, ALICE, made.id, "ledger-transaction") is None
    assert found(nodes, ALICE, made.id, "dependencies") == []
    assert found(nodes, ALICE, made.id, "draft") is None
    with pytest.raises(CapabilityError) as unknown:
        nodes.call(ALICE, "find", {"stateRefs": [f"{made.id}:0"]})
    assert unknown.value.code == "state-not-found"
    signed = nodes.stored(ALICE, made.id).signed
    for function, request in (
        ("build", {"op": "filter", "transaction": signed.to_json(), "keep": {}}),
        ("record", {"op": "draft", "transaction": signed.to_json()}),
        ("protocol.begin-transfer", {"transaction": signed.to_json(), "parties": []}),
        *(
            (f"protocol.{each}-ledger-transfer", {"payload": shown(signed)})
            for each in ("take", "judge")
        ),
    ):
        with pytest.raises(CapabilityError, match="UTXO ledger"):
            nodes.call(ALICE, function, request)
    nodes.call(ALICE, "verify", {"op": "signatories", "transaction": signed.to_json()})


def shown(signed):
    sent = {"transaction": signed.to_json(), "backchain": True, "dependencies": None}
    return {"cordbox": "transfer", "v": 1, "kind": "ledger-transaction", **sent}


@pytest.mark.parametrize("purpose", [Purpose.CHAIN, Purpose.NOTARISE])
def test_no_chain_and_no_notary_judges_a_fact(nodes, purpose):
    made = finality(nodes, build(nodes, ALICE, BOB), BOB)
    signed = nodes.stored(ALICE, made.id).signed
    with pytest.raises(LedgerMismatchError):
        nodes.ledger._examiner.check(holding(ALICE), nodes.cpi, signed, purpose=purpose)


def test_a_fact_of_an_undeclared_type_is_refused(nodes):
    keys = [nodes.keys[ALICE]]
    wanted = {"type": "iou.Iou", "value": {"text": "fact"}, "participants": keys}
    with pytest.raises(CapabilityError, match="state-type-undeclared"):
        nodes.call(ALICE, "build", {"op": "consensual", "states": [wanted]})


def test_who_takes_no_part_cannot_make_it(nodes):
    with pytest.raises(CapabilityError, match="holds the key of no signatory"):
        build(nodes, BOB, by=ALICE)


@pytest.mark.parametrize("states", [[], [{}], [{"type": FACT, "value": 1, "participants": []}]])
def test_a_builder_without_what_it_needs_is_refused(nodes, states):
    with pytest.raises(CapabilityError) as refused:
        nodes.call(ALICE, "build", {"op": "consensual", "states": states})
    assert refused.value.code in {"transaction-invalid", "request-invalid"}


def test_a_forged_transaction_of_the_other_form_is_refused(nodes):
    """The groups are those of a fact, the metadata say UTXO."""
    made = content(state(nodes.keys[ALICE]))
    metadata = make_metadata(nodes.cpi, nodes.group.current)
    groups = consensual_groups(replace(made, metadata=metadata))
    signed = unsigned(privacy_salt("x"), groups)
    signed = signed.signed_by([nodes.signature(ALICE, signed.id)])
    with pytest.raises(CapabilityError, match="ledgerModel"):
        nodes.call(ALICE, "verify", {"transaction": signed.to_json(), "sign": False})


def forged(signature):
    """The same signature with its last byte changed."""
    data = bytearray(base64.b64decode(signature["signature"]))
    data[-1] ^= 1
    return {**signature, "signature": base64.b64encode(data).decode()}
