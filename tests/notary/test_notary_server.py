"""The notary that does not see states, on the flow engine: what it signs and what it refuses.

Corda's `NonValidatingNotaryServerFlowImplTest`: docs/reference/corda-test-lists.md.
"""

from dataclasses import replace

import pytest

from cordapp_testkit import FlowFailedError, Network
from host.domain.errors import StorageError
from host.ledger.core.components import Group
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_json import filtered_json
from host.ledger.core.model import Notary
from host.ledger.core.signed import check_signature, read_signature
from host.ledger.notary.requests import FOR_NOTARY
from host.ports.keys import KeyCategory
from host.settings.live import StoredSection
from host.settings.section import SchemaVersion
from tests.notary.conftest import ALICE
from tests.notary.requests import HOUR_MS, NODE, SERVICE, Notaries, refs

BOB, ZOE = "O=Bob, L=London, C=GB", "O=Zoe, L=Paris, C=FR"
UNSEEN = "NotPreviouslySeenTransaction"


def accepted(network, answer, signed, key):
    """Whether the answer has the notary's valid signature over the transaction."""
    assert answer["error"] is None
    (signature,) = map(read_signature, answer["signatures"])
    check_signature(signed.id, signature, network.parts.public_keys)
    assert signature.key == key
    return True


def refused(answer, kind, message=""):
    assert answer["signatures"] == []
    assert answer["error"]["kind"] == kind
    assert message in answer["error"]["message"]
    return True


def test_a_transaction_is_signed_by_the_notarys_key(network, notary, notaries):
    signed = notaries.transaction()
    assert accepted(network, notaries.ask(signed), signed, notaries.named().key)
    assert [flow.status for flow in notary.flows] == ["COMPLETED"]


def test_a_state_is_spent_once_and_the_same_question_gets_the_same_answer(network, notaries):
    issue = notaries.transaction(outputs=2)
    first = notaries.transaction(inputs=refs(issue, 0))
    second = notaries.transaction(inputs=refs(issue, 0), outputs=3)
    key = notaries.named().key
    assert accepted(network, notaries.ask(issue), issue, key)
    assert accepted(network, notaries.ask(first), first, key)
    conflict = notaries.ask(second)
    assert refused(conflict, "InputStateConflict", f"{issue.id}:0 by {first.id}")
    network.advance(2 * HOUR_MS)
    assert accepted(network, notaries.ask(first), first, key)
    assert notaries.ask(second) == conflict


def test_a_reference_state_must_be_unspent(network, notaries):
    issue = notaries.transaction(outputs=2)
    notaries.ask(issue)
    reader = notaries.transaction(references=refs(issue, 0))
    assert accepted(network, notaries.ask(reader), reader, notaries.named().key)
    notaries.ask(notaries.transaction(inputs=refs(issue, 0)))
    late = notaries.transaction(references=refs(issue, 0), outputs=5)
    assert refused(notaries.ask(late), "ReferenceStateConflict")


def test_what_the_notary_never_saw_is_unknown(notaries):
    issue = notaries.transaction(outputs=2)
    assert refused(notaries.ask(notaries.transaction(inputs=refs(issue, 0))), "InputStateUnknown")
    assert refused(
        notaries.ask(notaries.transaction(references=refs(issue, 0), outputs=4)),
        "ReferenceStateUnknown",
    )


def test_a_time_window_is_kept(network, notaries):
    closed = notaries.transaction(window=notaries.window(until_ms=HOUR_MS))
    network.advance(HOUR_MS)
    assert refused(notaries.ask(closed), "TimeWindowOutOfBounds", "Time Window Out Of Bounds")
    early = notaries.transaction(window=notaries.window(after_ms=HOUR_MS, until_ms=2 * HOUR_MS))
    reading = notaries.ask(early, check="READ")
    assert refused(reading, "TimeWindowBeforeLowerBound")
    network.advance(HOUR_MS)
    assert accepted(network, notaries.ask(early), early, notaries.named().key)


def test_a_reading_spends_nothing(network, notaries):
    signed = notaries.transaction()
    assert refused(notaries.ask(signed, check="READ"), "NotPreviouslySeenTransaction")
    assert accepted(network, notaries.ask(signed), signed, notaries.named().key)
    assert accepted(network, notaries.ask(signed, check="READ"), signed, notaries.named().key)


@pytest.mark.parametrize("group", [Group.NOTARY, Group.INPUTS, Group.REFERENCES, Group.OUTPUTS])
def test_what_is_hidden_is_refused(notaries, group):
    keep = {shown: part for shown, part in FOR_NOTARY.items() if shown is not group}
    answer = notaries.ask(notaries.transaction(), keep=keep)
    assert refused(answer, "TransactionVerificationFailure", "does not show")


@pytest.mark.parametrize(
    "payload", [None, "request", [], {}, {"check": "WRITE"}, {"check": "SPEND", "filtered": {}}]
)
def test_what_is_no_request_is_refused(notaries, payload):
    assert refused(notaries.send(payload), "TransactionVerificationFailure")


def test_a_changed_proof_is_refused(notaries):
    signed = notaries.transaction(outputs=2)
    other = notaries.transaction(outputs=3)
    forged = {**filtered_json(filter_transaction(signed, FOR_NOTARY)), "id": other.id}
    answer = notaries.send({"check": "WRITE", "filtered": forged})
    assert refused(answer, "TransactionVerificationFailure")


