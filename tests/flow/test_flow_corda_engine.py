"""What Corda's acceptance tests of its flow engine prove, on this engine, under their names.

Acknowledgements, which some names still mention, are gone from Corda's session protocol too.
"""

import json

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.capability_error import CapabilityError
from host.domain.errors import StorageError, UnavailableError
from host.domain.flow import FlowStatusName
from host.domain.vnode import OperationalStatus
from host.flow.core.messages import OUT_TOPIC, InfoRequest, InfoResponse, Init, encode
from host.flow.core.session import SessionStatus
from host.ports.units import Unit
from tests.flow.corda_names import named
from tests.flow.network import ALICE, BOB, Flow, alone
from tests.flow.one_side import OneSide
from tests.flow.scripted import CallFailed, Guest

COMPLETED, FAILED, KILLED = FlowStatusName.COMPLETED, FlowStatusName.FAILED, FlowStatusName.KILLED
WAIT = 10


def nap(guest: Guest) -> None:
    guest.call("flow", "sleep", millis=WAIT)


def attempt(call: object) -> str:
    """`ok` and the answer, or the code of the failure that the flow has seen."""
    try:
        return f"ok {call()}"  # type: ignore[operator]
    except CallFailed as exc:
        return exc.code


def opened(guest: Guest, count: int = 1, **options: object) -> list[str]:
    """Sessions on which something was sent."""
    sessions = [guest.open(BOB, **options) for _ in range(count)]
    for session in sessions:
        guest.send(session, "hello")
    return sessions


# CloseSessionsAcceptanceTest


@named("CloseSessionsAcceptanceTest", 1)
def test_close_without_require_close(corda: str) -> None:
    side = OneSide(lambda g: attempt(lambda: g.close(*opened(g, requireClose=False)))).start()
    assert (side.status.status, side.status.result) == (COMPLETED, "ok None")
    assert side.sent() == ["data"]


@named("CloseSessionsAcceptanceTest", 2)
def test_close_in_closing(corda: str) -> None:
    def flow(guest: Guest) -> str:
        sessions = opened(guest)
        nap(guest)
        return attempt(lambda: guest.close(*sessions))

    side = OneSide(flow).start().closes(1)
    assert side.checkpoint.sessions[side.ids[0]].status is SessionStatus.CLOSING
    assert side.later(WAIT).status.result == "ok None"


@named("CloseSessionsAcceptanceTest", 3)
def test_close_waits_for_the_peers(corda: str) -> None:
    side = OneSide(lambda g: attempt(lambda: g.close(*opened(g)))).start()
    assert side.checkpoint.sessions[side.ids[0]].status is SessionStatus.CLOSING
    assert side.sent() == ["data"]
    assert side.closes(1).status.result == "ok None"


@named("CloseSessionsAcceptanceTest", 4)
def test_an_early_close_resumes_nothing(corda: str) -> None:
    side = OneSide(lambda g: attempt(lambda: g.close(*opened(g)))).start().closes(2)
    assert side.is_running


@named("CloseSessionsAcceptanceTest", 5)
def test_a_close_instead_of_data(corda: str) -> None:
    side = OneSide(lambda g: attempt(lambda: g.receive(*opened(g)))).start().closes(1)
    assert side.status.result == "session-closed"


@named("CloseSessionsAcceptanceTest", 6)
def test_the_initiated_side_sends_a_close(corda: str) -> None:
    side = OneSide(lambda g: attempt(lambda: (g.receive(g.session), g.close(g.session)))).respond()
    assert (side.sent(), side.status.status) == (["close"], COMPLETED)


@named("CloseSessionsAcceptanceTest", 7)
def test_the_initiated_side_sends_no_close_unless_required(corda: str) -> None:
    flow: Flow = lambda g: attempt(lambda: (g.receive(g.session), g.close(g.session)))  # noqa: E731
    side = OneSide(flow).respond(require_close=False)
    assert (side.sent(), side.status.status) == ([], COMPLETED)


# ExternalEventAcceptanceTest: a service that a flow calls


def persists(guest: Guest) -> str:
    return str(guest.call("persistence", "write", op="persist"))


@named("ExternalEventAcceptanceTest", 1)
def test_a_call_reaches_its_service_with_a_request_id(corda: str) -> None:
    network = alone(persists)
    status = network.run()
    assert list(network.notes.done) == [f"{status.flow_id}-0"]
    assert network.notes.rows == [{"op": "persist"}]


