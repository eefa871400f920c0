"""The pure parts around a flow: machine, journal, mapper, retry."""

import pytest
from msgspec.structs import replace

from host.domain.errors import OutageError, StorageError, UnavailableError
from host.domain.flow import FlowError
from host.domain.ids import EpochMs, FlowId
from host.flow.core import machine
from host.flow.core.checkpoint import (
    CHECKPOINT_VERSIONS,
    Asleep,
    AwaitClose,
    AwaitMessages,
    AwaitProgram,
    AwaitSessions,
    Checkpoint,
    Ending,
    RunningProgram,
    Scope,
    Waiting,
    decode_checkpoint,
)
from host.flow.core.config import FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.journal import (
    Entry,
    FlowNonDeterministicError,
    Made,
    check_call,
    decode_journal,
    encode_entry,
    request_digest,
)
from host.flow.core.machine import (
    TRANSITIONS,
    Arrived,
    Broken,
    End,
    GuestReturned,
    GuestSuspended,
    Killed,
    Phase,
    RunGuest,
    RunProgram,
    Send,
    Started,
    Woken,
    step,
)
from host.flow.core.mapper import Mapped, MapperState, map_inbound, map_start
from host.flow.core.messages import (
    Close,
    Data,
    Init,
    Party,
    Respond,
    SessionFailure,
    SessionMessage,
    StartFlow,
    decode_event,
    encode,
)
from host.flow.core.requests import SESSIONS_MAX
from host.flow.core.retry import FailureKind, kind_of, next_failures, retry_at
from host.flow.core.session import Session, SessionStatus
from host.ports.state import StateConflictError

NOW = EpochMs(1_000)
ALICE, BOB = (
    Party(name="O=Alice, L=London, C=GB", group_id="g"),
    Party(name="O=Bob, L=Paris, C=FR", group_id="g"),
)
FLOW = FlowId("f1")


def session(**changes: object) -> Session:
    made = Session(
        id="s", initiator=True, me=ALICE, peer=BOB, protocol="p", versions=(1,), require_close=True,
        context={}, timeout_ms=10_000, last_heard=EpochMs(0), status=SessionStatus.CONFIRMED, sent=1,
    )  # fmt: skip
    return replace(made, **changes)


def checkpoint(*sessions: Session, **changes: object) -> Checkpoint:
    made = Checkpoint(
        flow_id=FLOW, holding=ALICE, cpi_checksum="c", flow_class="F", request_id="r", body=None,
        responds_to=None, created_at=EpochMs(0), stack=(Scope(flow="F", protocol="p"),),
        sessions={s.id: s for s in sessions},
    )  # fmt: skip
    return replace(made, **changes)


def waiting(condition: object) -> Waiting:
    return Waiting(call=1, function="x.y", digest="d", condition=condition)


def message(sequence: int, payload: object) -> SessionMessage:
    return SessionMessage(
        session_id="s", sequence=sequence, source=BOB, target=ALICE, payload=payload
    )


DATA = message(1, Data(payload="7"))
ERROR = message(0, SessionFailure(code="FLOW_FAILED", message="bad luck"))
RECEIVING = checkpoint(session(), waiting=waiting(AwaitMessages(sessions=("s",))))
SLEEPING = checkpoint(waiting=waiting(Asleep(until=EpochMs(5_000))))
ENDING = checkpoint(
    session(status=SessionStatus.CLOSING), ending=Ending(result="ok", sessions=("s",))
)


def test_every_phase_answers_every_event_that_can_reach_it() -> None:
    outside = {Started, Arrived, Woken, Broken, Killed}
    for phase in Phase:
        assert outside <= {event for p, event in TRANSITIONS if p is phase}
    assert {e for p, e in TRANSITIONS if p is Phase.RUNNABLE} >= {GuestSuspended, GuestReturned}


@pytest.mark.parametrize("event", [Started(), Arrived(DATA), Woken()])
def test_a_flow_that_was_cut_short_runs_again(event: machine.Event) -> None:
    assert step(checkpoint(session()), event, NOW).commands[-1] == RunGuest()


