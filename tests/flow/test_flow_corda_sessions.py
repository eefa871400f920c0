"""What Corda's tests of its session manager prove, on this session machine, under their names."""

import itertools
import random

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs
from host.flow.core.messages import Close, Data, InfoRequest, SessionFailure, SessionMessage
from host.flow.core.session import Change, Session, SessionStatus, ask_info, close, fail, read, send
from host.flow.core.session import receive as take
from tests.flow.corda_names import named
from tests.flow.test_flow_sessions import INIT, initiated, initiator, message

S = SessionStatus
FAILURE = SessionFailure(code="FLOW_FAILED", message="no")


def receive(session: Session, *messages: SessionMessage) -> Change:
    outbox: tuple[SessionMessage, ...] = ()
    for arrived in messages:
        change = take(session, arrived, EpochMs(1))
        session, outbox = change.session, outbox + change.outbox
    return Change(session, outbox)


def refused(session: Session) -> str:
    with pytest.raises(CapabilityError) as caught:
        send(session, "1")
    return caught.value.code


def sent(session: Session, count: int) -> tuple[Session, list[SessionMessage]]:
    outbox: list[SessionMessage] = []
    for number in range(1, count + 1):
        change = send(session, str(number))
        session = change.session
        outbox += change.outbox
    return session, outbox


def read_all(session: Session) -> list[str]:
    texts = []
    while session.inbox:
        session, text = read(session)
        texts.append(text)
    return texts


DATA = message(1, Data(payload="1"))
CONFIRMED = receive(initiator(sent=1), DATA).session
CONFIRMED_AND_READ = read(CONFIRMED)[0]
CLOSING = close(CONFIRMED_AND_READ).session
PEER_CLOSED = receive(CONFIRMED_AND_READ, message(2, Close())).session
CLOSED = receive(CLOSING, message(2, Close())).session
QUESTION = message(1, InfoRequest(init=INIT))


@named("SessionCloseIntegrationTest", 1)
def test_a_conversation_with_a_standard_close(corda: str) -> None:
    alice, to_bob = sent(initiator(), 2)
    bob = receive(initiated(), *to_bob).session
    assert read_all(bob) == ["1", "2"]
    bob = read(read(bob)[0])[0]
    answer = send(bob, "3")
    alice = receive(alice, *answer.outbox).session
    alice = close(read(alice)[0]).session
    assert alice.status is S.CLOSING
    end = close(answer.session)
    alice = receive(alice, *end.outbox).session
    assert (alice.status, end.session.status) == (S.CLOSED, S.CLOSED)


@named("SessionCloseIntegrationTest", 2)
def test_a_close_before_all_data_is_read(corda: str) -> None:
    alice, to_bob = sent(initiator(), 1)
    change = close(receive(initiated(), *to_bob).session)
    assert change.session.status is S.ERROR
    assert receive(alice, *change.outbox).session.status is S.ERROR


@named("SessionDataIntegrationTest", 1)
def test_data_in_any_order(corda: str) -> None:
    _, to_bob = sent(initiator(), 5)
    for order in itertools.permutations(to_bob):
        assert read_all(receive(initiated(), *order).session) == ["1", "2", "3", "4", "5"]


@named("SessionDataIntegrationTest", 2)
def test_data_in_reverse(corda: str) -> None:
    _, to_bob = sent(initiator(), 50)
    texts = read_all(receive(initiated(), *reversed(to_bob)).session)
    assert texts == [str(n) for n in range(1, 51)]


@named("SessionDataIntegrationTest", 3)
def test_data_out_of_order_and_twice(corda: str) -> None:
    _, to_bob = sent(initiator(), 20)
    doubled = to_bob * 2
    random.Random(5).shuffle(doubled)  # a test's order
    texts = read_all(receive(initiated(), *doubled).session)
    assert texts == [str(n) for n in range(1, 21)]


@named("SessionDataIntegrationTest", 4)
def test_data_is_answered_by_an_error(corda: str) -> None:
    alice, to_bob = sent(initiator(), 1)
    failed = fail(receive(initiated(), *to_bob).session, FAILURE)
    alice = receive(alice, *failed.outbox).session
    assert (alice.status, failed.session.status) == (S.ERROR, S.ERROR)
    assert alice.failure == FAILURE


@named("SessionInitiationIntegrationTest", 1)
def test_a_session_is_opened(corda: str) -> None:
    asked = ask_info(initiator())
    assert asked.session.status is S.CREATED
    answered = receive(initiated(), *asked.outbox)
    alice = receive(asked.session, *answered.outbox).session
    assert (alice.status, answered.session.status) == (S.CONFIRMED, S.CONFIRMED)


@named("SessionInitiationIntegrationTest", 2)
def test_data_is_sent_before_the_session_is_confirmed(corda: str) -> None:
    asked = ask_info(initiator())
    alice, data = sent(asked.session, 1)
    bob = receive(initiated(), *data, *asked.outbox)
    assert (alice.status, bob.session.inbox) == (S.CREATED, ("1",))
    assert receive(alice, *bob.outbox).session.status is S.CONFIRMED


@named("SessionInitiationIntegrationTest", 3)
def test_an_error_after_the_confirmation_and_then_the_first_message_again(corda: str) -> None:
    asked = ask_info(initiator())
    confirmed = receive(initiated(), *asked.outbox)
    alice = receive(asked.session, *confirmed.outbox).session
    failed = fail(confirmed.session, FAILURE)
    assert receive(alice, *failed.outbox).session.status is S.ERROR
    again = receive(failed.session, *asked.outbox)
    assert (again.session.status, again.outbox) == (S.ERROR, ())