@named("ExternalEventAcceptanceTest", 4)
def test_two_calls_in_a_row(corda: str) -> None:
    network = alone(lambda g: persists(g) + persists(g))
    assert network.run().result == "12"


@named("ExternalEventAcceptanceTest", 5)
def test_an_answered_call_is_not_made_again(corda: str) -> None:
    def flow(guest: Guest) -> str:
        persists(guest)
        opened(guest)
        return str(guest.receive(guest.open(BOB)))

    side = OneSide(flow).start()
    side.later(60_000 + 1).data(1, session=0)
    assert len(side.network.notes.rows) == 1


@named("ExternalEventAcceptanceTest", 6)
def test_a_transient_failure_is_tried_again(corda: str) -> None:
    network = alone(persists)
    network.notes.failing = [UnavailableError("starting")]
    network.run()
    assert network.notes.rows == []
    network.later(1_000)
    assert network.alice().result == "1"


@named("ExternalEventAcceptanceTest", 7)
def test_after_a_transient_failure_one_answer_is_enough(corda: str) -> None:
    network = alone(lambda g: persists(g) + str(nap(g)))
    network.notes.failing = [UnavailableError("starting")]
    network.run()
    network.later(1_000)
    network.later(60_001)
    assert (network.alice().status, len(network.notes.rows)) == (COMPLETED, 1)


@named("ExternalEventAcceptanceTest", 8)
def test_a_platform_failure_is_the_flows_to_catch(corda: str) -> None:
    network = alone(lambda g: attempt(lambda: persists(g)))
    network.notes.failing = [CapabilityError("entity-exists", "key 1")]
    assert network.run().result == "entity-exists"


@named("ExternalEventAcceptanceTest", 9)
def test_a_fatal_failure_goes_to_the_dead_letters(corda: str) -> None:
    resumed: list[str] = []
    side = OneSide(lambda g: str(resumed.append(attempt(lambda: persists(g)))))
    side.network.notes.failing = [RuntimeError("a fault of the service")] * 6
    side.start()
    for _ in range(5):
        side.later(16_000)
    assert (side.status.status, side.dead_letters, resumed) == (FAILED, 1, [])
    assert side.status.error.type == "platform-failure"


# FlowFailedAcceptanceTest, FlowFinishedAcceptanceTest, FlowKilledAcceptanceTest


def fails(guest: Guest) -> str:
    raise ValueError("no")


@named("FlowFailedAcceptanceTest", 1)
def test_a_failed_flow_leaves_its_status(corda: str) -> None:
    side = OneSide(fails).start()
    assert (side.status.status, side.status.error.type) == (FAILED, "FLOW_FAILED")
    assert side.is_cleaned_up


@named("FlowFailedAcceptanceTest", 2)
def test_a_failed_responder_leaves_its_status(corda: str) -> None:
    side = OneSide(fails).respond()
    assert (side.status.status, side.sent(), side.is_cleaned_up) == (FAILED, ["error"], True)


@named("FlowFinishedAcceptanceTest", 1)
def test_a_finished_flow_leaves_its_status(corda: str) -> None:
    side = OneSide(lambda g: "fine").start()
    assert (side.status.status, side.status.result) == (COMPLETED, "fine")
    assert side.is_cleaned_up


@named("FlowFinishedAcceptanceTest", 3)
def test_a_finished_responder_leaves_its_status(corda: str) -> None:
    side = OneSide(lambda g: str(g.receive(g.session))).respond(7)
    assert (side.status.status, side.status.result, side.is_cleaned_up) == (COMPLETED, "7", True)


@named("FlowKilledAcceptanceTest", 1)
def test_a_start_on_an_inactive_node(corda: str) -> None:
    side = OneSide(lambda g: "fine")
    side.network.start()
    side.network.replace(ALICE, flow_status=OperationalStatus.INACTIVE)
    side.pump()
    assert (side.status.status, side.dead_letters) == (KILLED, 0)


@named("FlowKilledAcceptanceTest", 2)
def test_a_session_on_an_inactive_node(corda: str) -> None:
    side = OneSide(lambda g: "fine")
    side.network.replace(BOB, flow_status=OperationalStatus.INACTIVE)
    side.respond()
    assert (side.status.status, side.sent(), side.dead_letters) == (KILLED, ["error"], 0)