def test_a_suspended_flow_runs_only_when_its_wait_is_over() -> None:
    assert step(RECEIVING, Started(), NOW).commands == ()
    assert step(RECEIVING, Woken(), NOW).commands == ()
    assert step(RECEIVING, Arrived(DATA), NOW).commands == (RunGuest(),)
    assert step(RECEIVING, Arrived(ERROR), NOW).commands == (RunGuest(),)
    early = step(RECEIVING, Arrived(replace(DATA, sequence=2)), NOW)
    assert early.commands == ()
    assert step(early.checkpoint, Arrived(DATA), NOW).commands == (RunGuest(),)


def test_all_sessions_of_a_receive_are_awaited() -> None:
    both = checkpoint(
        session(), session(id="t"), waiting=waiting(AwaitMessages(sessions=("s", "t")))
    )
    first = step(both, Arrived(ERROR), NOW)
    assert first.commands == ()
    assert step(first.checkpoint, Arrived(replace(DATA, session_id="t")), NOW).commands == (
        RunGuest(),
    )


def test_a_suspension_that_is_over_already_runs_at_once() -> None:
    ready = checkpoint(session(inbox=("1",)))
    assert step(ready, GuestSuspended(RECEIVING.waiting), NOW).commands == (RunGuest(),)
    assert step(checkpoint(session()), GuestSuspended(RECEIVING.waiting), NOW).commands == ()


def test_a_sleeper_wakes_when_it_is_time() -> None:
    assert step(SLEEPING, Woken(), EpochMs(4_999)).commands == ()
    assert step(SLEEPING, Woken(), EpochMs(5_000)).commands == (RunGuest(),)


def test_the_timer_is_the_sleeps_end_or_the_first_expiry_of_an_awaited_session() -> None:
    assert step(SLEEPING, Started(), NOW).checkpoint.timer == 5_000
    assert step(RECEIVING, Started(), NOW).checkpoint.timer == 10_000
    assert step(ENDING, Started(), NOW).checkpoint.timer == 10_000
    assert step(checkpoint(session()), Started(), NOW).checkpoint.timer is None


def test_a_silent_peer_fails_the_flow_when_the_session_expires() -> None:
    assert step(RECEIVING, Woken(), EpochMs(9_999)).commands == ()
    for waiter in (RECEIVING, ENDING):
        sent, end = step(waiter, Woken(), EpochMs(10_000)).commands
        assert sent.messages[0].payload.message == end.error.message
        assert "has not received messages for longer" in end.error.message


def test_any_open_session_expires_awaited_or_not_but_one_that_is_over_does_not() -> None:
    awaits_t = waiting(AwaitMessages(sessions=("t",)))
    later = session(id="t", last_heard=EpochMs(9_000))
    held = checkpoint(session(), later, waiting=awaits_t)
    assert step(held, Started(), NOW).checkpoint.timer == 10_000
    assert isinstance(step(held, Woken(), EpochMs(10_000)).commands[-1], End)
    over = checkpoint(session(status=SessionStatus.CLOSED), later, waiting=awaits_t)
    assert step(over, Woken(), EpochMs(10_000)).commands == ()


@pytest.mark.parametrize("until", [9_000, 10_000, 11_000])
def test_a_programs_session_that_expires_is_its_programs_to_judge(until: int) -> None:
    """Whether the program waits for less time, for the same time or for longer."""
    waits = AwaitSessions(sessions=("s",), any=False, until=EpochMs(until))
    running = RunningProgram(call=0, rows=1, depth=1, condition=waits)
    held = replace(
        checkpoint(session(), waiting=waiting(AwaitProgram())), lent=("s",), program=running
    )
    assert step(held, Started(), NOW).checkpoint.timer == min(until, 10_000)
    expired = step(held, Woken(), EpochMs(10_000))
    assert expired.commands[-1] == RunProgram()
    (told,) = expired.commands[0].messages
    assert (told.payload.code, told.sequence) == ("session-timeout", 0)
    assert expired.checkpoint.sessions["s"].status is SessionStatus.ERROR
    # A session of the flow's own code ends the flow as ever, with those of its programs.
    silent = replace(held, sessions={**held.sessions, "t": session(id="t")})
    sent, end = step(silent, Woken(), EpochMs(10_000)).commands
    assert (len(sent.messages), end.error.code) == (2, "session-timeout")


