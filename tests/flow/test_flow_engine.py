from host.domain.flow import FlowStatusName
from host.flow.events import FlowEnded
from host.ports.units import FlowStore
from tests.flow.network import BOB, Network
from tests.flow.scripted import Guest


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
