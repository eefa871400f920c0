"""Platform flows: what a program does, how it ends, and what is left of it."""

import contextlib
import json
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.capability_error import CapabilityError
from host.domain.vnode import OperationalStatus
from host.flow.core.checkpoint import decode_checkpoint
from host.flow.core.messages import flow_state_key
from host.flow.core.program_state import ROWS_MAX, program_journal
from host.flow.engine import programs as engine_programs
from host.ports.audit_log import Unaudited
from host.ports.programs import (
    Call,
    Close,
    Counterparties,
    FailSession,
    Now,
    Open,
    ProgramId,
    ProgramTable,
    Random,
    Receive,
    Send,
    Sleep,
)
from tests.flow.network import ALICE, BOB, Network, Notes
from tests.flow.programs import CALLS, FLOWS, ProgramNotes, table
from tests.flow.scripted import CallFailed, Guest


def network(store: Any = None, flows: Any = FLOWS, **others: Any) -> Network:
    return Network(
        store or MemoryStore(), dict(flows), notes=ProgramNotes(), programs=table(**others)
    )


def until_ended(made: Network) -> str:
    """Start the initiator, let everything happen, and give its result."""
    made.start({})
    made.engine.drain()
    while made.store.scan("timer/"):
        made.later(1_000)
    status = made.alice()
    assert status.error is None, status.error
    return status.result


def own(program: Any, *, flows: Any = None, **others: Any) -> Any:
    """What the guest gets of a program that runs in its only call."""

    def guest(made: Guest) -> str:
        try:
            answer = made.call("persistence", "persist", op="other", **others)
        except CallFailed as failed:
            return json.dumps([failed.code, str(failed)])
        return json.dumps(answer)

    made = network(flows={"test.Initiator": guest, **(flows or {})}, other=program)
    return json.loads(until_ended(made))


def test_two_programs_agree(store):
    made = network(store)
    assert until_ended(made) == "agreed"
    assert [(bob.status, bob.result) for bob in made.bobs()] == [("COMPLETED", "3")]
    rows = [request for _, request in (r for r in made.notes.rows if isinstance(r, tuple))]
    assert rows == [{"what": "begin"}, {"what": "offered"}, {"what": "end"}]


def test_nothing_is_left_of_a_program(store):
    made = network(store)
    until_ended(made)
    flow = made.alice().flow_id
    for call in range(4):
        assert store.journal(program_journal(flow, call)) == []
    for prefix in ("flow/", "timer/", "inbox/"):
        assert store.scan(prefix) == []


def test_the_guest_gets_one_journal_entry(store):
    """A program's operations stand in a journal of their own, until the guest has the answer."""
    seen = []

    def initiator(guest: Guest) -> str:
        answer = guest.call("persistence", "persist", op="propose", offer=5)
        seen.append(answer)
        guest.call("flow", "sleep", millis=1_000)
        return "done"

    made = network(store, {**FLOWS, "test.Initiator": initiator})
    made.start({})
    made.engine.drain()
    flow = made.alice().flow_id
    journal = program_journal(flow, 0)
    assert len(store.journal(journal)) == 7  # begin, and all operations before the sleep
    assert store.journal(flow) == []
    made.later(5_000)
    assert len(store.journal(flow)) == 1
    assert store.journal(journal) == []


def test_an_error_of_a_call_is_raised_in_the_program():
    def program(request: Any) -> Any:
        try:
            yield Call("refuse", {"what": "luck"})
        except CapabilityError as refused:
            return [refused.code, refused.message, refused.reason_code]

    assert own(program) == ["too-late", "no luck", "late"]


def test_an_error_that_the_program_raises_is_the_calls():
    def program(request: Any) -> Any:
        yield Call("refuse", {"what": "luck"})

    assert own(program) == ["too-late", "no luck"]


def test_a_program_without_operations_ends_at_once():
    def program(request: Any) -> Any:
        if request["refuse"]:
            raise CapabilityError("refused", "not at all")
        return request["give"]
        yield

    assert own(program, refuse=False, give=[1, {"a": None}]) == [1, {"a": None}]
    assert own(program, refuse=True) == ["refused", "not at all"]


