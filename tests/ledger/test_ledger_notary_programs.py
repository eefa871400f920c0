"""The programs of a notary and of its clients: what is asked again, what ends, what is waited for."""

import base64

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core.notary_errors import FATAL_CODES, ErrorKind, NotaryCode
from host.ledger.protocols.notary_client import BOUND_WAIT_MAX_MS, notarise
from host.ledger.protocols.serve_notarisation import serve_notarisation
from host.ports.programs import (
    Call,
    Close,
    Counterparties,
    FailSession,
    Now,
    Open,
    Random,
    Receive,
    Send,
    Sleep,
)

ID = f"SHA-256D:{7:064X}"
NODES = ["O=One, L=London, C=GB", "O=Two, L=London, C=GB", "O=Three, L=London, C=GB"]
PLAN = {
    "service": "O=Notary Service, L=London, C=GB",
    "protocol": "com.r3.corda.notary.plugin.nonvalidating",
    "versions": [1],
    "nodes": NODES[:1],
    "backchain_required": True,
    "attempts": 10,
    "answer_ms": 60_000,
}
ACCEPTED = {"signatures": [{"by": "a key"}], "error": None}


def refusal(kind, *, lower=None, message="why"):
    return {"signatures": [], "error": {"kind": kind, "message": message, "lower": lower}}


def lost(code="timed-out"):
    return CapabilityError(code, "the session was lost")


class Notary:
    """Answers the operations of a client's program; `answers` are those of the notary's nodes."""

    def __init__(self, *answers, plan=PLAN, drawn=0):
        self.answers = list(answers)
        self.plan = plan
        self.drawn = drawn
        self.operations = []
        self.asked = []
        self.slept = []

    def run(self, program):
        answer = None
        try:
            operation = next(program)
            while True:
                self.operations.append(operation)
                try:
                    answer = self.answer(operation)
                except CapabilityError as refused:
                    operation = program.throw(refused)
                else:
                    operation = program.send(answer)
        except StopIteration as stopped:
            return stopped.value

    def answer(self, operation):
        match operation:
            case Call(function="notary-plan"):
                return self.plan
            case Open():
                self.asked.append(operation.counterparty)
                return f"session {len(self.asked)}"
            case Receive():
                assert operation.into == Call("take-notary-answer", {"id": ID})
                found = self.answers.pop(0)
                (session,) = operation.sessions
                if isinstance(found, CapabilityError):
                    error = {"code": found.code, "message": found.message}
                    return [{"session": session, "error": error}]
                return [{"session": session, "payload": found}]
            case Sleep():
                self.slept.append(operation.ms)
            case Random():
                return base64.b64encode(self.drawn.to_bytes(operation.bytes, "big")).decode()
            case Now():
                return "2026-11-30T01:00:00.000000Z"
        return None

    def ended(self, kind):
        return [op for op in self.operations if isinstance(op, kind)]


def test_a_transaction_is_notarised_and_its_session_closed():
    notary = Notary(ACCEPTED)
    assert notary.run(notarise(ID)) == ACCEPTED["signatures"]
    (sent,) = notary.ended(Send)
    assert sent.made == Call(
        "notary-request", {"id": ID, "check": "WRITE", "protocol": PLAN["protocol"]}
    )
    assert notary.ended(Close) == [Close("session 1")]
    assert notary.slept == []


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind.is_fatal])
def test_a_fatal_refusal_ends_with_its_code_and_cordas_words(kind):
    notary = Notary(refusal(kind.value))
    with pytest.raises(CapabilityError) as refused:
        notary.run(notarise(ID))
    assert refused.value.code == NotaryCode[kind.name]
    assert refused.value.code in FATAL_CODES
    assert refused.value.message == f"Unable to notarize transaction {ID} {kind.words}: why"
    assert notary.ended(Close) == [Close("session 1")]


def test_every_fatal_kind_has_a_code():
    assert {kind.name for kind in ErrorKind if kind.is_fatal} == set(NotaryCode.__members__)


def test_cordas_words_are_told_once():
    notary = Notary(refusal("InputStateConflict", message="Input State Conflict: x by y"))
    with pytest.raises(CapabilityError) as refused:
        notary.run(notarise(ID))
    assert refused.value.message == (
        f"Unable to notarize transaction {ID} Input State Conflict: x by y"
    )