@named("SessionInitiationIntegrationTest", 4)
def test_the_first_message_is_answered_by_an_error(corda: str) -> None:
    asked = ask_info(initiator())
    assert receive(asked.session, message(0, FAILURE)).session.status is S.ERROR


@named("SessionInitiationIntegrationTest", 5)
def test_the_initiator_fails_before_it_is_answered(corda: str) -> None:
    asked = ask_info(initiator())
    bob = receive(initiated(), *asked.outbox)
    failed = fail(asked.session, FAILURE)
    assert receive(bob.session, *failed.outbox).session.status is S.ERROR
    late = receive(failed.session, *bob.outbox)
    assert (late.session.status, late.outbox) == (S.ERROR, ())


@named("SessionStateClosedTransitionTest", 1)
def test_sending_when_closed(corda: str) -> None:
    assert refused(CLOSED) == "session-closed"


@named("SessionStateClosedTransitionTest", 2)
def test_closing_when_closed(corda: str) -> None:
    assert close(CLOSED) == Change(CLOSED)


@named("SessionStateClosedTransitionTest", 3, 5, 6)
def test_what_has_arrived_before_changes_nothing_when_closed(corda: str) -> None:
    for repeated in (QUESTION, DATA, message(2, Close())):
        assert receive(CLOSED, repeated) == Change(CLOSED)


@named("SessionStateClosedTransitionTest", 4)
def test_new_data_when_closed(corda: str) -> None:
    change = receive(CLOSED, message(3, Data(payload="3")))
    assert change.session.status is S.ERROR
    assert isinstance(change.outbox[0].payload, SessionFailure)


@named("SessionStateClosingTransitionTest", 1)
def test_no_second_first_message_when_closing(corda: str) -> None:
    assert ask_info(CLOSING) == Change(CLOSING)


@named("SessionStateClosingTransitionTest", 2)
def test_sending_after_closing(corda: str) -> None:
    assert refused(CLOSING) == "session-closed"


@named("SessionStateClosingTransitionTest", 3)
def test_sending_after_the_peers_close(corda: str) -> None:
    assert PEER_CLOSED.status is S.CLOSING
    assert refused(PEER_CLOSED) == "session-closed"


@named("SessionStateClosingTransitionTest", 4)
def test_closing_after_the_peers_close(corda: str) -> None:
    change = close(PEER_CLOSED)
    assert (change.session.status, change.outbox) == (S.CLOSED, ())


@named("SessionStateClosingTransitionTest", 5)
def test_closing_twice(corda: str) -> None:
    assert close(CLOSING) == Change(CLOSING)


@named("SessionStateClosingTransitionTest", 6)
def test_a_first_message_again_when_closing(corda: str) -> None:
    assert receive(CLOSING, QUESTION) == Change(CLOSING)


@named("SessionStateClosingTransitionTest", 7)
def test_data_after_the_peers_close(corda: str) -> None:
    assert receive(PEER_CLOSED, message(3, Data(payload="3"))).session.status is S.ERROR


@named("SessionStateClosingTransitionTest", 8)
def test_the_peers_close_after_closing(corda: str) -> None:
    assert CLOSED.status is S.CLOSED


@named("SessionStateConfirmedTransitionTest", 1)
def test_sending_when_confirmed(corda: str) -> None:
    change = send(CONFIRMED, "2")
    assert change.session.status is S.CONFIRMED
    assert (change.outbox[0].sequence, change.outbox[0].payload) == (2, Data(payload="2"))


@named("SessionStateConfirmedTransitionTest", 2)
def test_closing_when_confirmed(corda: str) -> None:
    assert CLOSING.status is S.CLOSING


@named("SessionStateConfirmedTransitionTest", 3)
def test_a_first_message_again_when_confirmed(corda: str) -> None:
    assert receive(CONFIRMED, QUESTION) == Change(CONFIRMED)


@named("SessionStateConfirmedTransitionTest", 4)
def test_data_when_confirmed(corda: str) -> None:
    session = receive(CONFIRMED, message(2, Data(payload="2"))).session
    assert (session.status, session.inbox) == (S.CONFIRMED, ("1", "2"))


@named("SessionStateConfirmedTransitionTest", 5)
def test_the_peers_close_when_confirmed(corda: str) -> None:
    assert receive(CONFIRMED, message(2, Close())).session.status is S.CLOSING


@named("SessionStateCreatedTransitionTest", 1)
def test_asking_for_information_when_created(corda: str) -> None:
    change = ask_info(initiator())
    assert change.session.status is S.CREATED
    assert change.outbox[0].payload == InfoRequest(init=INIT)


@named("SessionStateCreatedTransitionTest", 2)
def test_sending_when_created(corda: str) -> None:
    change = send(initiator(), "1")
    assert (change.session.status, change.outbox[0].payload.init) == (S.CREATED, INIT)


@named("SessionStateCreatedTransitionTest", 3)
def test_closing_when_created(corda: str) -> None:
    assert close(send(initiator(), "1").session).session.status is S.CLOSING


@named("SessionStateCreatedTransitionTest", 4)
def test_data_when_created(corda: str) -> None:
    assert (CONFIRMED.status, CONFIRMED.inbox) == (S.CONFIRMED, ("1",))


@named("SessionStateCreatedTransitionTest", 5)
def test_the_peers_close_when_created(corda: str) -> None:
    assert receive(initiator(sent=1), message(1, Close())).session.status is S.CLOSING
