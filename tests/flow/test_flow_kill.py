"""An operator ends a flow, whatever it is doing."""

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import ConflictError, NotFoundError
from host.domain.flow import FlowStatusName
from host.ports.units import FlowStore
from tests.flow.network import ALICE, BOB, Network, alone, holding
from tests.flow.scripted import Guest

HERE, THERE = holding(ALICE).short_hash, holding(BOB).short_hash


def ask(guest: Guest) -> str:
    session = guest.open(BOB)
    guest.send(session, 1)
    return str(guest.receive(session))


def wait(guest: Guest) -> str:
    guest.receive(guest.session)
    return str(guest.receive(guest.session))


def test_a_suspended_flow_is_killed_and_its_peer_fails(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": ask, "test.Responder": wait})
    network.run()
    before = network.service.kill(HERE, "r1", "no longer needed")
    assert before.status is FlowStatusName.RUNNING
    network.engine.drain()
    killed, (bob,) = network.alice(), network.bobs()
    assert (killed.status, killed.error.type) == (FlowStatusName.KILLED, "flow-killed")
    assert killed.error.message == bob.error.message == "no longer needed"
    assert bob.status is FlowStatusName.FAILED
    assert [*store.scan("flow/"), *store.scan("timer/")] == []
    assert store.journal(killed.flow_id) == []


def test_a_responder_is_killed_by_its_session_id() -> None:
    network = Network(MemoryStore(), {"test.Initiator": ask, "test.Responder": wait})
    network.run()
    network.service.kill(THERE, network.bobs()[0].client_request_id)
    network.engine.drain()
    assert network.bobs()[0].status is FlowStatusName.KILLED
    assert network.alice().error.message == "Flow was killed by an operator."


def test_a_flow_is_killed_before_it_started() -> None:
    runs: list[int] = []
    network = alone(lambda g: runs.append(1) or g.call("flow", "sleep", millis=5) or "late")
    network.start()
    network.service.kill(HERE, "r1")
    network.engine.drain()
    assert network.alice().status is FlowStatusName.KILLED
    assert len(runs) <= 1


def test_a_flow_that_waits_for_a_close_is_killed() -> None:
    def opens(guest: Guest) -> str:
        guest.send(guest.open(BOB), 1)
        return "done"

    network = Network(MemoryStore(), {"test.Initiator": opens, "test.Responder": wait})
    network.run()
    assert network.alice().status is FlowStatusName.RUNNING
    network.service.kill(HERE, "r1")
    network.service.kill(HERE, "r1")  # twice is once
    network.engine.drain()
    assert network.alice().status is FlowStatusName.KILLED


def test_a_flow_of_a_node_that_is_gone_is_killed() -> None:
    network = Network(MemoryStore(), {"test.Initiator": ask, "test.Responder": wait})
    network.run()
    network.service.kill(HERE, "r1", "mine")
    del network.nodes.nodes[holding(ALICE)]
    network.engine.drain()
    assert network.alice().error.message == "mine"


def test_flows_that_ended_or_never_were_are_not_killed() -> None:
    network = alone(lambda g: "fine")
    network.run()
    with pytest.raises(ConflictError) as ended:
        network.service.kill(HERE, "r1")
    assert ended.value.code == "flow-ended"
    with pytest.raises(NotFoundError):
        network.service.kill(HERE, "other")
    assert network.engine.ready() == []
