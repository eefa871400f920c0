"""Builders as flows see them: read, added to, and sent to a counterparty."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    StateRef,
    TimeWindow,
    UnknownTypeError,
    belongs_to,
)
from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.flows import FlowSession
from cordapp.ledger import UtxoLedgerService
from cordapp.schema import CodecError

UNTIL = datetime(2026, 11, 21, 6, tzinfo=UTC)
FIELDS = ("inputs", "references", "outputs", "commands", "signatories")
REFS = tuple(StateRef(f"SHA-256D:{digit * 64}", 0) for digit in "AB")


class TicketContract(Contract):
    def verify(self, transaction):
        raise AssertionError


@belongs_to(TicketContract)
@dataclass(frozen=True)
class Ticket(ContractState):
    seat: int

    @property
    def participants(self):
        return ["K"]


@dataclass(frozen=True)
class Book(Command):
    seat: int


class Host:
    """Answers an operation with the builder that it is given, and notes the request."""

    def __init__(self, answer=None):
        self.answer, self.asked = answer, []

    def __call__(self, interface, function, request):
        self.asked.append((f"{interface}.{function}", json.loads(request)))
        return json.dumps(self.answer)


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def ledger(host):
    return UtxoLedgerService(HostApi(host))


@pytest.fixture
def session(host):
    return FlowSession(HostApi(host), "s", "O=Bob, L=London, C=GB")


def full(ledger):
    builder = ledger.create_transaction_builder().set_notary("O=Notary")
    builder.set_time_window(until=UNTIL).add_input_states(REFS[0]).add_reference_states(REFS[1])
    return builder.add_output_states(Ticket(4)).add_commands(Book(4)).add_signatories("K")


def test_a_builder_tells_what_it_has(ledger):
    builder = full(ledger)
    assert (builder.notary, builder.time_window) == ("O=Notary", TimeWindow(None, UNTIL))
    assert builder.input_state_refs + builder.reference_state_refs == list(REFS)
    assert (builder.output_states, builder.commands) == ([Ticket(4)], [Book(4)])
    assert builder.signatories == ["K"]
    empty = ledger.create_transaction_builder()
    assert (empty.notary, empty.time_window) == (None, TimeWindow())
    assert empty.output_states == empty.commands == empty.input_state_refs == []


def test_what_comes_back_is_another_builder(ledger, host, session):
    mine = full(ledger)
    host.answer = {"notary": "O=Notary", "timeWindow": None} | {name: [] for name in FIELDS}
    merged = ledger.send_and_receive_transaction_builder(mine, session)
    name, asked = host.asked[-1]
    assert (name, asked["op"], asked["session"]) == ("ledger.record", "exchange-builder", "s")
    assert merged.output_states == []
    assert mine.output_states == [Ticket(4)]
    host.answer = asked["builder"]
    assert ledger.send_and_receive_transaction_builder(mine, session)._content() == mine._content()


def test_a_received_builder_is_sent_back_beside_what_it_was(ledger, host, session):
    host.answer = full(ledger)._content()
    received = ledger.receive_transaction_builder(session)
    assert host.asked == [("ledger.verify", {"op": "receive-builder", "session": "s"})]
    assert received.output_states == [Ticket(4)]
    received.add_output_states(Ticket(5)).add_signatories("L").add_input_states(REFS[1])
    before, host.answer = host.answer, None
    ledger.send_updated_transaction_builder(received, session)
    name, asked = host.asked[-1]
    assert (name, asked["op"]) == ("ledger.record", "send-builder")
    assert asked["received"] == before
    added = {field: asked["builder"][field][len(before[field]) :] for field in FIELDS}
    assert [each["value"] for each in added["outputs"]] == [{"seat": 5}]
    assert (added["signatories"], added["inputs"]) == (["L"], [str(REFS[1])])
    assert added["commands"] == added["references"] == []


def test_a_builder_that_was_not_received_is_not_sent_back(ledger, host, session):
    with pytest.raises(CordaRuntimeError) as refused:
        ledger.send_updated_transaction_builder(full(ledger), session)
    assert refused.value.code == "builder-not-received"
    assert host.asked == []


def test_what_a_counterparty_adds_is_decoded_when_it_is_looked_at(ledger, host, session):
    state = full(ledger)._content()["outputs"][0] | {"type": "no.such.State"}
    host.answer = {"outputs": [state], "commands": [{"type": "no.such.Command", "value": {}}]}
    merged = ledger.send_and_receive_transaction_builder(full(ledger), session)
    with pytest.raises(UnknownTypeError, match=r"no\.such\.State"):
        _ = merged.output_states
    with pytest.raises(UnknownTypeError, match=r"no\.such\.Command"):
        _ = merged.commands


@pytest.mark.parametrize(
    ("method", "wrong", "expected"),
    [
        ("add_output_states", {"seat": 1}, "expected a state, .* found {'seat': 1}"),
        ("add_output_states", Book(1), r"expected a state, .* found Book\(seat=1\)"),
        ("add_commands", Book, "expected a command, .* found <class"),
        ("add_commands", Ticket(1), r"expected a command, .* found Ticket\(seat=1\)"),
        ("add_input_states", Ticket(1), r"expected a StateRef, .* found Ticket\(seat=1\)"),
        ("add_reference_states", 5, "expected a StateRef, .* found 5"),
    ],
)
def test_what_a_builder_cannot_take_is_named_with_a_code(host, method, wrong, expected):
    builder = UtxoLedgerService(HostApi(host)).create_transaction_builder()
    with pytest.raises(CodecError, match=expected) as refused:
        getattr(builder, method)(wrong)
    assert refused.value.code == "value-not-of-type"
    assert host.asked == []
