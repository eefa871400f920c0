"""What a receiving flow tells the platform of what its own code decides."""

import json

import pytest

from cordapp.contracts import RequirementError
from cordapp.errors import (
    BackchainError,
    CordaRuntimeError,
    FinalityRefusedError,
    HostApi,
    NotaryError,
)
from cordapp.flows import FlowSession
from cordapp.ledger import UtxoLedgerService
from cordapp.registry import HostCallError

TRANSACTION = {
    "id": "SHA-256D:00",
    "metadata": {},
    "notary": None,
    "timeWindow": None,
    "signatories": [],
    "inputs": [],
    "references": [],
    "outputs": [],
    "commands": [],
}
PROPOSAL = {"id": "SHA-256D:00", "more": False, "v": 1}


class Host:
    """Answers as the platform does, and notes the operations."""

    def __init__(self):
        self.asked = []
        self.refuses = None

    def __call__(self, interface, function, request):
        asked = json.loads(request)
        self.asked.append(asked)
        if self.refuses:
            raise HostCallError(json.dumps(self.refuses))
        answers = {
            "receive-finality": {"proposal": PROPOSAL, "transaction": TRANSACTION},
            "accept-finality": {"id": "SHA-256D:00", "signatures": [{"by": "x"}], "visible": [1]},
            "finalize": {
                "id": "SHA-256D:00",
                "signatures": [],
                "visible": [],
                "undelivered": [{"counterparty": "O=Bob", "code": "session-error"}],
            },
        }
        return json.dumps(answers.get(asked["op"]))

    def operations(self):
        return [each["op"] for each in self.asked]


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def ledger(host):
    return UtxoLedgerService(HostApi(host))


@pytest.fixture
def session(host):
    return FlowSession(HostApi(host), "s", "O=Bob")


def refusing(error):
    def validator(_transaction):
        raise error

    return validator


def test_what_the_validator_accepts_is_accepted(ledger, host, session):
    seen = []
    result = ledger.receive_finality(session, seen.append)
    assert host.operations() == ["receive-finality", "accept-finality"]
    assert host.asked[1]["proposal"] == PROPOSAL
    assert seen[0].id == result.id
    assert [str(ref) for ref in result.visible] == ["SHA-256D:00:1"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("too much"), None),
        (RequirementError("too much"), None),
        (CordaRuntimeError("iou-over-limit", "too much"), "iou-over-limit"),
    ],
)
def test_what_the_validator_refuses_is_refused(ledger, host, session, error, code):
    with pytest.raises(type(error), match="too much"):
        ledger.receive_finality(session, refusing(error))
    assert host.operations() == ["receive-finality", "refuse-finality"]
    told = host.asked[1]
    assert (told["message"], told["code"], told["invalid"]) == ("too much", code, True)


def test_another_exception_tells_the_counterparty_nothing(ledger, host, session):
    """The flow ends by it, and its session with it; the transaction stays undecided."""
    with pytest.raises(KeyError):
        ledger.receive_finality(session, refusing(KeyError("a mistake")))
    assert host.operations() == ["receive-finality"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("finality-refused", FinalityRefusedError),
        ("backchain-too-large", BackchainError),
        ("notary-input-state-conflict", NotaryError),
        ("finality-undecided", CordaRuntimeError),
    ],
)
def test_a_refusal_is_an_error_of_its_class(ledger, host, session, code, kind):
    host.refuses = {"code": code, "message": "no"}
    with pytest.raises(kind) as refused:
        ledger.receive_finality(session, print)
    assert type(refused.value) is kind
    if kind is NotaryError:
        assert refused.value.kind == "input-state-conflict"
