"""What Corda's tests of its flow mapper, its statuses and its flow REST resource prove.

The tests of the REST resource that are about HTTP stand in `tests/rest`.
"""

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.errors import ConflictError, InvalidInputError, NotAllowedError, StorageError
from host.domain.flow import FlowStatusName
from host.domain.vnode import OperationalStatus
from host.flow.core.messages import (
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    Close,
    Data,
    Party,
    SessionFailure,
    SessionMessage,
    StartFlow,
    decode_event,
    encode,
)
from host.flow.core.statuses import StoredStatus, read_status, status_key, write_status
from host.ports.bus import NewRecord
from host.ports.glances import GlanceQuery
from host.ports.units import Unit
from tests.flow.corda_names import named
from tests.flow.network import ALICE, BOB, Network, alone, holding
from tests.flow.queues import Remembering, event, to_the_mapper, waiting
from tests.flow.scripted import Guest

HERE = holding(ALICE).short_hash


def ask(guest: Guest) -> str:
    session = guest.open(BOB)
    for number in range(3):
        guest.send(session, number)
    return str(guest.receive(session))


def answer(guest: Guest) -> str:
    total = sum(guest.receive(guest.session) for _ in range(3))
    guest.send(guest.session, total)
    return ""


def talking() -> Network:
    return Network(Remembering(), {"test.Initiator": ask, "test.Responder": answer})


def records(network: Network, topic: str) -> list[object]:
    """All that was ever published to a topic, or that waits in it."""
    if not isinstance(network.store, Remembering):
        return [decode_event(r.value) for r in waiting(network.store, topic)]
    return [decode_event(r.value) for r in network.store.published if r.topic == topic]


# FlowMapperServiceIntegrationTest


@named("FlowMapperServiceIntegrationTest", 1)
def test_the_first_message_maps_its_session_and_the_rest_follow(corda: str) -> None:
    network = talking()
    assert network.run().result == "3"
    assert len(network.store.scan("session/")) == 2
    for_flows = [e for e in records(network, EVENT_TOPIC) if isinstance(e, SessionMessage)]
    assert [type(e.payload) for e in for_flows] == [Data, Data, Data, Close]


@named("FlowMapperServiceIntegrationTest", 2)
def test_a_start_that_is_repeated_starts_nothing_until_it_is_cleaned_up(corda: str) -> None:
    runs: list[str] = []
    network = alone(lambda g: runs.append(g.start["flowId"]) or "fine")
    network.start()
    again = to_the_mapper(network.store)
    network.store.commit(Unit(records=(again,)))
    network.engine.drain()
    assert len(runs) == 1
    network.later(600_000)
    assert network.store.scan("start/") == []
    network.store.commit(Unit(records=(again,)))
    network.engine.drain()
    assert len(runs) == 2


def stray(payload: object) -> NewRecord:
    message = SessionMessage(
        session_id="unknown", sequence=2, source=Party.of(holding(BOB)),
        target=Party.of(holding(ALICE)), payload=payload,
    )  # fmt: skip
    return event(IN_TOPIC, "unknown", encode(message))


@named("FlowMapperServiceIntegrationTest", 3)
def test_an_error_for_a_session_that_nobody_knows_is_dropped(corda: str) -> None:
    network = talking()
    network.store.commit(Unit(records=(stray(SessionFailure(code="x", message="m")),)))
    network.engine.drain()
    assert records(network, EVENT_TOPIC) == []
    assert network.store.scan("session/") == []


@named("FlowMapperServiceIntegrationTest", 5)
def test_data_for_a_session_that_nobody_knows_is_answered_by_an_error(corda: str) -> None:
    network = talking()
    network.store.commit(Unit(records=(stray(Data(payload="1")),)))
    (source,) = network.engine.ready()
    network.engine.process(source)
    (record,) = waiting(network.store, OUT_TOPIC)
    refusal = decode_event(record.value)
    assert (refusal.session_id, refusal.payload.code) == ("unknown-INITIATED", "session-expired")


@named("FlowMapperServiceIntegrationTest", 6)
def test_the_mapper_forgets_old_sessions(corda: str) -> None:
    network = talking()
    network.run()
    network.later(599_999)
    assert len(network.store.scan("session/")) == 2
    network.later(1)
    assert network.store.scan("session/") == []


# DurableFlowStatusProcessorTest


def status(name: FlowStatusName, request_id: str = "r1", at: int = 1) -> StoredStatus:
    return StoredStatus(
        holding=HERE, request_id=request_id, flow_id=None, flow_class="F", status=name,
        updated_at=at,
    )  # fmt: skip


