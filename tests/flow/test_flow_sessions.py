"""The session machine: its table, its sequence, its closing rules."""

import pytest
from msgspec.structs import replace

from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs
from host.flow.core.messages import (
    Close,
    Data,
    InfoRequest,
    InfoResponse,
    Init,
    Party,
    Payload,
    SessionFailure,
    SessionMessage,
)
from host.flow.core.payloads import Portion
from host.flow.core.session import (
    EARLY_MAX,
    TRANSITIONS,
    UNREAD_CHARACTERS_MAX,
    UNREAD_MAX,
    Change,
    Session,
    SessionStatus,
    ask_info,
    close,
    error_of,
    fail,
    read,
    receive,
    send,
)

NOW = EpochMs(1000)
ALICE, BOB = (
    Party(name="O=Alice, L=London, C=GB", group_id="g"),
    Party(name="O=Bob, L=Paris, C=FR", group_id="g"),
)
INIT = Init(protocol="p", versions=(1, 2), require_close=True, context={"k": "v"})
S = SessionStatus


def initiator(**changes: object) -> Session:
    session = Session(
        id="s", initiator=True, me=ALICE, peer=BOB, protocol="p", versions=(1, 2),
        require_close=True, context={"k": "v"}, timeout_ms=500, last_heard=EpochMs(0),
    )  # fmt: skip
    return replace(session, **changes)


def initiated(**changes: object) -> Session:
    session = replace(initiator(), id="s-INITIATED", initiator=False, me=BOB, peer=ALICE, version=2)
    return replace(session, **changes)


def message(sequence: int, payload: Payload, version: int | None = 2) -> SessionMessage:
    return SessionMessage(
        session_id="s",
        sequence=sequence,
        source=BOB,
        target=ALICE,
        payload=payload,
        version=version,
    )


def data(number: int) -> SessionMessage:
    return message(number, Data(payload=str(number)))


def take(session: Session, *messages: SessionMessage) -> Change:
    outbox: tuple[SessionMessage, ...] = ()
    for m in messages:
        change = receive(session, m, NOW)
        session, outbox = change.session, outbox + change.outbox
    return Change(session, outbox)


def test_every_status_says_what_each_payload_does() -> None:
    payloads = (Data, Portion, InfoRequest, InfoResponse, Close)
    assert set(TRANSITIONS) == {(s, p) for s in SessionStatus for p in payloads}


def test_messages_carry_the_init_until_the_peer_has_answered() -> None:
    change = send(initiator(), '{"a":1}')
    (first,) = change.outbox
    assert (first.session_id, first.sequence) == ("s-INITIATED", 1)
    assert first.payload == Data(payload='{"a":1}', init=INIT)
    (second,) = send(change.session, "2").outbox
    assert (second.sequence, second.payload) == (2, Data(payload="2", init=INIT))
    confirmed = take(change.session, data(1)).session
    assert send(confirmed, "3").outbox[0].payload == Data(payload="3")


def test_the_initiated_side_answers_to_the_initiators_id_with_its_version() -> None:
    (answer,) = send(initiated(), "1").outbox
    assert (answer.session_id, answer.version, answer.payload) == ("s", 2, Data(payload="1"))


def test_information_is_asked_for_once_and_only_as_the_first_message() -> None:
    asked = ask_info(initiator())
    assert asked.outbox[0].payload == InfoRequest(init=INIT)
    assert asked.outbox[0].sequence == 1
    assert ask_info(asked.session).outbox == ()
    assert ask_info(initiated()).outbox == ()


def test_the_initiated_side_answers_for_information() -> None:
    change = take(initiated(), message(1, InfoRequest(init=INIT)))
    assert [m.payload for m in change.outbox] == [InfoResponse()]
    assert change.session.status is S.CONFIRMED


def test_the_peers_first_message_confirms_and_tells_the_version() -> None:
    session = take(initiator(), data(1)).session
    assert (session.status, session.version, session.inbox) == (S.CONFIRMED, 2, ("1",))


def test_messages_are_delivered_in_sequence_whatever_their_arrival() -> None:
    session = take(initiator(), data(3), data(2)).session
    assert (session.inbox, session.received, len(session.early)) == ((), 0, 2)
    session = take(session, data(1)).session
    assert (session.inbox, session.received, session.early) == (("1", "2", "3"), 3, ())


def test_a_message_counts_once() -> None:
    session = take(
        initiator(), data(1), data(1), data(3), data(3), data(2), data(2), data(3)
    ).session
    assert session.inbox == ("1", "2", "3")


def test_messages_ahead_of_sequence_are_bounded() -> None:
    session = take(initiator(), *(data(n) for n in range(2, EARLY_MAX + 2))).session
    assert session.status is S.CREATED
    assert take(session, data(EARLY_MAX + 2)).session.status is S.ERROR


def test_an_out_of_order_close_waits_for_its_predecessors() -> None:
    session = take(initiator(status=S.CONFIRMED), message(2, Close())).session
    assert session.status is S.CONFIRMED
    session = take(session, data(1)).session
    assert (session.status, session.inbox, session.peer_closed) == (S.CLOSING, ("1",), True)