def test_a_flow_to_which_nothing_happens_fails_when_its_idle_time_is_over() -> None:
    config = FlowConfig(max_idle_ms=5_000)
    silent = checkpoint(session(timeout_ms=100_000), waiting=RECEIVING.waiting)
    silent = step(silent, Started(), NOW, config).checkpoint
    assert silent.timer == 6_000
    woken = step(silent, Woken(), EpochMs(5_999), config)
    assert (woken.commands, woken.checkpoint.timer) == ((), 6_000)
    heard = step(silent, Arrived(replace(DATA, sequence=2)), EpochMs(4_000), config).checkpoint
    assert heard.timer == 9_000
    sent, end = step(silent, Woken(), EpochMs(6_000), config).commands
    assert end.status == "FAILED"
    assert "longer than the configured 'processing.maxIdleTime'" in end.error.message
    assert sent.messages[0].payload.message == end.error.message


def test_a_flow_that_waits_for_closes_has_an_idle_time_too() -> None:
    ending = step(ENDING, Started(), EpochMs(0), FlowConfig(max_idle_ms=5_000)).checkpoint
    _, end = step(ending, Woken(), EpochMs(5_000), FlowConfig(max_idle_ms=5_000)).commands
    assert "maxIdleTime" in end.error.message


def test_a_flow_without_open_sessions_completes_when_it_returns() -> None:
    assert step(checkpoint(), GuestReturned("r"), NOW).commands == (
        End(status="COMPLETED", result="r"),
    )
    over = checkpoint(session(status=SessionStatus.ERROR))
    assert step(over, GuestReturned("r"), NOW).commands == (End(status="COMPLETED", result="r"),)


def test_an_initiator_that_returns_waits_for_the_peers_close() -> None:
    ending = step(checkpoint(session()), GuestReturned("r"), NOW)
    assert ending.commands == ()
    closed = step(ending.checkpoint, Arrived(message(1, Close())), NOW)
    assert closed.commands == (End(status="COMPLETED", result="r"),)
    failed = step(ending.checkpoint, Arrived(ERROR), NOW)
    assert failed.commands == (
        End(
            status="FAILED",
            error=FlowError(type="FLOW_FAILED", code="session-error", message="bad luck"),
        ),
    )


def test_a_responder_that_returns_sends_its_close_and_completes() -> None:
    made = checkpoint(session(id="s-INITIATED", initiator=False))
    sent, end = step(made, GuestReturned("r"), NOW).commands
    assert [m.payload for m in sent.messages] == [Close()]
    assert end == End(status="COMPLETED", result="r")


@pytest.mark.parametrize("before", [checkpoint(session()), RECEIVING, ENDING])
def test_a_broken_flow_fails_and_tells_its_peers(before: Checkpoint) -> None:
    error = FlowError(type="out-of-fuel", message="too much")
    sent, end = step(before, Broken(error), NOW).commands
    assert sent == Send(sent.messages)
    assert sent.messages[0].payload == SessionFailure(code="out-of-fuel", message="too much")
    assert end == End(status="FAILED", error=error)


@pytest.mark.parametrize("before", [checkpoint(session()), RECEIVING, ENDING])
def test_a_killed_flow_tells_its_peers(before: Checkpoint) -> None:
    sent, end = step(before, Killed("maintenance"), NOW).commands
    assert sent.messages[0].payload.message == "maintenance"
    assert (end.status, end.error.message) == ("KILLED", "maintenance")


def test_what_many_peers_are_sent_of_a_failure_is_bounded_together() -> None:
    """No flow may have more sessions."""
    before = checkpoint(*(session(id=f"s{n}") for n in range(SESSIONS_MAX)))
    error = FlowError(type="flow-failed", message="\U0001f600" * 4_000)
    sent, end = step(before, Broken(error), NOW).commands
    assert len(sent.messages) == SESSIONS_MAX
    assert sum(len(encode(m)) for m in sent.messages) < 1536 * 1024
    assert end.error == error