def written(store: MemoryStore, *statuses: StoredStatus) -> list[str]:
    """Record the statuses in turn; what stands then."""
    for new in statuses:
        before = store.get(status_key(HERE, new.request_id))
        write = write_status(before, new)
        store.commit(Unit(states=() if write is None else (write,)))
    return [read_status(r).status for r in store.scan("status/")]


@named("DurableFlowStatusProcessorTest", 3)
def test_a_status_is_recorded(corda: str) -> None:
    assert written(MemoryStore(), status(FlowStatusName.RUNNING)) == ["RUNNING"]


@named("DurableFlowStatusProcessorTest", 4)
def test_each_flow_has_its_status(corda: str) -> None:
    running, failed = status(FlowStatusName.RUNNING), status(FlowStatusName.FAILED, "r2")
    assert written(MemoryStore(), running, failed) == ["RUNNING", "FAILED"]


@named("DurableFlowStatusProcessorTest", 5)
def test_a_status_is_replaced(corda: str) -> None:
    store = MemoryStore()
    written(store, status(FlowStatusName.START_REQUESTED))
    assert written(store, status(FlowStatusName.RUNNING)) == ["RUNNING"]


@named("DurableFlowStatusProcessorTest", 6)
@pytest.mark.parametrize("final", [s for s in FlowStatusName if s.is_final])
def test_a_final_status_stays(corda: str, final: FlowStatusName) -> None:
    store = MemoryStore()
    written(store, status(final))
    assert written(store, status(FlowStatusName.RUNNING)) == [final]


@named("DurableFlowStatusProcessorTest", 7)
def test_a_status_is_recorded_and_replaced_at_once(corda: str) -> None:
    first, second = status(FlowStatusName.RUNNING), status(FlowStatusName.COMPLETED)
    assert written(MemoryStore(), first, second) == ["COMPLETED"]


# FlowRestResourceImplTest, what is not about HTTP


def several() -> Network:
    network = alone(lambda g: "fine" if g.body else g.call("flow", "none"))
    for number, body in enumerate((True, False, True)):
        network.start(body, request_id=f"r{number}")
    network.engine.drain()
    return network


def listed(network: Network, name: str | None = None) -> list[str]:
    found = network.service.page(GlanceQuery(node=HERE, status=name), 100)
    return sorted(glance.request_id for glance in found)


@named("FlowRestResourceImplTest", 2)
def test_the_status_of_a_flow(corda: str) -> None:
    assert several().alice("r0").status is FlowStatusName.COMPLETED


@named("FlowRestResourceImplTest", 5)
def test_the_statuses_of_a_nodes_flows(corda: str) -> None:
    assert listed(several()) == ["r0", "r1", "r2"]


@named("FlowRestResourceImplTest", 6)
def test_the_completed_flows(corda: str) -> None:
    assert listed(several(), "COMPLETED") == ["r0", "r2"]


@named("FlowRestResourceImplTest", 7)
def test_the_failed_flows(corda: str) -> None:
    assert listed(several(), "FAILED") == ["r1"]


@named("FlowRestResourceImplTest", 10)
def test_a_start_is_published(corda: str) -> None:
    network = alone(lambda g: "fine")
    assert network.start().status is FlowStatusName.START_REQUESTED
    assert [type(r) for r in records(network, EVENT_TOPIC)] == [StartFlow]


@named("FlowRestResourceImplTest", 11)
def test_starting_flows_is_switched_off(corda: str) -> None:
    network = alone(lambda g: "fine")
    network.replace(ALICE, flow_start_status=OperationalStatus.INACTIVE)
    with pytest.raises(NotAllowedError):
        network.start()
    assert records(network, EVENT_TOPIC) == []


@named("FlowRestResourceImplTest", 15)
def test_a_client_request_id_is_taken_once(corda: str) -> None:
    network = alone(lambda g: "fine")
    network.start()
    with pytest.raises(ConflictError):
        network.start()
    assert len(records(network, EVENT_TOPIC)) == 1


@named("FlowRestResourceImplTest", 16, 22)
def test_what_cannot_be_started(corda: str, request: pytest.FixtureRequest) -> None:
    network = alone(lambda g: "fine")
    wrong = {"request_id": ""} if "clientRequestId" in request.node.name else {"flow": "no.Flow"}
    with pytest.raises(InvalidInputError):
        network.start(**wrong)
    assert records(network, EVENT_TOPIC) == []


class Full(MemoryStore):
    def commit(self, unit: Unit) -> None:
        raise StorageError("disk full")


@named("FlowRestResourceImplTest", 17)
def test_a_start_that_cannot_be_stored_is_not_accepted(corda: str) -> None:
    network = Network(Full(), {"test.Initiator": ask})
    with pytest.raises(StorageError, match="disk full"):
        network.start()
    assert records(network, EVENT_TOPIC) == []