@named("FlowKilledAcceptanceTest", 3)
def test_a_flow_that_resumes_on_an_inactive_node(corda: str) -> None:
    side = OneSide(lambda g: str(g.receive(*opened(g)))).start()
    side.network.replace(ALICE, flow_status=OperationalStatus.INACTIVE)
    side.data(1)
    assert (side.status.status, side.sent(), side.is_cleaned_up) == (
        KILLED,
        ["data", "error"],
        True,
    )


# InitiateFlowAcceptanceTest


def info(guest: Guest, session: str) -> int:
    return int(guest.call("sessions", "info", session=session)["protocolVersion"])


@named("InitiateFlowAcceptanceTest", 1)
def test_information_is_asked_for(corda: str) -> None:
    side = OneSide(lambda g: str(info(g, g.open(BOB)))).start()
    assert side.sent() == ["info-request"]
    assert side.messages()[0].payload.init.protocol == "p"


@named("InitiateFlowAcceptanceTest", 2)
def test_information_is_asked_for_once(corda: str) -> None:
    def flow(guest: Guest) -> str:
        session = guest.open(BOB)
        versions = [info(guest, session), info(guest, session)]
        guest.send(session, 1)
        return json.dumps(versions)

    side = OneSide(flow).start().arrives(1, InfoResponse()).closes(2)
    assert side.sent() == ["info-request", "data"]
    assert side.messages()[1].payload.init is None
    assert side.status.result == "[1, 1]"


@named("InitiateFlowAcceptanceTest", 3)
def test_a_question_starts_a_responder(corda: str) -> None:
    asked = InfoRequest(init=Init(protocol="p", versions=(1,), require_close=True, context={}))
    side = OneSide(lambda g: str(g.receive(g.session))).respond(asked)
    assert (side.sent(), side.is_running) == (["info-response"], True)
    assert side.messages()[0].version == 1


@named("InitiateFlowAcceptanceTest", 4)
def test_a_responder_that_starts_with_its_second_message(corda: str) -> None:
    side = OneSide(lambda g: f"{g.receive(g.session)} {g.receive(g.session)}")
    side.respond(2, sequence=2)
    assert side.is_running
    assert side.data(1).status.result == "1 2"


@named("InitiateFlowAcceptanceTest", 5)
def test_an_error_resumes_the_flow(corda: str) -> None:
    side = OneSide(lambda g: attempt(lambda: g.receive(*opened(g)))).start().fails()
    assert side.status.result == "session-error"


# ReceiveAcceptanceTest


def receives(count: int) -> Flow:
    return lambda g: attempt(lambda: g.receive(*opened(g, count, requireClose=False)))


@named("ReceiveAcceptanceTest", 1)
def test_early_data_resumes_nothing(corda: str) -> None:
    side = OneSide(receives(1)).start().data(2, 3)
    assert (side.is_running, side.sent()) == (True, ["data"])


@named("ReceiveAcceptanceTest", 2)
def test_receiving_a_close(corda: str) -> None:
    assert OneSide(receives(1)).start().closes(1).status.result == "session-closed"


@named("ReceiveAcceptanceTest", 3)
def test_one_of_two(corda: str) -> None:
    side = OneSide(receives(2)).start().data(1)
    assert (side.is_running, side.sent()) == (True, ["data", "data"])


@named("ReceiveAcceptanceTest", 4)
def test_both_of_two(corda: str) -> None:
    side = OneSide(receives(2)).start().data(1).data(1, session=1)
    assert side.status.result == "ok [1, 1]"


@named("ReceiveAcceptanceTest", 5)
def test_one_before_the_receive_and_one_after(corda: str) -> None:
    def flow(guest: Guest) -> str:
        sessions = opened(guest, 2, requireClose=False)
        nap(guest)
        return attempt(lambda: guest.receive(*sessions))

    side = OneSide(flow).start().data(1).later(WAIT)
    assert side.is_running
    assert side.data(1, session=1).status.result == "ok [1, 1]"


@named("ReceiveAcceptanceTest", 6)
def test_both_before_the_receives(corda: str) -> None:
    def flow(guest: Guest) -> str:
        first, second = opened(guest, 2, requireClose=False)
        nap(guest)
        return f"{guest.receive(first)} {guest.receive(second)}"

    side = OneSide(flow).start().data(1).data(1, session=1)
    assert side.later(WAIT).status.result == "1 1"