def test_what_got_no_answer_is_asked_again_of_the_next_node_and_ever_later():
    plan = PLAN | {"nodes": NODES}
    answers = [lost(), lost("session-error"), refusal("General"), ACCEPTED]
    notary = Notary(*answers, plan=plan, drawn=5)
    assert notary.run(notarise(ID)) == ACCEPTED["signatures"]
    assert notary.asked == [NODES[2], NODES[0], NODES[1], NODES[2]]
    assert notary.slept == [1000, 2000, 4000]
    assert [failed.session for failed in notary.ended(FailSession)] == ["session 1", "session 2"]
    assert [closed.session for closed in notary.ended(Close)] == ["session 3", "session 4"]


def test_a_notary_that_is_not_reached_leaves_the_transaction_undecided():
    notary = Notary(*[lost()] * 10)
    with pytest.raises(CapabilityError, match="has not decided") as refused:
        notary.run(notarise(ID))
    assert refused.value.code == "finality-undecided"
    assert refused.value.code not in FATAL_CODES
    assert notary.slept == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]


def test_no_error_of_a_session_is_taken_for_the_notarys_word():
    """A peer that fails its session with a fatal code has not refused as a notary does."""
    notary = Notary(*[lost("notary-input-state-conflict")] * 10)
    with pytest.raises(CapabilityError) as refused:
        notary.run(notarise(ID))
    assert refused.value.code == "finality-undecided"


def test_a_reading_of_what_was_never_seen_is_undecided_at_once():
    notary = Notary(refusal("NotPreviouslySeenTransaction"))
    with pytest.raises(CapabilityError, match="why") as refused:
        notary.run(notarise(ID, "READ"))
    assert refused.value.code == "finality-undecided"
    assert notary.slept == []
    assert notary.ended(Send)[0].made.request["check"] == "READ"


def test_the_beginning_of_a_time_window_is_waited_for():
    early = refusal("TimeWindowBeforeLowerBound", lower="2026-11-30T01:10:00.000000Z")
    notary = Notary(early, ACCEPTED)
    assert notary.run(notarise(ID)) == ACCEPTED["signatures"]
    assert notary.slept == [600_000]


def test_a_window_that_begins_much_later_is_not_waited_for():
    early = refusal("TimeWindowBeforeLowerBound", lower="2026-11-30T02:00:00.000000Z")
    notary = Notary(early)
    with pytest.raises(CapabilityError, match="when the time window begins") as refused:
        notary.run(notarise(ID))
    assert refused.value.code == "finality-undecided"
    assert max(notary.slept, default=0) <= BOUND_WAIT_MAX_MS


@pytest.mark.parametrize("code", ["notary-signature-invalid", "quota-exceeded"])
def test_a_lying_notary_and_a_full_node_are_not_asked_again(code):
    notary = Notary(lost(code))
    with pytest.raises(CapabilityError) as refused:
        notary.run(notarise(ID))
    assert refused.value.code == code
    assert len(notary.asked) == 1


class Client:
    """Answers the operations of a notary's program."""

    def __init__(self, *, served=None, refused=None):
        self.served = served
        self.refused = refused
        self.operations = []

    run = Notary.run

    def answer(self, operation):
        match operation:
            case Call(function="check-notary"):
                if self.refused:
                    raise self.refused
            case Counterparties():
                return ["O=Alice, L=London, C=GB"]
            case Receive():
                assert operation.into == Call("notarise", {"client": "O=Alice, L=London, C=GB"})
                return [{"session": "s", "payload": self.served}]
        return None


@pytest.mark.parametrize("kind", [None, "InputStateConflict"])
def test_a_notary_sends_its_answer_and_tells_its_flow_what_it_decided(kind):
    answer = {"signatures": [], "error": kind}
    client = Client(served={"id": ID, "answer": answer, "kind": kind})
    result = client.run(serve_notarisation({"op": "serve-notarisation", "session": "s"}))
    assert result == {
        "id": ID,
        "result": "accepted" if kind is None else "rejected",
        "error": kind,
    }
    assert client.operations[-1] == Send("s", answer)


def test_a_node_without_the_role_reads_no_request():
    client = Client(refused=CapabilityError("capability-not-granted", "no notary"))
    with pytest.raises(CapabilityError, match="no notary"):
        client.run(serve_notarisation({"op": "serve-notarisation", "session": "s"}))
    assert client.operations == [Call("check-notary", {})]