def test_messages_for_sessions_that_the_flow_does_not_have_change_nothing() -> None:
    stray = replace(DATA, session_id="other")
    assert step(RECEIVING, Arrived(stray), NOW).checkpoint.sessions == RECEIVING.sessions


def test_a_checkpoint_is_stored_and_read_back() -> None:
    made = checkpoint(
        session(early=(), inbox=('{"a":1}',)), waiting=waiting(AwaitClose(sessions=("s",)))
    )
    assert decode_checkpoint(encode(made)) == made


@pytest.mark.parametrize(
    "data", [b"", b"{}", encode(replace(RECEIVING, v=CHECKPOINT_VERSIONS[-1] + 1))]
)
def test_a_damaged_or_foreign_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(FlowRecordDamagedError):
        decode_checkpoint(data)


@pytest.mark.parametrize("order", [(DATA, ERROR), (ERROR, DATA), (DATA, DATA, ERROR)])
def test_a_crash_between_any_two_events_changes_nothing(order: tuple[SessionMessage, ...]) -> None:
    """Every state between two events survives storing, and the rest goes on as if uncut."""
    events = [Started(), *map(Arrived, order), Woken()]

    def run(
        state: Checkpoint, rest: list[machine.Event]
    ) -> tuple[Checkpoint, list[machine.Command]]:
        commands: list[machine.Command] = []
        for event in rest:
            transition = step(state, event, NOW)
            state = transition.checkpoint
            commands += transition.commands
        return state, commands

    whole = run(RECEIVING, events)
    for cut in range(len(events) + 1):
        saved, before = run(RECEIVING, events[:cut])
        after = run(decode_checkpoint(encode(saved)), events[cut:])
        assert (after[0], before + after[1]) == whole


def test_a_journal_is_read_back_and_checked() -> None:
    rows = [
        encode_entry(Entry(call=n, function="a.b", digest="d", is_error=False, answer="1"))
        for n in range(3)
    ]
    assert [e.call for e in decode_journal(rows)] == [0, 1, 2]
    with pytest.raises(FlowRecordDamagedError, match="row 1 holds call 2, expected call 1"):
        decode_journal([rows[0], rows[2]])
    with pytest.raises(FlowRecordDamagedError):
        decode_journal([b"[9]"])


def test_a_different_call_is_named_with_step_expected_and_actual() -> None:
    expected = Made("flow.random", request_digest('{"bytes":8}'), '{"bytes":8}')
    check_call(4, expected, expected._replace(request=""))
    actual = Made("flow.sleep", request_digest('{"millis":1}'), '{"millis":1}')
    with pytest.raises(FlowNonDeterministicError) as caught:
        check_call(4, expected, actual)
    assert caught.value.code == "flow-non-deterministic"
    assert caught.value.message == (
        "call 4 differs from the journal: expected flow.random"
        f' (request {expected.digest[:12]} {{"bytes":8}}), the flow made flow.sleep'
        f' (request {actual.digest[:12]} {{"millis":1}})'
    )


def test_a_different_request_of_the_same_function_is_shown_by_its_beginning() -> None:
    old = Made("flow.now", request_digest("{}"))  # a journal row that kept no request
    new = Made("flow.now", request_digest("x" * 300), "x" * 300)
    with pytest.raises(FlowNonDeterministicError) as caught:
        check_call(0, old, new)
    assert f"expected flow.now (request {old.digest[:12]})" in caught.value.message
    assert f"(request {new.digest[:12]} {'x' * 200}...)" in caught.value.message


def start() -> StartFlow:
    return StartFlow(
        client_request_id="r", holding=ALICE, cpi_checksum="c", flow_class="F", body=None,
        requested_at=NOW,
    )  # fmt: skip


def test_a_start_key_starts_one_flow() -> None:
    mapped = map_start(None, start(), FLOW)
    created = MapperState(flow_id=FLOW, node=ALICE.node())
    assert mapped == Mapped(flow_id=FLOW, event=start(), created=created)
    assert map_start(mapped.created, start(), FlowId("f2")) is None


