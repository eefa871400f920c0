"""The protocol of finality, both sides against each other and against peers that do otherwise."""

from typing import Any

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core.messages import SIGNATURES_MAX
from host.ledger.protocols import finality
from host.ledger.protocols.finality import SESSIONS_MAX, finalize
from host.ledger.protocols.receive_finality import accept_finality, receive_finality
from host.ports.programs import Call
from tests.ledger.finality_parties import ID, NOTARY, Deal, Functions, signature
from tests.ledger.program_network import Party, run
from tests.ledger.transactions import identifier

FATAL = "notary-input-state-conflict"


@pytest.fixture(autouse=True)
def notary(monkeypatch):
    """The notary's answer is a function of the initiator."""

    def notarise(transaction: str, check: str) -> Any:
        return (yield Call("notarise", {"id": transaction, "check": check}))

    monkeypatch.setattr(finality, "notarise", notarise)


def kinds(party: Party, session: str) -> list[str]:
    return [payload["kind"] for to, payload in party.sent if to == session]


@pytest.mark.parametrize("names", [(), ("bob",), ("bob", "carol"), ("bob", "carol", "dave")])
def test_a_transaction_becomes_final_everywhere(names):
    deal = Deal(*names)
    result = deal.run()
    assert set(deal.statuses()) == {"V"}
    assert [each["key"] for each in result["signatures"]] == [*names, "notary"]
    assert (result["id"], result["visible"], result["undelivered"]) == (ID, [0], [])
    for name, other in deal.others.items():
        assert other.result["signatures"][0]["key"] == name
        assert other.result["signatures"][-1] == NOTARY


def test_signatures_of_others_are_sent_only_to_several():
    deal = Deal("bob")
    deal.run()
    assert kinds(deal.alice, "bob") == ["proposal", "notarised"]
    deal = Deal("bob", "carol")
    deal.run()
    assert kinds(deal.alice, "bob") == ["proposal", "more", "notarised"]
    (more,) = [p for to, p in deal.alice.sent if to == "bob" and p["kind"] == "more"]
    assert [each["key"] for each in more["signatures"]] == ["carol"]


def test_without_a_notary_nothing_is_notarised():
    deal = Deal("bob", notary=False)
    deal.run()
    assert deal.statuses() == ["V", "V"]
    assert "notarise" not in [name for name, _ in deal.alice.calls]


def test_each_counterparty_is_served_its_backchain():
    deal = Deal("bob", "carol")
    chain = [identifier(n) for n in (1, 2)]
    for each in (deal.alice_knows, *deal.knows.values()):
        each.backchain = chain
    deal.knows["bob"].verified = [chain[0]]
    deal.run()
    assert set(deal.statuses()) == {"V"}
    assert kinds(deal.others["bob"], "r") == ["get", "stop", "signatures"]
    asked = [p["ids"] for _, p in deal.others["carol"].sent if p["kind"] == "get"]
    assert asked == [chain]


def test_no_dependencies_no_backchain():
    deal = Deal("bob")
    deal.run()
    assert kinds(deal.others["bob"], "r") == ["signatures"]


def test_a_refusal_by_the_counterpartys_code_tells_all():
    deal = Deal("bob", "carol", refuse={"bob": "too much"})
    result = deal.run()
    assert (result.code, result.reason_code) == ("finality-refused", "finality-refused")
    assert str(result) == (
        f"Transaction validation failed for transaction {ID} when signature was requested."
        " Message: too much"
    )
    assert deal.alice_knows.reason == "refused"
    assert deal.statuses() == ["I", "I", "U"]
    assert deal.others["carol"].result.code == "finality-failed"
    assert "REFUSED" in str(deal.others["carol"].result)
    assert "failed" not in kinds(deal.alice, "bob")


@pytest.mark.parametrize(
    ("code", "invalid"),
    [
        ("contract-verification-failed", True),
        ("transaction-invalid", True),
        ("contract-undecided", False),
        ("cpk-unknown", False),
        ("backchain-incomplete", False),
    ],
)
def test_a_refusal_by_the_counterpartys_ledger(code, invalid):
    deal = Deal("bob")
    deal.knows["bob"].refuses["examine"] = CapabilityError(code, "no")
    result = deal.run()
    assert (result.code, result.reason_code) == ("finality-refused", code)
    assert deal.others["bob"].result.code == code
    (told,) = [p for _, p in deal.others["bob"].sent]
    assert (told["kind"], told["invalid"]) == ("refused", invalid)


def test_an_own_transaction_that_breaks_a_rule_is_not_offered():
    deal = Deal("bob")
    deal.alice_knows.refuses["begin-finality"] = CapabilityError("transaction-invalid", "no")
    assert deal.run().code == "transaction-invalid"
    assert deal.alice.sent == []