def test_another_notarys_transaction_is_refused(network, notaries):
    network.notary("O=Other, L=London, C=GB", service="O=Other Service, L=London, C=GB")
    signed = notaries.transaction(service="O=Other Service, L=London, C=GB")
    answer = notaries.ask(signed)
    assert refused(answer, "TransactionVerificationFailure", "names notary")


def test_the_right_name_with_another_key_is_not_signed(network, notaries):
    own = network.node(ALICE).key
    signed = notaries.transaction(notary=Notary(name=SERVICE, key=own))
    assert refused(notaries.ask(signed), "General", "no key")


def test_parameters_that_the_notary_does_not_know_decide_nothing(notaries):
    signed = notaries.transaction(parameters=f"SHA-256:{7:064X}")
    assert refused(notaries.ask(signed), "General")


def test_a_storage_that_fails_decides_nothing_and_is_asked_again(network, notaries, monkeypatch):
    signed = notaries.transaction()

    def fail(node, work):
        raise StorageError("database uniqueness.sqlite is missing", path="uniqueness.sqlite")

    with monkeypatch.context() as broken:
        broken.setattr(network.parts.notary_databases, "transact", fail)
        assert refused(notaries.ask(signed), "General", "cannot store its decision")
    assert accepted(network, notaries.ask(signed), signed, notaries.named().key)


def test_a_node_without_the_role_is_no_notary_whatever_its_cordapp_declares(network, notaries):
    bob = network.node(BOB)
    with pytest.raises(FlowFailedError):
        notaries.ask(notaries.transaction(), node=BOB)
    (flow,) = bob.flows
    assert flow.status == "FAILED"
    assert flow.error.code == "capability-not-granted"
    assert "has not the role of a notary" in str(flow.error)
    folder = network.parts.base.directory.virtual_nodes / bob.holding.short_hash
    assert not (folder / "uniqueness.sqlite").exists()


def test_a_cordapp_that_does_not_declare_it_ends(asker_code):
    """The capability is checked by the operation of the call, before anything is done."""
    cpks = tuple(replace(cpk, capabilities=("ledger", "sessions")) for cpk in asker_code.cpks)
    with Network(replace(asker_code, cpks=cpks)) as network:
        network.notary(NODE, service=SERVICE)
        bob = network.node(BOB, notary="O=Bobs Service, L=London, C=GB")
        notaries = Notaries(network, network.node(ALICE))
        with pytest.raises(FlowFailedError):
            notaries.ask(notaries.transaction(), node=BOB)
        (flow,) = bob.flows
        assert flow.error.type == "capability-not-granted"
        assert "capability 'notary' is not granted" in str(flow.error)


def test_a_notary_without_its_key_is_refused(network, notaries, monkeypatch):
    found = network.parts.keys.find_mine

    def none_of_notaries(tenant, keys, categories=None):
        return [] if categories == (KeyCategory.NOTARY,) else found(tenant, keys, categories)

    monkeypatch.setattr(network.parts.keys, "find_mine", none_of_notaries)
    with pytest.raises(FlowFailedError):
        notaries.ask(notaries.transaction())


def test_a_key_that_the_operator_distrusts_signs_nothing_more(network, notaries):
    signed, later = notaries.transaction(), notaries.transaction(outputs=2)
    key = notaries.named().key
    assert accepted(network, notaries.ask(signed), signed, key)
    key_id = network.parts.public_keys.key_id(key)
    distrust(network, f"{key_id}@2036-11-21T05:00:00Z")
    assert refused(notaries.ask(later), "General", f"whose key {key_id} is distrusted")
    distrust(network)
    assert accepted(network, notaries.ask(later), later, key)


def distrust(network, *entries):
    """Have another version of the setting in force."""
    config, section = network.parts.config, "cordbox.ledger"
    config.take(
        [
            StoredSection(
                name=section,
                version=config.versions()[section] + 1,
                schema_version=SchemaVersion(),
                config={"distrusted_notary_keys": list(entries)},
                changed_at=0,
                changed_by="alice",
            )
        ]
    )


def test_notaries_share_no_states(network, notaries):
    other = "O=Other Service, L=London, C=GB"
    network.notary("O=Other, L=London, C=GB", service=other)
    issue = notaries.transaction()
    notaries.ask(issue)
    spend = notaries.transaction(service=other, inputs=refs(issue, 0))
    answer = notaries.ask(spend, node="O=Other, L=London, C=GB")
    assert refused(answer, "InputStateUnknown")


def test_the_decision_is_audited_as_a_privileged_call(network, notary, notaries):
    notaries.ask(notaries.transaction())
    folder = network.parts.base.directory.virtual_nodes / notary.holding.short_hash
    assert '"operation":"serve-notarisation"' in (folder / "audit.log").read_text()
    assert NODE in str(notary.name)


def test_a_flow_of_ones_own_says_who_may_ask(network):
    """As in `docs/how-to/run-a-notary.md`: the host serves nothing that the flow does not ask for."""
    guarded, service = "O=Guarded, L=London, C=GB", "O=Guarded Service, L=London, C=GB"
    network.node(guarded, notary=service)
    asking = [Notaries(network, network.node(name)) for name in (ALICE, ZOE)]
    alice, zoe = asking
    signed = alice.transaction(service=service)
    with pytest.raises(FlowFailedError) as failed:
        zoe.ask(signed, node=guarded)
    assert failed.value.type == "session-error"
    assert alice.ask(signed, node=guarded, check="READ")["error"]["kind"] == UNSEEN
    key = alice.named(service).key
    assert accepted(network, alice.ask(signed, node=guarded), signed, key)