def test_a_sessions_first_message_starts_a_responder_and_later_ones_reach_it() -> None:
    init = Init(protocol="p", versions=(1,), require_close=True, context={})
    first = message(1, Data(payload="1", init=init))
    mapped = map_inbound(None, first, FLOW)
    created = MapperState(flow_id=FLOW, node=first.target.node())
    assert mapped == Mapped(flow_id=FLOW, event=Respond(message=first), created=created)
    assert map_inbound(mapped.created, first, FlowId("f2")) == Mapped(flow_id=FLOW, event=first)


def test_a_message_for_an_unknown_session_is_answered_by_an_error_but_an_error_is_not() -> None:
    failure = map_inbound(None, DATA, FLOW)
    assert isinstance(failure, SessionFailure)
    assert failure.code == "session-expired"
    assert map_inbound(None, ERROR, FLOW) is None


def test_an_error_that_overtakes_its_sessions_first_message_keeps_the_responder_from_starting() -> (
    None
):
    failed = map_inbound(None, replace(ERROR, session_id="s-INITIATED"), FLOW)
    assert (failed.event, failed.created) == (None, MapperState(flow_id=FlowId(""), failed=True))
    init = Init(protocol="p", versions=(1,), require_close=True, context={})
    assert map_inbound(failed.created, message(1, Data(payload="1", init=init)), FLOW) is None


def test_events_are_read_back_as_the_class_that_was_written() -> None:
    for event in (start(), Respond(message=DATA), DATA, ERROR):
        assert decode_event(encode(event)) == event


def test_a_record_is_retried_with_growing_delays_and_then_given_up() -> None:
    failures, now, delays = None, NOW, []
    while True:
        failures = next_failures(failures, position=1, kind=FailureKind.TRANSIENT, now=now)
        again = retry_at(failures)
        if again is None:
            break
        delays.append(again - now)
        now = again
    assert (failures.count, delays) == (6, [1000, 2000, 4000, 8000, 16_000])


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_the_number_of_retries_and_the_longest_delay_are_configured(attempts: int) -> None:
    config, failures = FlowConfig(max_retry_attempts=attempts, max_retry_delay_ms=1500), None
    delays = []
    for _ in range(attempts + 1):
        failures = next_failures(failures, position=1, kind=FailureKind.TRANSIENT, now=NOW)
        delays.append(retry_at(failures, config))
    assert delays == [*(NOW + 1000, NOW + 1500, NOW + 1500)[:attempts], None]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (StateConflictError("x"), FailureKind.CONFLICT),
        (StorageError("x"), FailureKind.OUTAGE),
        (FlowRecordDamagedError("x"), FailureKind.FATAL),
        (OutageError("x"), FailureKind.OUTAGE),
        (UnavailableError("x"), FailureKind.TRANSIENT),
        (ValueError("a fault"), FailureKind.TRANSIENT),
    ],
)
def test_every_failure_has_a_kind(failure: Exception, kind: FailureKind) -> None:
    assert kind_of(failure) is kind


def test_a_fatal_failure_is_not_tried_again() -> None:
    assert retry_at(next_failures(None, position=1, kind=FailureKind.FATAL, now=NOW)) is None


def test_a_failing_store_is_retried_for_ever_at_most_every_16_seconds() -> None:
    failures = None
    for _ in range(100):
        failures = next_failures(failures, position=1, kind=FailureKind.OUTAGE, now=NOW)
    assert retry_at(failures) == NOW + 16_000


def test_a_conflict_is_tried_again_at_once_and_a_new_record_counts_anew() -> None:
    first = next_failures(None, position=1, kind=FailureKind.CONFLICT, now=NOW)
    assert retry_at(first) == NOW
    second = next_failures(first, position=1, kind=FailureKind.CONFLICT, now=NOW)
    assert retry_at(second) == NOW + 2000
    assert next_failures(second, position=2, kind=FailureKind.CONFLICT, now=NOW).count == 1


def test_attempts_end_with_their_window() -> None:
    first = next_failures(None, position=1, kind=FailureKind.TRANSIENT, now=NOW)
    late = next_failures(first, position=1, kind=FailureKind.TRANSIENT, now=EpochMs(NOW + 300_001))
    assert retry_at(late) is None