def test_a_fatal_answer_of_the_notary():
    deal = Deal("bob")
    deal.alice_knows.refuses["notarise"] = CapabilityError(FATAL, "spent")
    assert deal.run().code == FATAL
    assert (deal.alice_knows.status, deal.alice_knows.reason) == ("I", "notary")
    # The initiator's word is not the notary's.
    assert deal.knows["bob"].status == "U"
    assert deal.others["bob"].result.code == "finality-failed"
    assert "FATAL" in str(deal.others["bob"].result)


def test_a_notary_that_was_not_reached():
    deal = Deal("bob")
    deal.alice_knows.refuses["notarise"] = CapabilityError("finality-undecided", "later")
    assert deal.run().code == "finality-undecided"
    assert deal.statuses() == ["U", "U"]
    assert "UNKNOWN" in str(deal.others["bob"].result)


def test_a_session_error_is_no_refusal():
    deal = Deal("bob", "carol")
    deal.alice.ends["bob"].error = CapabilityError(FATAL, "a peer's own code")
    deal.alice.ends["bob"].other = None
    assert deal.run().code == FATAL
    assert deal.alice_knows.status == "U"
    assert deal.knows["carol"].status in {"U", None}


def test_a_final_transaction_that_cannot_be_delivered():
    deal = Deal("bob", "carol")
    finish = deal.alice_knows.do_finish

    def gone(request: Any) -> Any:
        deal.alice.ends["bob"].error = CapabilityError("session-error", "gone")
        return finish(request)

    deal.alice_knows.do_finish = gone
    result = deal.run()
    assert result["undelivered"] == [{"counterparty": "O=bob", "code": "session-error"}]
    assert deal.alice_knows.status == deal.knows["carol"].status == "V"


@pytest.mark.parametrize("has_notary", [True, False])
def test_an_initiator_that_cannot_record_it(has_notary):
    """Its vault is full: with a notary the transaction is final, and the others are told."""
    deal = Deal("bob", "carol", notary=has_notary)
    deal.alice_knows.refuses["finish"] = CapabilityError("quota-exceeded", "the vault is full")
    assert deal.run().code == "quota-exceeded"
    assert deal.statuses() == (["U", "V", "V"] if has_notary else ["U", "U", "U"])
    assert bool(deal.alice.later) == has_notary
    if not has_notary:
        assert deal.others["bob"].result.code == "finality-failed"


def test_a_signature_that_is_missing():
    deal = Deal("bob")
    deal.alice_knows.signatories.add("nobody")
    assert deal.run().code == "signature-missing"
    assert (deal.alice_knows.status, deal.alice_knows.reason) == ("I", "refused")
    assert "notarise" not in [name for name, _ in deal.alice.calls]


def test_a_wrong_signature_ends_it_before_the_notary():
    deal = Deal("bob")
    deal.alice_knows.refuses["add-signatures"] = CapabilityError("signature-invalid", "wrong")
    assert deal.run().code == "signature-invalid"
    assert "notarise" not in [name for name, _ in deal.alice.calls]
    assert deal.knows["bob"].status == "U"


def test_a_receiver_that_is_told_a_wrong_signature_of_the_notary():
    deal = Deal("bob")
    deal.alice_knows.do_finish = lambda _: {"visible": []}
    deal.alice_knows.notarised = [signature("stranger")]
    deal.run()
    assert deal.others["bob"].result.code == "notary-signature-invalid"
    assert deal.knows["bob"].status == "U"


GOOD = {"cordbox": "finality", "v": 1, "kind": "signatures", "signatures": [], "verifications": []}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        5,
        "signatures",
        [],
        {},
        {"answer": "of a flow"},
        {**GOOD, "kind": "proposal"},
        {**GOOD, "kind": 5},
        {**GOOD, "cordbox": "chain"},
        {**GOOD, "v": True},
        {**GOOD, "more": 1},
        {**GOOD, "signatures": [5]},
        {**GOOD, "signatures": [{}] * (SIGNATURES_MAX + 1)},
        {**GOOD, "signatures": [{"key": "x" * 1024 * 1024}]},
        {**GOOD, "verifications": [{}] * 101},
        {"cordbox": "chain", "v": 1, "kind": "get", "ids": []},
        {"cordbox": "chain", "v": 1, "kind": "get", "ids": [identifier(1)] * 11},
        {"cordbox": "chain", "v": 1, "kind": "get", "ids": ["all"]},
        {"cordbox": "chain", "v": 1, "kind": "transactions", "transactions": [{}]},
        {"cordbox": "finality", "v": 1, "kind": "notarised", "signatures": [NOTARY]},
    ],
)
def test_an_initiator_refuses_another_message(payload):
    deal = Deal("bob", "carol")
    assert deal.scripted("bob", payload).code == "protocol-mismatch"
    assert deal.alice.ends["bob"].error is not None
    assert deal.alice_knows.status == "U"
    assert "failed" in kinds(deal.alice, "carol")