@named("ReceiveAcceptanceTest", 7)
def test_one_error_of_two_waits_for_the_other(corda: str) -> None:
    side = OneSide(receives(2)).start().fails()
    assert side.is_running
    assert side.checkpoint.sessions[side.ids[0]].status is SessionStatus.ERROR


@named("ReceiveAcceptanceTest", 8)
def test_data_and_then_an_error(corda: str) -> None:
    side = OneSide(receives(2)).start().data(1).fails(session=1)
    assert (side.status.result, side.is_cleaned_up) == ("session-error", True)


@named("ReceiveAcceptanceTest", 9)
def test_an_error_and_then_data(corda: str) -> None:
    side = OneSide(receives(2)).start().fails().data(1, session=1)
    assert (side.status.result, side.is_cleaned_up) == ("session-error", True)


@named("ReceiveAcceptanceTest", 10)
def test_a_close_and_data(corda: str) -> None:
    side = OneSide(receives(2)).start().closes(1).data(1, session=1)
    assert side.status.result == "session-closed"


@named("ReceiveAcceptanceTest", 11)
def test_two_closes(corda: str) -> None:
    side = OneSide(receives(2)).start().closes(1).closes(1, session=1)
    assert side.status.result == "session-closed"


@named("ReceiveAcceptanceTest", 12)
def test_data_and_close_of_one_and_data_of_the_other(corda: str) -> None:
    side = OneSide(receives(2)).start().data(1).closes(2)
    assert side.is_running
    assert side.data(1, session=1).status.result == "ok [1, 1]"


@named("ReceiveAcceptanceTest", 13)
def test_a_close_that_overtakes_data(corda: str) -> None:
    side = OneSide(receives(1)).start().closes(2)
    assert side.is_running
    assert side.data(1).status.result == "ok 1"


@named("ReceiveAcceptanceTest", 14)
def test_many_sends_and_receives_in_another_order(corda: str) -> None:
    def flow(guest: Guest) -> str:
        first, second = opened(guest, 2, requireClose=False)
        got = [guest.receive(second), guest.receive(first)]
        guest.send(first, "again")
        got += guest.receive(first, second)
        guest.send(second, "again")
        return json.dumps([*got, guest.receive(first)])

    side = OneSide(flow).start().data(2, 1, session=0).data(2, session=1)
    assert side.is_running
    side.data(1, session=1)
    assert side.sent(0) == side.sent(1) == ["data", "data"]
    assert side.data(3).status.result == "[1, 1, 2, 2, 3]"


# ReplayAcceptanceTest


@named("ReplayAcceptanceTest", 1)
def test_an_event_that_is_processed_again_sends_the_same(corda: str) -> None:
    """The host dies after the guest has answered and before that is durable."""

    class Dying(MemoryStore):
        lost: Unit | None = None

        def commit(self, unit: Unit) -> None:
            if self.lost is None and [r.topic for r in unit.records] == [OUT_TOPIC]:
                self.lost = unit
                raise StorageError("the host dies here")
            super().commit(unit)

    def flow(guest: Guest) -> str:
        guest.send(guest.session, guest.receive(guest.session))
        return str(guest.receive(guest.session))

    store = Dying()
    side = OneSide(flow, store=store).respond(7)
    assert (store.lost is not None, side.sent()) == (True, [])
    side.later(1_000)
    assert [encode(m) for m in side.messages()] == [store.lost.records[0].value]
    side.data(1)  # the event of before once more: a duplicate, which changes nothing
    assert side.sent() == ["data"]


# SendAcceptanceTest, SendAndReceiveAcceptanceTest, SessionsAcceptanceTest


@named("SendAcceptanceTest", 1)
def test_several_sends(corda: str) -> None:
    def flow(guest: Guest) -> str:
        for session in opened(guest, 2, requireClose=False):
            guest.send(session, 2)
            guest.send(session, 3)
        return ""

    side = OneSide(flow).start()
    assert side.status.status is COMPLETED
    assert [m.sequence for m in side.messages()] == [1, 2, 3, 1, 2, 3]


@named("SendAcceptanceTest", 2)
def test_sending_on_a_session_that_failed(corda: str) -> None:
    def flow(guest: Guest) -> str:
        (session,) = opened(guest)
        nap(guest)
        return attempt(lambda: guest.send(session, 2))

    assert OneSide(flow).start().fails().later(WAIT).status.result == "session-error"


