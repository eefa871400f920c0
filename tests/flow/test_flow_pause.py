"""A paused node: its flows neither run nor end, and nothing times out that waits for it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs
from host.domain.vnode import NodeState, Pauses, VirtualNode
from host.flow.core.aside import ASIDE
from host.flow.core.config import FlowConfig
from host.flow.core.errors import NodePausedError
from host.flow.core.shift import flow_time
from host.flow.records.aside_sums import aside_sums
from host.nodes.vnode.registry import with_state
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB, Network, holding
from tests.flow.scripted import Guest
from tests.flow.test_flow_crash_points import (
    Death,
    Machine,
    MortalGuests,
    MortalNotes,
    MortalStore,
    Scythe,
)

HOUR = 3_600_000
QUARTER = 900_000
CONFIG = FlowConfig(session_timeout_ms=60_000, max_idle_ms=120_000)
DONE = FlowStatusName.COMPLETED


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    store = SqliteStore(tmp_path / "flows.sqlite", clock=SimClock())
    yield store
    store.close()


def set_state(network: Network, name: str, state: NodeState) -> VirtualNode:
    node = with_state(network.nodes.nodes[holding(name)], state, network.clock.now_ms())
    network.nodes.nodes[holding(name)] = node
    return node


def pause(network: Network, name: str) -> None:
    set_state(network, name, NodeState.PAUSED)


def resume(network: Network, name: str) -> None:
    set_state(network, name, NodeState.ACTIVE)


def asking(guest: Guest) -> Any:
    session = guest.open(BOB)
    guest.send(session, "question")
    return guest.receive(session)


def answering_late(guest: Guest) -> str:
    question = guest.receive(guest.session)
    guest.call("flow", "sleep", millis=30_000)
    guest.send(guest.session, question)
    return "answered"


def conversation(store: FlowStore, **options: Any) -> Network:
    flows: dict[str, Any] = {"test.Initiator": asking, "test.Responder": answering_late}
    return Network(store, flows, config=CONFIG, **options)


def statuses(network: Network) -> set[FlowStatusName]:
    return {network.alice().status, *(bob.status for bob in network.bobs())}


@pytest.mark.parametrize("paused", [ALICE, BOB])
def test_a_flow_outlives_a_pause_of_either_side_that_is_longer_than_any_timeout(
    store: FlowStore, paused: str
) -> None:
    network = conversation(store)
    network.start()
    network.engine.drain()
    pause(network, paused)
    for _ in range(12):
        network.later(HOUR // 6)
    assert not network.alice().status.is_final
    assert network.bobs()[0].status is (DONE if paused == ALICE else FlowStatusName.RUNNING)
    resume(network, paused)
    network.engine.drain()
    network.later(30_000)
    assert statuses(network) == {DONE}
    assert store.scan(f"{ASIDE}/") == []


def test_sleepers_and_timeouts_of_a_paused_node_stand_still(store: FlowStore) -> None:
    """The responder had slept for 10 s, and sleeps 20 s more; then its silence may last 60 s."""
    network = conversation(store)
    network.start()
    network.engine.drain()
    network.later(10_000)
    pause(network, BOB)
    network.later(HOUR)
    resume(network, BOB)
    network.later(19_000)
    assert not network.bobs()[0].status.is_final
    network.later(1_000)
    assert statuses(network) == {DONE}


def test_a_peer_that_stays_silent_after_its_pause_times_out_as_late_as_ever() -> None:
    network = Network(
        MemoryStore(),
        {
            "test.Initiator": asking,
            "test.Responder": lambda g: g.call("flow", "sleep", millis=QUARTER),
        },
        config=CONFIG,
    )
    network.start()
    network.engine.drain()
    pause(network, BOB)
    network.later(HOUR)
    resume(network, BOB)
    network.later(59_000)
    assert not network.alice().status.is_final
    network.later(2_000)
    error = network.alice().error
    assert error is not None
    assert error.code == "session-timeout"


def test_messages_and_starts_wait_and_clients_are_told_so(store: FlowStore) -> None:
    network = conversation(store)
    pause(network, BOB)
    network.start()
    network.engine.drain()
    assert network.bobs() == []
    (waiting,) = [each for each in aside_sums(store) if each.cause == "paused"]
    assert (waiting.keys, waiting.records) == (1, 1)
    pause(network, ALICE)
    with pytest.raises(NodePausedError):
        network.start(request_id="r2")
    resume(network, ALICE)
    resume(network, BOB)
    network.engine.drain()
    network.later(30_000)
    assert statuses(network) == {DONE}


def test_a_flow_that_is_killed_in_a_pause_ends_after_it(store: FlowStore) -> None:
    network = conversation(store)
    network.start()
    network.engine.drain()
    pause(network, ALICE)
    network.service.kill(holding(ALICE).short_hash, "r1")
    network.engine.drain()
    assert network.alice().status is FlowStatusName.RUNNING
    resume(network, ALICE)
    network.engine.drain()
    assert network.alice().status is FlowStatusName.KILLED


def test_maintenance_ends_the_flows_of_a_paused_node() -> None:
    network = conversation(MemoryStore())
    network.start()
    network.engine.drain()
    pause(network, ALICE)
    network.later(HOUR)
    node = set_state(network, ALICE, NodeState.MAINTENANCE)
    assert (node.state, node.pauses.total_ms) == (NodeState.MAINTENANCE, HOUR)
    network.service.end_all(holding(ALICE).short_hash)
    network.engine.drain()
    assert network.alice().status is FlowStatusName.KILLED


MOVES = st.lists(
    st.tuples(st.sampled_from(["pause", "resume", "nothing"]), st.integers(-1_000, HOUR)),
    max_size=30,
)


@given(MOVES)
def test_time_of_a_node_goes_on_with_the_clock_and_stands_still_in_pauses(
    moves: list[tuple[str, int]],
) -> None:
    clock, pauses, own = 0, Pauses(), 0
    for move, passed in moves:
        if move != "nothing":
            change = Pauses.begun if move == "pause" else Pauses.ended
            pauses = change(pauses, EpochMs(clock))
        clock += max(0, passed)
        own += max(0, passed) if pauses.since is None else 0
        if pauses.since is None:
            assert flow_time(clock, pauses.total_ms) == own
        else:
            assert flow_time(pauses.since, pauses.total_ms) == own


def test_a_clock_that_is_put_back_makes_no_pause_shorter_than_nothing() -> None:
    assert Pauses().begun(EpochMs(100)).ended(EpochMs(50)).total_ms == 0


class Pausing(MortalStore):
    """Tells of each commit."""

    def __init__(self, inner: FlowStore, scythe: Scythe, committed: Callable[[], None]) -> None:
        super().__init__(inner, scythe)
        self._committed = committed

    def commit(self, unit: Unit) -> None:
        super().commit(unit)
        self._committed()


class Operated(Machine):
    """A machine whose operator pauses a node at the n-th commit, for an hour."""

    def __init__(self, name: str, at: int) -> None:
        self.name, self.left, self.was_paused = name, at, False
        self.nodes: dict[Any, VirtualNode] = {}
        super().__init__(MemoryStore(), FlowConfig(session_timeout_ms=60_000))

    def boot(self, scythe: Scythe) -> Network:
        network = Network(
            Pausing(self.store, scythe, lambda: self.committed(network)), {},
            guests=MortalGuests(scythe), config=self.config, clock=self.clock,
            entropy=self.entropy, notes=MortalNotes(self.notes, scythe),
        )  # fmt: skip
        network.nodes.nodes |= self.nodes
        self.nodes = network.nodes.nodes
        return network

    def committed(self, network: Network) -> None:
        self.left -= 1
        if not self.left:
            self.was_paused = True
            pause(network, self.name)

    def live(self, at: int) -> Scythe:
        """As a `Machine`; when nothing more happens, an hour passes, and the node is resumed."""
        scythe = Scythe(at)
        try:
            network = self.boot(scythe)
            network.engine.drain()
            while self.is_paused or self.store.scan("timer/"):
                if self.is_paused:
                    network.later(HOUR)
                    resume(network, self.name)
                network.later(1_000)
        except Death:
            pass
        return scythe

    @property
    def is_paused(self) -> bool:
        return any(node.is_paused for node in self.nodes.values())


@pytest.mark.parametrize("name", [ALICE, BOB])
def test_a_pause_at_any_commit_and_a_death_in_it_change_nothing(name: str) -> None:
    at = 1
    while True:
        whole = Operated(name, at)
        points = len(whole.live(0).passed)
        whole.check()
        if not whole.was_paused:
            break
        for died_at in range(1 + at % 4, points + 1, 9):
            hurt = Operated(name, at)
            hurt.live(died_at)
            hurt.live(0)
            hurt.check()
        at += 1
    assert at > 8