def answering(text: str) -> Any:
    """A responder that answers, and ends."""

    def responder(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.send(guest.session, text)
        return ""

    return {"test.Responder": responder}


def test_a_receive_of_any_answers_for_those_that_can_be_read():
    def program(request: Any) -> Any:
        first = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        second = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(first, "x")
        one = yield Receive(sessions=(first, second), any=True)
        yield Send(second, "x")
        both = yield Receive(sessions=(first, second), within_ms=10_000)
        return [[got.get("payload") for got in one], [min(got) for got in both]]

    answer = own(program, flows=answering("yes"))
    assert answer == [["yes"], ["error", "payload"]]


def test_a_receive_gives_up():
    def silent(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.call("flow", "sleep", millis=30_000)
        return ""

    def program(request: Any) -> Any:
        before = yield Now()
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(session, "x")
        (got,) = yield Receive(sessions=(session,), within_ms=5_000)
        after = yield Now()
        return [got["error"]["code"], before[17:19], after[17:19]]

    code, before, after = own(program, flows={"test.Responder": silent})
    assert (code, (int(after) - int(before)) % 60) == ("timed-out", 5)


def test_a_program_asks_again_when_its_session_expires():
    """It waits for as long as its session lives, as the client of a notary does."""
    asked = []

    def responder(guest: Guest) -> str:
        guest.receive(guest.session)
        asked.append(guest.session)
        if len(asked) == 1:
            guest.call("flow", "sleep", millis=90_000)
        guest.send(guest.session, "yes")
        return ""

    def ask() -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,), timeout_ms=60_000)
        yield Send(session, "x")
        (got,) = yield Receive(sessions=(session,), within_ms=60_000)
        if "error" in got:
            yield FailSession(session, "gone", "no answer")
        else:
            yield Close(session)
        return got

    def program(request: Any) -> Any:
        first = yield from ask()
        second = yield from ask()
        return [first["error"]["code"], first["error"]["reasonCode"], second["payload"]]

    answer = own(program, flows={"test.Responder": responder})
    assert answer == ["session-error", "session-timeout", "yes"]