@named("SendAcceptanceTest", 3)
def test_each_send_resumes(corda: str) -> None:
    def flow(guest: Guest) -> str:
        sessions = opened(guest, 2, requireClose=False)
        payloads = [{"session": s, "payload": n} for n, s in enumerate(sessions)]
        guest.call("sessions", "send", messages=payloads)
        nap(guest)
        guest.call("sessions", "send", messages=payloads)
        return "sent"

    side = OneSide(flow).start()
    assert side.sent(0) == side.sent(1) == ["data"] * 2
    side.later(WAIT)
    assert (side.status.result, side.sent()) == ("sent", ["data"] * 6)


@named("SendAcceptanceTest", 4)
def test_sending_after_data_came(corda: str) -> None:
    def flow(guest: Guest) -> str:
        first, second = opened(guest, 2, requireClose=False)
        guest.receive(first, second)
        guest.send(first, 2)
        guest.send(second, 2)
        return ""

    side = OneSide(flow).start().data(1).data(1, session=1)
    assert side.sent(0) == side.sent(1) == ["data", "data"]


@named("SendAndReceiveAcceptanceTest", 1)
def test_send_and_receive(corda: str) -> None:
    side = OneSide(receives(1)).start()
    assert (side.sent(), side.is_running) == (["data"], True)


@named("SendAndReceiveAcceptanceTest", 2)
def test_send_and_receive_after_data_came(corda: str) -> None:
    def flow(guest: Guest) -> str:
        (session,) = opened(guest, requireClose=False)
        guest.receive(session)
        guest.send(session, 2)
        return str(guest.receive(session))

    side = OneSide(flow).start().data(1)
    assert (side.sent(), side.is_running) == (["data", "data"], True)
    assert side.data(2).status.result == "2"


@named("SessionsAcceptanceTest", 1)
def test_an_event_for_a_flow_that_does_not_exist(corda: str) -> None:
    side = OneSide(lambda g: "fine").start()
    side.ids = ["gone"]
    side.closes(1)
    assert (side.sent(), side.is_cleaned_up, side.dead_letters) == ([], True, 0)


# StartFlowTest


@named("StartFlowTest", 1)
def test_a_flow_runs_to_its_end(corda: str) -> None:
    network = alone(lambda g: "fine")
    assert network.start().status == "START_REQUESTED"
    network.engine.drain()
    assert (network.alice().status, network.alice().result) == (COMPLETED, "fine")


@named("StartFlowTest", 2)
def test_starting_is_switched_off_between_acceptance_and_start(corda: str) -> None:
    network = alone(lambda g: "fine")
    network.start()
    network.replace(ALICE, flow_start_status=OperationalStatus.INACTIVE)
    network.engine.drain()
    assert network.alice().status is KILLED


@named("StartFlowTest", 3)
def test_a_transient_failure_that_passes(corda: str) -> None:
    network = alone(persists)
    network.notes.failing = [UnavailableError("starting")] * 5
    network.run()
    for _ in range(5):
        network.later(16_000)
    assert network.alice().status is COMPLETED


@named("StartFlowTest", 4)
def test_a_transient_failure_that_stays(corda: str) -> None:
    network = alone(persists)
    network.notes.failing = [UnavailableError("starting")] * 6
    network.run()
    for _ in range(5):
        network.later(16_000)
    assert network.alice().status is FAILED


# SubFlowFailedAcceptanceTest, SubFlowFinishedAcceptanceTest


def enter(guest: Guest) -> None:
    guest.call("flow", "sub-flow", op="enter", flow="test.Sub", protocol="p", versions=[1])


def leave(guest: Guest) -> str:
    return attempt(lambda: guest.call("flow", "sub-flow", op="leave"))


def break_off(guest: Guest) -> None:
    guest.call("flow", "sub-flow", op="fail", message="sub broke")


def failing_sub_flow(guest: Guest) -> str:
    """Opens as many sessions in a sub-flow as the body says, and fails in it after a while."""
    enter(guest)
    opened(guest, guest.body)
    nap(guest)
    break_off(guest)
    return "went on"


@named("SubFlowFailedAcceptanceTest", 1)
def test_a_failed_sub_flow_fails_its_sessions(corda: str) -> None:
    side = OneSide(failing_sub_flow).start(2).later(WAIT)
    assert side.sent(0) == side.sent(1) == ["data", "error"]
    assert (side.status.result, side.is_cleaned_up) == ("went on", True)


