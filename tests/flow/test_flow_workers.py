"""The pool of threads: progress, isolation of partitions, wake-ups, stopping."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.bus.memory import MemoryStore
from host.bus.sqlite import SqliteStore
from host.domain.ids import EpochMs
from host.flow.events import FlowEnded
from host.flow.workers import FlowWorkers
from host.ports.units import FlowStore
from tests.flow.network import BOB, Flow, Network
from tests.flow.scripted import Guest

WAIT_S = 20.0


class RealClock:
    def now_ms(self) -> EpochMs:
        return EpochMs(int(time.time() * 1000))


class Ended:
    """Collects ended flows, and lets a test wait for the n-th of them."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, event: object) -> None:
        if isinstance(event, FlowEnded):
            with self._changed:
                self.requests.append(event.request_id)
                self._changed.notify_all()

    def wait_for(self, *request_ids: str) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: {*request_ids} <= {*self.requests}, WAIT_S)


@contextmanager
def running(
    store: FlowStore, flows: dict[str, Flow], threads: int = 2
) -> Iterator[tuple[Network, Ended]]:
    ended = Ended()
    network = Network(store, flows, clock=RealClock(), events=ended)  # type: ignore[arg-type]
    workers = FlowWorkers(engine=network.engine, units=store, clock=RealClock(), threads=threads)
    workers.start()
    try:
        yield network, ended
    finally:
        assert workers.stop(WAIT_S)


def ask(guest: Guest) -> str:
    session = guest.open(BOB)
    guest.send(session, guest.body)
    return str(guest.receive(session))


def answer(guest: Guest) -> str:
    guest.send(guest.session, guest.receive(guest.session) * 2)
    return ""


FLOWS: dict[str, Flow] = {"test.Initiator": ask, "test.Responder": answer}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_many_flows_run_on_several_threads(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "flows.sqlite")
    names = [f"r{n}" for n in range(30)]
    with running(store, FLOWS, threads=3) as (network, ended):
        for number, name in enumerate(names):
            network.start(number, request_id=name)
        assert ended.wait_for(*names)
        assert [network.alice(n).result for n in names] == [str(2 * n) for n in range(30)]
    store.close()


def test_a_guest_that_does_not_end_blocks_only_its_partition() -> None:
    entered, released = threading.Event(), threading.Event()

    def spins(guest: Guest) -> str:
        if guest.body == "spin":
            entered.set()
            assert released.wait(WAIT_S)
        return "ended"

    with running(MemoryStore(), {"test.Initiator": spins}) as (network, ended):
        network.start("spin", request_id="spinning")
        assert entered.wait(WAIT_S)
        names = [f"r{n}" for n in range(4)]
        for name in names:
            network.start("go", request_id=name)
        done = ended.wait_for(*names)
        assert "spinning" not in ended.requests
        released.set()
        assert done
        assert ended.wait_for("spinning")


def test_work_that_stands_in_the_store_is_taken_up_at_the_start() -> None:
    store = MemoryStore()
    Network(store, FLOWS).start(4, request_id="before")
    with running(store, FLOWS) as (network, ended):
        assert ended.wait_for("before")
        assert network.alice("before").result == "8"


def test_a_sleeper_is_woken_by_the_clock() -> None:
    def sleeps(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=30)
        return "awake"

    with running(MemoryStore(), {"test.Initiator": sleeps}) as (network, ended):
        network.start()
        assert ended.wait_for("r1")
        assert network.alice().result == "awake"


def test_stopping_waits_for_the_running_step() -> None:
    entered, released = threading.Event(), threading.Event()

    def slow(guest: Guest) -> str:
        entered.set()
        assert released.wait(WAIT_S)
        return "ended"

    network = Network(MemoryStore(), {"test.Initiator": slow})
    workers = FlowWorkers(engine=network.engine, units=network.store, clock=RealClock(), threads=1)
    workers.start()
    network.start()
    assert entered.wait(WAIT_S)
    assert not workers.stop(0.01)
    released.set()
    assert workers.stop(WAIT_S)
    assert network.alice().result == "ended"
