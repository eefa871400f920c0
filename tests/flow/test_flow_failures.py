"""Failures that no retry mends, and times that run out: the flow ends, and everybody knows."""

from collections.abc import Sequence

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.flow import FlowStatusName
from host.domain.ids import ShortHash
from host.flow.core.config import FlowConfig
from host.flow.core.events import RecordDeadLettered, RecordRetried
from host.flow.core.messages import DEAD_LETTER_TOPIC, EVENT_TOPIC, Wake, encode
from host.flow.records.history import NO_HISTORY, HistoryLimits
from host.ports.bus import NOBODY
from host.ports.state import StateRecord, StateWrite
from host.ports.units import FlowStore, JournalRow, Unit
from tests.flow.network import BOB, PARKING, Network, alone
from tests.flow.queues import ALICES, BOBS, event
from tests.flow.scripted import Guest


def ask(guest: Guest) -> str:
    guest.call("flow", "now")
    session = guest.open(BOB)
    guest.send(session, 1)
    return str(guest.receive(session))


def wait(guest: Guest) -> str:
    guest.receive(guest.session)
    return str(guest.receive(guest.session))


def suspended(store: FlowStore) -> Network:
    network = Network(store, {"test.Initiator": ask, "test.Responder": wait})
    network.run()
    return network


def put(store: FlowStore, key: str, value: bytes) -> None:
    before = store.get(key)
    store.commit(Unit(states=(StateWrite(key=key, value=value, expected=before.version),)))


def wake(
    network: Network, flow_id: str, value: bytes = encode(Wake()), node: ShortHash = ALICES
) -> None:
    network.store.commit(Unit(records=(event(EVENT_TOPIC, flow_id, value, node),)))
    network.engine.drain()


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b'{"v":99}', b"{}"])
def test_a_flow_with_a_damaged_checkpoint_fails_and_nothing_of_it_stays(
    store: FlowStore, damage: bytes
) -> None:
    network = suspended(store)
    flow_id = network.alice().flow_id
    put(store, f"flow/{flow_id}", damage)
    wake(network, flow_id)
    status = network.alice()
    assert (status.status, status.error.type) == (FlowStatusName.FAILED, "flow-record-damaged")
    assert "unrecoverable error while processing an event" in status.error.message
    assert store.get(f"flow/{flow_id}") is None
    assert store.get(f"timer/{flow_id}") is None
    assert store.journal(flow_id) == []
    assert len(store.ready("operator", [DEAD_LETTER_TOPIC])) == 1
    assert not any(isinstance(e, RecordRetried) for e in network.events)
    assert sum(isinstance(e, RecordDeadLettered) for e in network.events) == 1


@pytest.mark.parametrize("node", [BOBS, NOBODY], ids=["its-node", "nobody"])
def test_a_responder_with_a_damaged_checkpoint_fails_too(node: ShortHash) -> None:
    """Also when the record that shows it has lost whose it is."""
    network = suspended(MemoryStore())
    bob = network.bobs()[0]
    put(network.store, f"flow/{bob.flow_id}", b"")
    scan, scanned = network.store.scan, list[str]()

    def noted(prefix: str, limit: int | None = None) -> Sequence[StateRecord]:
        scanned.append(prefix)
        return scan(prefix, limit)

    network.store.scan = noted  # type: ignore[method-assign]
    wake(network, bob.flow_id, node=node)
    # The statuses of all nodes, results included, may be more than fits into memory.
    assert ("status/" in scanned) == (node == NOBODY)
    assert network.bobs()[0].status is FlowStatusName.FAILED
    assert network.alice().status is FlowStatusName.RUNNING


@pytest.mark.parametrize("history", [NO_HISTORY, HistoryLimits(retention_ms=1_000_000)])
def test_a_flow_with_a_damaged_journal_fails_and_its_peer_hears_of_it(
    store: FlowStore, history: HistoryLimits
) -> None:
    def answer_later(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.call("flow", "sleep", millis=1)
        guest.send(guest.session, 2)
        return str(guest.receive(guest.session))

    flows = {"test.Initiator": ask, "test.Responder": answer_later}
    network = Network(store, flows, history=history)
    network.run()
    PARKING.clear()  # a parked guest needs no journal
    flow_id = network.alice().flow_id
    rows = len(store.journal(flow_id))
    store.commit(Unit(journal=(JournalRow(flow_id=flow_id, number=rows, value=b"[9]"),)))
    network.later(1)
    alice, (bob,) = network.alice(), network.bobs()
    assert (alice.error.type, bob.status) == ("flow-record-damaged", FlowStatusName.FAILED)
    assert bob.error.message == alice.error.message
    assert store.journal(flow_id) == []


def test_an_event_that_nobody_can_read_fails_its_flow_and_its_peers() -> None:
    network = suspended(MemoryStore())
    wake(network, network.alice().flow_id, b"\xff")
    assert network.alice().status is FlowStatusName.FAILED
    assert network.bobs()[0].status is FlowStatusName.FAILED


def test_a_message_that_cannot_be_routed_is_refused_to_its_sender() -> None:
    def talks(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, 1)
        guest.call("flow", "sleep", millis=1)
        guest.send(session, 2)
        return str(guest.receive(session))

    network = Network(MemoryStore(), {"test.Initiator": talks, "test.Responder": wait})
    network.run()
    key = next(s.key for s in network.store.scan("session/") if s.key.endswith("-INITIATED"))
    put(network.store, key, b"rubbish")
    network.later(1)
    assert "a mapper state cannot be read" in network.alice().error.message
    assert network.store.ready("operator", [DEAD_LETTER_TOPIC])
    assert network.engine.ready() == []


def test_a_flow_that_nothing_happens_to_fails_by_its_idle_time(store: FlowStore) -> None:
    def patient(guest: Guest) -> str:
        session = guest.open(BOB, timeoutMillis=100_000_000)
        guest.send(session, 1)
        return str(guest.receive(session))

    config = FlowConfig(max_idle_ms=60_000, session_timeout_ms=100_000_000)
    flows = {"test.Initiator": patient, "test.Responder": wait}
    network = Network(store, flows, config=config)
    network.run()
    network.later(59_999)
    assert network.alice().status is FlowStatusName.RUNNING
    network.later(1)
    assert network.alice().status is FlowStatusName.FAILED
    assert network.bobs()[0].status is FlowStatusName.FAILED
    assert "processing.maxIdleTime" in network.alice().error.message


def test_a_session_expires_by_the_configured_time_also_while_the_flow_sleeps() -> None:
    def sleepy(guest: Guest) -> str:
        guest.send(guest.open(BOB), 1)
        guest.call("flow", "sleep", millis=10_000)
        return "slept"

    config = FlowConfig(session_timeout_ms=5_000)
    flows = {"test.Initiator": sleepy, "test.Responder": wait}
    network = Network(MemoryStore(), flows, config=config)
    network.run()
    network.later(5_000)
    assert "session.timeout" in network.alice().error.message


def test_times_and_limits_are_configured() -> None:
    config = FlowConfig(max_sleep_ms=10, cleanup_ms=1_000, status_retention_ms=5_000)
    network = alone(lambda g: str(g.call("flow", "sleep", millis=11)), config=config)
    assert network.run().error.message == "a flow sleeps at most 10 ms at once, not 11"
    network.later(1_000)
    assert network.store.scan("start/") == []
    assert network.alice().flow_id is not None
    network.later(5_000)
    assert network.store.scan("") == []