def test_a_payload_that_its_call_refuses_stands_as_an_error():
    def program(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(session, "x")
        (got,) = yield Receive(sessions=(session,), into=Call("refuse", {"what": "luck"}))
        return got["error"]

    answer = own(program, flows=answering("yes"))
    assert answer == {"code": "too-late", "message": "no luck", "reasonCode": "late"}


def test_a_call_that_takes_a_payload_learns_its_sender():
    def program(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(session, "x")
        (got,) = yield Receive(sessions=(session,), into=Call("sender", {}))
        return got["payload"]

    assert own(program, flows=answering("yes")) == BOB


def test_a_failed_session_is_an_error_of_the_receive_and_of_the_send():
    def failing(guest: Guest) -> str:
        guest.receive(guest.session)
        raise CallFailed("broken", "no more")

    def program(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(session, "x")
        (got,) = yield Receive(sessions=(session,))
        try:
            yield Send(session, "y")
        except CapabilityError as refused:
            return [got["error"]["code"], refused.code]

    answer = own(program, flows={"test.Responder": failing})
    assert answer == ["session-error", "session-error"]


def test_a_program_fails_a_session_and_its_peer_is_told():
    told = []

    def responder(guest: Guest) -> str:
        guest.receive(guest.session)
        try:
            guest.receive(guest.session)
        except CallFailed as failed:
            told.append(str(failed))
        return ""

    def program(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(session, "x")
        yield FailSession(session, "not-so", "you are wrong")
        return None

    assert own(program, flows={"test.Responder": responder}) is None
    assert told[-1:] == ["you are wrong"]


def test_sessions_that_a_program_leaves_open_are_failed():
    told = []

    def responder(guest: Guest) -> str:
        try:
            guest.receive(guest.session)
            guest.receive(guest.session)
        except CallFailed as failed:
            told.append(str(failed))
        return ""

    def program(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        yield Send(session, "x")
        return None

    own(program, flows={"test.Responder": responder})
    assert told[-1:] == ["the platform's protocol has ended"]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (Open(counterparty="CN=?", protocol="p", versions=(1,)), "name-invalid"),
        (Open(counterparty="O=Nobody, L=Paris, C=FR", protocol="p", versions=(1,)), None),
        (Close("no-session"), "session-unknown"),
        (Counterparties(("no-session",)), "session-unknown"),
        (FailSession("no-session", "c", "m"), "session-unknown"),
        (Send("no-session", 1), "session-unknown"),
        (Receive(sessions=("no-session",)), "session-unknown"),
    ],
)
def test_an_operation_that_cannot_be_performed_is_refused(operation, code):
    def program(request: Any) -> Any:
        yield operation

    found, message = own(program)
    assert message
    assert code is None or found == code or code == "name-invalid"


def test_a_program_learns_who_is_at_the_other_ends():
    def program(request: Any) -> Any:
        session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
        return (yield Counterparties((session, session)))

    assert own(program) == [BOB, BOB]


def test_more_sessions_than_a_flow_holds():
    """Sessions that are over leave the flow, so that programs can be called without end."""

    def program(request: Any) -> Any:
        for _ in range(250):
            session = yield Open(counterparty=BOB, protocol="p", versions=(1,))
            yield Close(session)
        return "many"

    def guest(made: Guest) -> str:
        assert made.call("persistence", "persist", op="other") == "many"
        made.call("flow", "sleep", millis=1_000)
        return "done"

    made = network(flows={"test.Initiator": guest}, other=program)
    made.start({})
    made.engine.drain()
    flow = made.alice().flow_id
    checkpoint = decode_checkpoint(made.store.get(flow_state_key(flow)).value)
    assert (len(checkpoint.sessions), checkpoint.lent, checkpoint.gone_count) == (0, (), 250)
    assert len(checkpoint.gone) == 200
    assert len(checkpoint.stack) == 1


def test_a_program_pauses_for_other_flows(monkeypatch):
    monkeypatch.setattr(engine_programs, "STEP_MS", -1)
    made = network()
    assert until_ended(made) == "agreed"


def test_a_paused_program_lets_others_go_first(monkeypatch):
    monkeypatch.setattr(engine_programs, "STEP_MS", -1)
    order = []

    def program(request: Any) -> Any:
        for number in range(3):
            yield Call("persist", {"flow": request["name"], "n": number})
        return None

    def guest(made: Guest) -> str:
        made.call("persistence", "persist", op="other", name=made.body)
        return ""

    made = network(flows={"test.Initiator": guest}, other=program)
    for name in ("a", "b"):
        made.start(name, request_id=name)
    made.engine.drain()
    order = [request["flow"] for _, request in made.notes.rows]
    assert sorted(order) == ["a"] * 3 + ["b"] * 3
    assert order not in (["a"] * 3 + ["b"] * 3, ["b"] * 3 + ["a"] * 3)


def test_a_program_of_another_release_waits_for_its_host():
    """A worker of a later release began it; this one keeps the flow for a worker that knows it."""
    store = MemoryStore()
    newer = network(store)
    newer.start({})
    newer.engine.drain()
    older = Network(store, dict(FLOWS), notes=newer.notes, clock=newer.clock, programs=None)
    older.later(5_000)
    assert older.alice().status == "RUNNING"
    again = Network(store, dict(FLOWS), notes=newer.notes, clock=newer.clock, programs=table())
    for _ in range(100):
        again.later(5_000)
        if again.alice().status != "RUNNING":
            break
    assert again.alice().result == "agreed"


def test_a_program_that_changes_ends_the_flow():
    """The revision is the same, its operations are not."""
    store = MemoryStore()
    made = network(store)
    made.start({})
    made.engine.drain()

    def changed(request: Any) -> Any:
        yield Now()
        yield Random(5)

    later = Network(
        store, dict(FLOWS), notes=made.notes, clock=made.clock, programs=table(propose=changed)
    )
    later.later(5_000)
    status = later.alice()
    assert status.error.type == "flow-non-deterministic"
    assert "operation 1.2 differs from the journal: expected random" in status.error.message
    assert store.journal(program_journal(status.flow_id, 1)) == []


def test_a_program_with_too_many_operations_ends(monkeypatch):
    monkeypatch.setattr("host.flow.core.program_state.ROWS_MAX", 20)

    def program(request: Any) -> Any:
        while True:
            yield Random(1)

    code, _ = own(program)
    assert code == "program-too-large"
    assert ROWS_MAX == 100_000


def test_an_answer_is_bounded():
    def program(request: Any) -> Any:
        yield Now()
        return "x" * (17 * 1024 * 1024)

    code, message = own(program)
    assert (code, "17825794 characters" in message) == ("answer-too-large", True)


def test_much_output_is_written_in_between():
    """A step holds a few megabytes of answers only; the rest is committed in its middle."""

    def program(request: Any) -> Any:
        for _ in range(6):
            yield Call("make", {"size": 1024 * 1024})
        return "done"

    made = network(flows={"test.Initiator": FLOWS["test.Initiator"]})
    store, commits = made.store, []
    commit = store.commit

    def counted(unit: Any) -> None:
        commits.append(sum(len(row.value) for row in unit.journal))
        commit(unit)

    store.commit = counted

    def guest(made: Guest) -> str:
        return made.call("persistence", "persist", op="other")

    made = Network(
        store, {"test.Initiator": guest}, notes=ProgramNotes(), programs=table(other=program)
    )
    assert until_ended(made) == "done"
    assert max(commits) < 6 * 1024 * 1024


def test_killing_a_flow_drops_its_program(store):
    made = network(store)
    made.start({})
    made.engine.drain()
    flow = made.alice().flow_id
    assert len(store.journal(program_journal(flow, 1))) > 1
    made.replace(ALICE, flow_status=OperationalStatus.INACTIVE)
    made.later(5_000)
    assert made.alice().status == "KILLED"
    assert store.journal(program_journal(flow, 1)) == []


def test_the_newest_revision_is_taken():
    def old(request: Any) -> Any:
        yield Now()
        return "old"

    def new(request: Any) -> Any:
        yield Random(1)
        return "new"

    both = ProgramTable({("other", 1): old, ("other", 2): new}, {CALLS_KEY: "other"})
    assert both.begun_by(*CALL) == ProgramId(name="other", revision=2)
    assert both.find(ProgramId(name="other", revision=1)) is old
    assert both.find(ProgramId(name="other", revision=3)) is None
    assert both.begun_by("persistence.persist", {"op": 5}) is None


CALLS_KEY = ("persistence.persist", "other")
CALL = ("persistence.persist", {"op": "other"})


def test_a_call_that_begins_no_program_is_the_capabilitys():
    def guest(made: Guest) -> str:
        return str(made.call("persistence", "persist", op="unknown"))

    made = network(flows={"test.Initiator": guest})
    assert until_ended(made) == "1"
    assert made.notes.rows == [{"op": "unknown"}]
    assert set(CALLS.values()) == {"propose", "respond", "other"}
    assert Notes.name == "persistence"


def test_sleeps_end_on_time():
    def program(request: Any) -> Any:
        before = yield Now()
        yield Sleep(7_000)
        after = yield Now()
        return [before[17:19], after[17:19]]

    before, after = own(program)
    assert (int(after) - int(before)) % 60 == 7


class Entries(Unaudited):
    """The audit logs of all nodes: entries in order."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.room = True

    def record(self, call: Any) -> None:
        self.entries.append((call.function, call.call, call.operation, call.step, call.outcome))

    def has_room(self, node: Any) -> bool:
        return self.room


def signing(request: Any) -> Any:
    yield Call("persist", {"what": "first"})
    with contextlib.suppress(CapabilityError):
        yield Call("refuse", {"what": "luck"}, audited="ledger.sign")
    yield Call("persist", {"what": "signed"}, audited="ledger.sign")
    return "signed"


def audited(store: Any, logs: Entries) -> Network:
    def guest(made: Guest) -> str:
        return str(made.call("persistence", "write", op="other"))

    return Network(
        store,
        {"test.Initiator": guest},
        notes=ProgramNotes(),
        programs=table(other=signing),
        audit_logs=logs,
    )


def test_a_signature_within_a_program_is_recorded_before_the_call(store):
    logs = Entries()
    assert audited(store, logs).run().result == "signed"
    assert logs.entries == [
        ("ledger.sign", 0, None, 3, "ok"),
        ("persistence.write", 0, "other", None, "ok"),
    ]


def test_without_room_in_the_audit_log_a_program_signs_nothing(store):
    logs = Entries()
    made = audited(store, logs)

    def full(node: Any) -> bool:
        return not made.notes.rows  # from the first note on

    logs.has_room = full  # type: ignore[method-assign]
    status = made.run()
    assert status.error is not None
    assert "audit" in status.error.message
    assert [row for _, row in made.notes.rows] == [{"what": "first"}]