def test_after_the_peers_close_data_is_read_first_and_then_refused() -> None:
    session = take(initiator(), data(1), message(2, Close())).session
    session, payload = read(session)
    assert payload == "1"
    with pytest.raises(CapabilityError) as caught:
        read(session)
    assert caught.value.code == "session-closed"
    assert close(session).session.status is S.CLOSED


def test_an_initiator_that_requires_close_waits_for_it() -> None:
    change = close(initiator(status=S.CONFIRMED, sent=1))
    assert (change.session.status, change.outbox) == (S.CLOSING, ())
    assert close(change.session).session.status is S.CLOSING
    assert take(change.session, message(1, Close())).session.status is S.CLOSED


@pytest.mark.parametrize(
    "session", [initiator(status=S.CONFIRMED, sent=1, require_close=False), initiator()]
)
def test_an_initiator_closes_at_once_without_require_close_or_without_traffic(
    session: Session,
) -> None:
    assert close(session) == Change(replace(session, status=S.CLOSED))


def test_the_initiated_side_sends_a_close_if_it_is_required() -> None:
    change = close(initiated(status=S.CONFIRMED))
    assert (change.session.status, [m.payload for m in change.outbox]) == (S.CLOSED, [Close()])
    change = close(initiated(status=S.CONFIRMED, require_close=False))
    assert (change.session.status, change.outbox) == (S.CLOSED, ())


def test_closing_with_unread_data_is_an_error_on_both_sides() -> None:
    change = close(initiated(status=S.CONFIRMED, inbox=("1",)))
    assert change.session.status is S.ERROR
    assert "unprocessed data" in change.outbox[0].payload.message
    closing = close(initiator(status=S.CONFIRMED, sent=1)).session
    change = take(closing, data(1))
    assert change.session.status is S.ERROR
    assert "unprocessed data" in change.outbox[0].payload.message


def test_closing_twice_does_nothing() -> None:
    closed = close(initiated(status=S.CONFIRMED)).session
    assert close(closed) == Change(closed)


@pytest.mark.parametrize("status", [S.CLOSED, S.ERROR])
def test_data_for_a_session_that_is_over_is_answered_by_an_error(status: SessionStatus) -> None:
    change = take(initiator(status=status), data(1))
    assert change.session.status is S.ERROR
    assert [type(m.payload) for m in change.outbox] == [SessionFailure]


def test_a_duplicate_close_of_a_closed_session_is_ignored() -> None:
    closed = initiator(status=S.CLOSED, received=1)
    assert take(closed, message(1, Close())).session.status is S.CLOSED
    assert take(closed, message(2, Close())).session.status is S.CLOSED


def test_an_initiator_takes_no_close_from_nowhere_and_no_questions() -> None:
    assert take(initiated(), message(1, Close())).session.status is S.ERROR
    assert take(initiator(), message(1, InfoRequest(init=INIT))).session.status is S.ERROR


@pytest.mark.parametrize("status", list(SessionStatus))
def test_an_error_is_taken_at_once_from_any_status(status: SessionStatus) -> None:
    failure = SessionFailure(code="FLOW_FAILED", message="no")
    change = take(initiator(status=status), message(0, failure))
    assert change == Change(replace(initiator(), status=S.ERROR, failure=failure, last_heard=NOW))
    assert error_of(change.session).message == "no"
    with pytest.raises(CapabilityError, match="no"):
        read(change.session)


@pytest.mark.parametrize(
    ("status", "code"),
    [(S.CLOSING, "session-closed"), (S.CLOSED, "session-closed"), (S.ERROR, "session-error")],
)
def test_nothing_is_sent_on_a_session_that_is_ending(status: SessionStatus, code: str) -> None:
    with pytest.raises(CapabilityError) as caught:
        send(initiator(status=status), "1")
    assert caught.value.code == code


def test_failing_tells_a_peer_that_knows_of_the_session() -> None:
    failure = SessionFailure(code="x", message="m")
    assert [m.payload for m in fail(initiator(sent=1), failure).outbox] == [failure]
    assert fail(initiator(), failure).outbox == ()
    assert [m.payload for m in fail(initiated(), failure).outbox] == [failure]
    assert fail(initiated(status=S.CLOSED), failure) == Change(initiated(status=S.CLOSED))


def test_only_what_the_peer_says_moves_the_expiry() -> None:
    sent = send(initiator(), "1").session
    assert sent.expires_at == 500
    assert take(sent, data(1)).session.expires_at == 1500


def test_a_peer_cannot_send_without_end_ahead_of_the_reading() -> None:
    full = take(initiator(), *(data(n) for n in range(1, UNREAD_MAX + 1))).session
    assert len(full.inbox) == UNREAD_MAX
    assert take(full, data(UNREAD_MAX + 1)).session.status is S.ERROR
    big = message(1, Data(payload="x" * (UNREAD_CHARACTERS_MAX + 1)))
    assert take(initiator(), big).session.status is S.ERROR
