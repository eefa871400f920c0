import json

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import HostError, UnavailableError
from host.domain.flow import FlowStatusName
from host.domain.ids import Checksum
from host.domain.packages import FlowKind
from host.domain.vnode import OperationalStatus
from host.flow.core.config import FlowConfig
from host.flow.core.events import FlowEnded, MessageRefused, RecordDeadLettered, RecordRetried
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    Data,
    Party,
    SessionMessage,
    Wake,
    encode,
)
from host.ports.guest import Finished, FlowRun, GuestKilledError, GuestOutcome, HostCallHandler
from host.ports.units import FlowStore, Unit
from tests.flow.network import (
    ALICE,
    BOB,
    PARKING,
    RESPONDER,
    Flow,
    Network,
    alone,
    declare,
    holding,
)
from tests.flow.queues import Remembering, event
from tests.flow.scripted import CallFailed, Guest, ScriptedGuests


def ask(guest: Guest) -> str:
    session = guest.open(BOB)
    guest.send(session, guest.body)
    return f"answer {guest.receive(session)}"


def answer(guest: Guest) -> str:
    guest.send(guest.session, guest.receive(guest.session) * 2)
    return "responded"


def test_two_parties_exchange_and_both_complete(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": ask, "test.Responder": answer})
    status = network.run(21)
    assert (status.status, status.result) == (FlowStatusName.COMPLETED, "answer 42")
    (bob,) = network.bobs()
    assert (bob.status, bob.result, bob.flow_class) == ("COMPLETED", "responded", "test.Responder")
    assert bob.client_request_id.endswith("-INITIATED")


@pytest.mark.parametrize(("length", "ends"), [(100, "COMPLETED"), (101, "FAILED")])
def test_a_result_has_a_largest_size(store: FlowStore, length: int, ends: str) -> None:
    config = FlowConfig(max_result_bytes=300)
    network = Network(store, {"test.Initiator": lambda guest: "€" * length}, config=config)
    status = network.run()
    assert status.status == ends
    if ends == "COMPLETED":
        return
    assert status.result is None
    assert status.error is not None
    assert status.error.type == "flow-result-too-large"
    assert status.error.message == "the flow's result has 303 bytes, at most 300"


def test_ended_flows_leave_no_checkpoint_journal_or_timer(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": ask, "test.Responder": answer})
    status = network.run(1)
    assert store.scan("flow/") == []
    assert store.scan("timer/") == []
    assert store.journal(status.flow_id) == []


def test_a_failing_responder_fails_both_sides_with_its_message(store: FlowStore) -> None:
    def refuse(guest: Guest) -> str:
        guest.receive(guest.session)
        raise ValueError("not for you")

    network = Network(store, {"test.Initiator": ask, "test.Responder": refuse})
    status = network.run(1)
    assert status.status is FlowStatusName.FAILED
    assert (status.error.type, status.error.message) == ("FLOW_FAILED", "not for you")
    (bob,) = network.bobs()
    assert bob.status is FlowStatusName.FAILED
    assert bob.error.message == "not for you"
    ended = [e for e in network.events if isinstance(e, FlowEnded)]
    assert ended[0].trace == ("flows.py:1 call",)


def test_the_peers_failure_can_be_caught_and_has_its_message(store: FlowStore) -> None:
    def forgiving(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        try:
            guest.receive(session)
        except CallFailed as exc:
            return f"{exc.code}: {exc}"
        return "no failure"

    def refuse(guest: Guest) -> str:
        raise ValueError("not for you")

    network = Network(store, {"test.Initiator": forgiving, "test.Responder": refuse})
    assert network.run().result == "session-error: not for you"


def test_the_initiators_failure_reaches_the_responder() -> None:
    def fails(guest: Guest) -> str:
        guest.send(guest.open(BOB), 1)
        raise ValueError("changed my mind")

    def waits(guest: Guest) -> str:
        guest.receive(guest.session)
        return str(guest.receive(guest.session))

    network = Network(MemoryStore(), {"test.Initiator": fails, "test.Responder": waits})
    assert network.run().error.message == "changed my mind"
    (bob,) = network.bobs()
    assert (bob.status, bob.error.message) == (FlowStatusName.FAILED, "changed my mind")


def test_a_killed_guest_fails_its_flow_with_the_sandboxs_code() -> None:
    def spins(guest: Guest) -> str:
        raise GuestKilledError("out-of-fuel", "the flow used 2000000000 fuel")

    status = alone(spins).run()
    assert (status.status, status.error.type) == (FlowStatusName.FAILED, "out-of-fuel")


def test_a_capability_that_is_not_granted_ends_the_flow() -> None:
    status = alone(lambda g: g.call("signing", "sign")).run()
    assert status.error.type == "capability-not-granted"


def test_the_start_argument_is_what_the_host_api_says() -> None:
    starts: list[dict[str, object]] = []

    def initiator(guest: Guest) -> str:
        starts.append(guest.start)
        session = guest.open(BOB)
        guest.send(session, 1)
        return session

    def responder(guest: Guest) -> str:
        starts.append(guest.start)
        return str(guest.receive(guest.session))

    network = Network(MemoryStore(), {"test.Initiator": initiator, "test.Responder": responder})
    alice = network.run({"a": [1, None]})
    bob = network.bobs()[0]
    assert starts[0] == {
        "flowId": alice.flow_id, "flowClass": "test.Initiator", "me": ALICE,
        "requestBody": {"a": [1, None]}, "session": None,
    }  # fmt: skip
    session = {"id": bob.client_request_id, "counterparty": ALICE, "protocol": "p", "version": 1}
    assert starts[-1] == {
        "flowId": bob.flow_id, "flowClass": "test.Responder", "me": BOB, "requestBody": None,
        "session": session,
    }  # fmt: skip
    assert bob.client_request_id == f"{alice.result}-INITIATED"


def test_the_highest_common_protocol_version_is_chosen() -> None:
    declared = (
        declare("test.Initiator", versions=(1, 2, 3)),
        declare("test.Responder", FlowKind.RESPONDER, versions=(1,)),
        declare("test.Responder2", FlowKind.RESPONDER, versions=(2, 4)),
    )

    def initiator(guest: Guest) -> str:
        session = guest.open(BOB)
        info = guest.call("sessions", "info", session=session)
        again = guest.call("sessions", "info", session=session)
        assert info == again
        return json.dumps(info)

    flows: dict[str, Flow] = {
        "test.Initiator": initiator,
        "test.Responder2": lambda g: json.dumps(g.call("sessions", "info", session=g.session)),
    }
    network = Network(MemoryStore(), flows, declared=declared)
    info = json.loads(network.run().result)
    assert info == {"counterparty": BOB, "protocol": "p", "protocolVersion": 2}
    assert json.loads(network.bobs()[0].result)["counterparty"] == ALICE


def test_no_common_protocol_version_is_the_initiators_error() -> None:
    declared = (declare("test.Initiator", versions=(3,)), RESPONDER)
    network = Network(MemoryStore(), {"test.Initiator": ask}, declared=declared)
    status = network.run(1)
    assert status.error.message == "No responder is configured for protocol p at versions [3]"
    assert network.bobs() == []


def test_a_flow_that_diverges_from_its_journal_fails_and_names_the_call() -> None:
    runs: list[int] = []

    def fickle(guest: Guest) -> str:
        runs.append(1)
        guest.call("flow", "now") if len(runs) == 1 else guest.call("flow", "random", bytes=1)
        guest.call("flow", "sleep", millis=1)
        return ""

    def changes_its_wait(guest: Guest) -> str:
        runs.append(1)
        guest.call("flow", "sleep", millis=len(runs))
        return ""

    def stops_early(guest: Guest) -> str:
        runs.append(1)
        if len(runs) == 1:
            guest.call("flow", "sleep", millis=1)
        return ""

    for flow in (fickle, changes_its_wait, stops_early):
        runs.clear()
        network = alone(flow)
        network.run()
        PARKING.clear()  # What is parked goes on, and is not compared with anything.
        network.later(2)
        error = network.alice().error
        assert error.type == "flow-non-deterministic"
        assert "call 0" in error.message


def test_a_virtual_node_in_maintenance_kills_its_flows_and_peers_see_it() -> None:
    def waits(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.call("flow", "sleep", millis=10)
        return ""

    network = Network(MemoryStore(), {"test.Initiator": ask, "test.Responder": waits})
    network.run(1)
    network.replace(BOB, flow_status=OperationalStatus.INACTIVE)
    network.later(10)
    assert network.bobs()[0].status is FlowStatusName.KILLED
    assert network.alice().status is FlowStatusName.FAILED
    assert "not operational" in network.alice().error.message


def test_a_peer_that_takes_no_messages_is_the_initiators_error() -> None:
    network = Network(MemoryStore(), {"test.Initiator": ask, "test.Responder": answer})
    network.replace(BOB, flow_p2p_status=OperationalStatus.INACTIVE)
    assert "takes no session messages" in network.run(1).error.message
    assert any(isinstance(e, MessageRefused) for e in network.events)


def test_late_data_for_an_ended_responder_is_answered_by_an_error() -> None:
    def chatty(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        guest.receive(session)
        return ""

    def leaves(guest: Guest) -> str:
        guest.receive(guest.session)
        return ""

    network = Network(Remembering(), {"test.Initiator": chatty, "test.Responder": leaves})
    assert network.run().error.message == f"the session with {BOB} is closed"
    key = network.store.scan("session/")[1].key.removeprefix("session/")
    late = SessionMessage(
        session_id=key, sequence=9, source=Party.of(holding(ALICE)), target=Party.of(holding(BOB)),
        payload=Data(payload="1"),
    )  # fmt: skip
    network.store.commit(Unit(records=(event(IN_TOPIC, key, encode(late)),)))
    network.engine.drain()
    answers = [r for r in network.store.published if r.topic == OUT_TOPIC]
    assert any(b'"session-expired"' in r.value for r in answers)


def test_mapper_states_and_statuses_are_forgotten_in_time(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": ask, "test.Responder": answer})
    network.run(1)
    assert len(store.scan("session/")) == 2
    network.later(600_000)
    assert list(store.scan("session/")) == []
    assert list(store.scan("start/")) == []
    assert network.alice().status is FlowStatusName.COMPLETED
    network.later(604_800_000)
    assert list(store.scan("")) == []


def test_mapper_states_outlive_a_long_flow() -> None:
    def slow(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        guest.call("flow", "sleep", millis=900_000)
        return str(guest.receive(session))

    network = Network(MemoryStore(), {"test.Initiator": slow, "test.Responder": answer})
    network.run()
    network.later(600_000)
    network.later(300_000)
    assert network.alice().result == "2"


def test_a_platform_that_is_unavailable_is_tried_again_and_the_flow_never_notices() -> None:
    network = alone(lambda g: str(g.call("persistence", "write", op="persist")))
    network.notes.failing = [UnavailableError("vault is starting")] * 3
    network.run()
    retries = [e.attempt for e in network.events if isinstance(e, RecordRetried)]
    assert retries == [1]
    for _ in range(3):
        network.later(8_000)
    assert network.alice().result == "1"
    assert len(network.notes.rows) == 1


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (UnavailableError("vault is down"), "platform-unavailable"),
        (RuntimeError("a fault"), "platform-failure"),
    ],
)
def test_a_record_that_keeps_failing_goes_to_the_dead_letters_and_the_flow_fails(
    store: FlowStore, failure: Exception, code: str
) -> None:
    def initiator(guest: Guest) -> str:
        guest.send(guest.open(BOB), 1)
        return str(guest.call("persistence", "write", op="persist"))

    def responder(guest: Guest) -> str:
        return str(guest.receive(guest.session) and guest.receive(guest.session))

    network = Network(store, {"test.Initiator": initiator, "test.Responder": responder})
    network.notes.failing = [failure] * 6
    network.run()
    for _ in range(5):
        network.later(16_000)
    status = network.alice()
    assert (status.status, status.error.type) == (FlowStatusName.FAILED, code)
    (letter,) = [e for e in network.events if isinstance(e, RecordDeadLettered)]
    assert str(failure) in letter.reason
    assert ("a fault" in status.error.message) is False
    assert len(store.ready("operator", [DEAD_LETTER_TOPIC])) == 1
    assert network.bobs()[0].error.message == status.error.message


def test_a_flow_whose_code_is_missing_fails_after_its_retries() -> None:
    network = alone(lambda g: "never")
    network.packages.cpi = None
    network.run()
    for _ in range(5):
        network.later(16_000)
    assert network.alice().error.type == "platform-unavailable"


def test_a_record_that_nobody_can_read_does_not_stop_its_partition() -> None:
    network = alone(lambda g: "fine")
    network.run()
    flow_id = "rubbish"
    rubbish = event(EVENT_TOPIC, flow_id, b"\xff")
    network.store.commit(Unit(records=(rubbish,)))
    for _ in range(5):
        network.later(16_000)
    assert len(network.store.ready("operator", [DEAD_LETTER_TOPIC])) == 1
    assert network.engine.ready() == []


def test_an_event_for_a_flow_that_is_gone_is_dropped() -> None:
    network = alone(lambda g: "fine")
    network.store.commit(Unit(records=(event(EVENT_TOPIC, "gone", encode(Wake())),)))
    assert network.engine.drain() == 1
    assert network.store.scan("") == []


def test_an_initiator_hears_that_its_responder_could_not_start() -> None:
    network = Network(MemoryStore(), {"test.Initiator": ask, "test.Responder": answer})
    network.replace(BOB, cpi_checksum=Checksum("SHA-256:" + "00" * 32))
    network.run(1)
    for _ in range(5):
        network.later(16_000)
    assert "is not stored on this host" in network.alice().error.message


class Misleading(ScriptedGuests):
    """Blames the guest for what the platform did."""

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        try:
            return super().run(run, host)
        except HostError as exc:
            raise GuestKilledError(exc.code, exc.message) from exc


class Swallowing(ScriptedGuests):
    """Answers a result although a host call failed."""

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        try:
            return super().run(run, host)
        except HostError:
            return Finished(result="nothing happened")


@pytest.mark.parametrize("guests", [Misleading, Swallowing])
def test_the_platforms_failure_is_never_taken_for_the_guests(guests: type[ScriptedGuests]) -> None:
    flow: Flow = lambda g: str(g.call("persistence", "write", op="persist"))  # noqa: E731
    network = Network(MemoryStore(), {}, guests=guests({"test.Initiator": flow}))
    network.notes.failing = [UnavailableError("vault is starting")]
    network.run()
    network.later(1_000)
    assert network.alice().result == "1"