def test_a_version_that_the_initiator_does_not_know():
    deal = Deal("bob")
    assert deal.scripted("bob", {**GOOD, "v": 2}).code == "protocol-version-unknown"
    deal = Deal("bob")
    unknown = {"cordbox": "finality", "v": 1, "kind": "unknown-version", "highest": 0}
    assert deal.scripted("bob", unknown).code == "protocol-version-unknown"


def test_an_initiator_serves_nothing_that_it_did_not_offer():
    deal = Deal("bob")
    deal.alice_knows.do_dependencies = lambda _: {"ids": []}
    asked = {"cordbox": "chain", "v": 1, "kind": "get", "ids": [identifier(1)]}
    assert deal.scripted("bob", asked).code == "backchain-unexpected"
    assert kinds(deal.alice, "bob") == ["proposal"]


def receiving(*payloads: Any, accept: bool = False) -> tuple[Party, Functions]:
    knows = Functions("bob", signatories={"bob"})
    request: Any = {"session": "r"}
    if accept:
        request["proposal"] = {"id": ID, "more": False, "v": 1}
    bob = Party("O=bob", accept_finality if accept else receive_finality, request, knows)
    bob.session("r")
    bob.ends["r"].inbox.extend(payloads)
    run(bob)
    return bob, knows


PROPOSAL = {
    "cordbox": "finality",
    "v": 1,
    "kind": "proposal",
    "transaction": {},
    "more": False,
    "dependencies": None,
    "backchain": False,
}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"transaction": {}},
        {**PROPOSAL, "more": "yes"},
        {**PROPOSAL, "dependencies": [{"filtered": {}}]},
        {**PROPOSAL, "dependencies": [{"filtered": {}, "signatures": []}] * 2001},
        {**PROPOSAL, "extra": None},
        {**PROPOSAL, "transaction": {"x": "x" * 9 * 1024 * 1024}},
    ],
)
def test_a_receiver_refuses_another_message(payload):
    bob, knows = receiving(payload)
    assert bob.result.code == "protocol-mismatch"
    assert bob.ends["r"].error is not None
    assert (knows.status, bob.sent) == (None, [])


def test_a_receiver_answers_its_highest_version():
    bob, _ = receiving({**PROPOSAL, "v": 3})
    assert bob.result.code == "protocol-version-unknown"
    ((_, told),) = bob.sent
    assert (told["kind"], told["highest"]) == ("unknown-version", 1)


@pytest.mark.parametrize("payload", [GOOD, {**PROPOSAL}, "yes"])
def test_a_receiver_that_signed_refuses_another_message(payload):
    bob, knows = receiving(payload, accept=True)
    assert bob.result.code == "protocol-mismatch"
    assert knows.status is None


def test_a_failure_that_the_initiator_tells_is_not_the_notarys_word():
    failed = {"cordbox": "finality", "v": 1, "kind": "failed", "reason": "FATAL"}
    bob, knows = receiving({**failed, "code": FATAL, "message": "spent"}, accept=True)
    assert bob.result.code == "finality-failed"
    assert knows.reason is None


def test_a_receiver_signs_nothing_that_it_has_not_accepted():
    knows = Functions("bob")
    knows.refuses["sign"] = CapabilityError("proposal-unknown", "another's")
    request = {"session": "r", "proposal": {"id": identifier(8), "more": False, "v": 1}}
    bob = Party("O=bob", accept_finality, request, knows)
    bob.session("r")
    run(bob)
    assert (bob.result.code, bob.sent) == ("proposal-unknown", [])


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"transaction": {}},
        {"transaction": {}, "sessions": "bob"},
        {"transaction": [], "sessions": []},
        {"transaction": {}, "sessions": ["bob", "bob"]},
        {"transaction": {}, "sessions": [str(n) for n in range(SESSIONS_MAX + 1)]},
        {"transaction": {}, "sessions": [], "more": True},
    ],
)
def test_a_request_is_checked(request_):
    alice = Party("O=alice", finalize, request_, Functions("alice"))
    run(alice)
    assert alice.result.code == "request-invalid"
    assert alice.calls == []


def test_both_sides_do_the_same_again():
    """A program is replayed by its operations: they do not depend on anything else."""
    first, second = Deal("bob", "carol"), Deal("bob", "carol")
    first.run()
    second.run()
    assert first.alice.operations == second.alice.operations
    assert first.others["bob"].operations == second.others["bob"].operations