@named("SubFlowFailedAcceptanceTest", 2)
def test_a_failed_sub_flow_with_an_open_and_a_closed_session(corda: str) -> None:
    def flow(guest: Guest) -> str:
        enter(guest)
        first, _ = opened(guest, 2)
        guest.close(first)
        break_off(guest)
        return "went on"

    side = OneSide(flow).start().closes(1)
    assert (side.sent(0), side.sent(1)) == (["data"], ["data", "error"])
    assert side.is_cleaned_up


@named("SubFlowFailedAcceptanceTest", 3)
def test_a_failed_sub_flow_with_closed_sessions(corda: str) -> None:
    def flow(guest: Guest) -> str:
        enter(guest)
        guest.close(*opened(guest, 2, requireClose=False))
        break_off(guest)
        return "went on"

    side = OneSide(flow).start()
    assert (side.sent(), side.status.result) == (["data", "data"], "went on")


@named("SubFlowFailedAcceptanceTest", 4)
def test_a_failed_sub_flow_with_failed_sessions(corda: str) -> None:
    side = OneSide(failing_sub_flow).start(2).fails().fails(session=1).later(WAIT)
    assert (side.sent(), side.status.result) == (["data", "data"], "went on")


@named("SubFlowFailedAcceptanceTest", 5)
def test_a_failed_sub_flow_without_sessions(corda: str) -> None:
    side = OneSide(failing_sub_flow).start(0).later(WAIT)
    assert (side.sent(), side.status.result, side.is_cleaned_up) == ([], "went on", True)


def fails_later(guest: Guest) -> str:
    guest.receive(guest.session)
    nap(guest)
    raise ValueError("no")


@named("SubFlowFailedAcceptanceTest", 6)
def test_a_failed_responder_fails_its_session(corda: str) -> None:
    side = OneSide(fails_later).respond().later(WAIT)
    assert (side.sent(), side.status.status, side.is_cleaned_up) == (["error"], FAILED, True)


@named("SubFlowFailedAcceptanceTest", 7)
def test_a_failed_responder_with_a_closed_session(corda: str) -> None:
    def flow(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.close(guest.session)
        raise ValueError("no")

    side = OneSide(flow).respond(require_close=False)
    assert (side.sent(), side.status.status, side.is_cleaned_up) == ([], FAILED, True)


@named("SubFlowFailedAcceptanceTest", 8)
def test_a_failed_responder_with_a_failed_session(corda: str) -> None:
    side = OneSide(fails_later).respond().fails().later(WAIT)
    assert (side.sent(), side.status.status, side.is_cleaned_up) == ([], FAILED, True)


@named("SubFlowFinishedAcceptanceTest", 1)
def test_a_finished_sub_flow_without_sessions(corda: str) -> None:
    side = OneSide(lambda g: f"{enter(g)} {leave(g)}").start()
    assert (side.status.result, side.sent()) == ("None ok None", [])


@named("SubFlowFinishedAcceptanceTest", 2)
def test_a_finished_sub_flow_closes_its_sessions(corda: str) -> None:
    def flow(guest: Guest) -> str:
        enter(guest)
        opened(guest)
        return leave(guest)

    side = OneSide(flow).start()
    assert side.is_running
    assert side.closes(1).status.result == "ok None"
    assert side.is_cleaned_up


@named("SubFlowFinishedAcceptanceTest", 3)
def test_a_finished_sub_flow_waits_for_no_close_that_is_not_required(corda: str) -> None:
    def flow(guest: Guest) -> str:
        enter(guest)
        guest.close(*opened(guest, requireClose=False))
        return leave(guest)

    side = OneSide(flow).start()
    assert (side.status.result, side.is_cleaned_up) == ("ok None", True)


@named("SubFlowFinishedAcceptanceTest", 4, 5)
def test_a_finished_responder(corda: str, request: pytest.FixtureRequest) -> None:
    requires = "requireClose set to true" in request.node.name
    side = OneSide(lambda g: str(g.receive(g.session))).respond(require_close=requires)
    assert side.sent() == (["close"] if requires else [])
    assert (side.status.status, side.is_cleaned_up) == (COMPLETED, True)


@named("SubFlowFinishedAcceptanceTest", 6)
def test_a_finished_responder_with_a_failed_session(corda: str) -> None:
    def flow(guest: Guest) -> str:
        guest.receive(guest.session)
        nap(guest)
        return "fine"

    side = OneSide(flow).respond().fails().later(WAIT)
    assert (side.status.result, side.sent(), side.is_cleaned_up) == ("fine", [], True)
