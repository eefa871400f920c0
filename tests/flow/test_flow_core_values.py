"""Single values of the pure parts around a flow: what a session, a mapper or a machine does with one."""

import pytest
from msgspec.structs import replace

from host.domain.capability_error import CapabilityError
from host.domain.ids import FlowId
from host.flow.core.checkpoint import AwaitProgram, AwaitSessions, Checkpoint, RunningProgram
from host.flow.core.machine import (
    ProgramRan,
    RunGuest,
    RunProgram,
    Started,
    Woken,
    step,
)
from host.flow.core.mapper import Mapped, MapperState, init_of, map_start
from host.flow.core.messages import (
    Chunk,
    Close,
    Data,
    InfoRequest,
    InfoResponse,
    Init,
    KillFlow,
    SessionMessage,
)
from host.flow.core.session import Session, SessionStatus, ask_info, is_readable, read, receive
from tests.flow.test_flow_machine import DATA, ENDING, NOW, checkpoint, message, session, waiting

INIT = Init(protocol="p", versions=(1,), require_close=True, context={})
PROGRAM = RunningProgram(call=1, rows=1, depth=1)


def errors_of(session: Session, arrived: SessionMessage) -> str:
    change = receive(session, arrived, NOW)
    assert change.session.status is SessionStatus.ERROR
    (sent,) = change.outbox
    return str(sent.payload.message)


def performed(**changes: object) -> Checkpoint:
    program = replace(PROGRAM, **changes)
    return checkpoint(session(), waiting=waiting(AwaitProgram()), program=program)


def test_a_program_is_run_when_its_flow_begins_unless_it_waits() -> None:
    assert step(performed(), Started(), NOW).commands == (RunProgram(),)
    held = performed(condition=AwaitSessions(sessions=("s",), any=False, until=None))
    assert step(held, Started(), NOW).commands == ()
    assert step(performed(ended=True), Started(), NOW).commands == (RunGuest(),)


def test_a_program_that_paused_goes_on_in_another_step() -> None:
    assert step(performed(), ProgramRan(paused=True), NOW).commands == ()
    assert step(performed(), ProgramRan(paused=False), NOW).commands == (RunProgram(),)


def test_a_flow_that_waits_for_closes_does_nothing_before_its_time() -> None:
    assert step(ENDING, Woken(), NOW).commands == ()
    assert step(ENDING, Started(), NOW).commands == ()


def test_a_kill_reaches_the_flow_of_its_key_or_nothing() -> None:
    kill = KillFlow(reason="r")
    assert map_start(None, kill, FlowId("f9")) is None
    state = MapperState(flow_id=FlowId("f1"))
    assert map_start(state, kill, FlowId("f9")) == Mapped(flow_id=FlowId("f1"), event=kill)


def test_a_message_counts_once() -> None:
    first = receive(session(), DATA, NOW).session
    assert receive(first, DATA, NOW).session == replace(first, last_heard=NOW)
    ahead = replace(DATA, sequence=3)
    early = receive(first, ahead, NOW).session
    assert receive(early, ahead, NOW).session == early
    in_error = session(status=SessionStatus.ERROR)
    assert receive(in_error, ahead, NOW).session == replace(in_error, last_heard=NOW)


def test_chunks_are_joined_and_nothing_comes_between_them() -> None:
    chunk = message(1, Chunk(payload='"ab', last=False))
    half = receive(session(), chunk, NOW).session
    assert not half.inbox
    whole = receive(half, message(2, Chunk(payload='c"', last=True)), NOW).session
    found = read(whole)
    assert found is not None
    assert found[1] == '"abc"'
    assert "between the chunks" in errors_of(half, message(2, Data(payload="1")))
    assert "in the middle of a payload" in errors_of(half, message(2, Close()))
    small = session(payload_max=2)
    assert "more than 2 bytes" in errors_of(small, chunk)


@pytest.mark.parametrize("status", [SessionStatus.CREATED, SessionStatus.CONFIRMED])
def test_each_side_asks_and_closes_in_its_turn(status: SessionStatus) -> None:
    initiator, initiated = session(status=status), session(status=status, initiator=False)
    request = message(1, InfoRequest(init=INIT))
    assert "an initiator was asked" in errors_of(initiator, request)
    (answer,) = receive(initiated, request, NOW).outbox
    assert answer.payload == InfoResponse()
    confirmed = receive(initiator, message(1, InfoResponse()), NOW).session
    assert confirmed.status is SessionStatus.CONFIRMED
    assert "a close came from the initiator" in errors_of(initiated, message(1, Close()))
    closing = receive(initiator, message(1, Close()), NOW).session
    assert closing.status is SessionStatus.CLOSING
    assert "closed twice" in errors_of(closing, message(2, Close()))
    awaited = session(status=SessionStatus.CLOSING, initiator=False)
    assert receive(awaited, message(1, Close()), NOW).session.status is SessionStatus.CLOSED


def test_counterparty_information_is_asked_for_once() -> None:
    created = session(status=SessionStatus.CREATED, sent=0)
    asked = ask_info(created)
    assert len(asked.outbox) == 1
    for other in (asked.session, session(), session(status=SessionStatus.CREATED, initiator=False)):
        assert ask_info(other).outbox == ()


def test_what_was_received_before_a_close_can_still_be_read() -> None:
    assert read(session()) is None
    assert not is_readable(session())
    closed = session(status=SessionStatus.CLOSED, inbox=("1",))
    found = read(closed)
    assert found is not None
    after, text = found
    assert text == "1"
    with pytest.raises(CapabilityError, match="is closed"):
        read(after)
    assert is_readable(after)


def test_any_first_message_may_open_a_session() -> None:
    for payload in (Data(payload="1", init=INIT), Chunk(payload="1", last=True, init=INIT)):
        assert init_of(message(1, payload)) == INIT
    assert init_of(message(1, InfoRequest(init=INIT))) == INIT
    assert init_of(message(1, Close())) is None
