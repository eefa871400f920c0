"""The pool of threads: progress, isolation of partitions, wake-ups, stopping."""

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import partition_of
from host.adapters.sqlite import connections
from host.adapters.sqlite.store import SqliteStore
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, ShortHash
from host.flow.core.dispatch import COMMITTING_MAX
from host.flow.core.events import FlowEnded
from host.flow.core.messages import GROUP
from host.flow.engine.tick import TICK_S
from host.flow.engine.timers import ChargeTime, Timers, charge_nobody
from host.flow.engine.workers import FlowWorkers
from host.ports.bus import WorkQueue
from host.ports.groups import Membership
from host.ports.units import FlowStore, Unit
from host.ports.work import WorkBatch
from tests.flow.network import ALICE, BOB, CountedEntropy, Flow, Network, holding
from tests.flow.queues import ALICES
from tests.flow.scripted import Guest

WAIT_S = 10.0


class RealClock:
    def now_ms(self) -> EpochMs:
        return EpochMs(int(time.time() * 1000))


class CountedStore(MemoryStore):
    commits = 0

    def commit(self, unit: Unit) -> None:
        self.commits += 1
        super().commit(unit)


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


class Meeting(MemoryStore):
    """Its steps' commits wait until `count` of them are there, like those of one slow disk."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(count)

    def commit(self, unit: Unit) -> None:
        if unit.done:
            self._barrier.wait(WAIT_S)
        super().commit(unit)


def test_steps_that_wait_for_their_commits_let_others_begin() -> None:
    """More commits meet than there are threads for steps: the disk confirms them together."""
    names = [f"r{n}" for n in range(COMMITTING_MAX)]
    with running(Meeting(len(names)), {"test.Initiator": lambda _: "fine"}) as (network, ended):
        for name in names:
            network.start(request_id=name)
        assert ended.wait_for(*names)


def test_steps_cost_no_thread_no_connection_and_no_look_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool whose threads come and go pays for each step, and kept a connection of each thread."""
    start, hired = threading.Thread.start, list[str]()
    open_file, opened = connections.open_connection, list[Path]()

    def starting(thread: threading.Thread) -> None:
        hired.append(thread.name)
        start(thread)

    def opening(path: Path) -> sqlite3.Connection:
        opened.append(path)
        return open_file(path)

    monkeypatch.setattr(threading.Thread, "start", starting)
    monkeypatch.setattr(connections, "open_connection", opening)
    store, looks = SqliteStore(tmp_path / "flows.sqlite"), list[int]()
    with running(store, FLOWS, threads=1) as (network, ended):
        take = network.engine.take

        def taking(*args: Any) -> WorkBatch:
            look = take(*args)
            looks.append(len(look.records))
            return look

        monkeypatch.setattr(network.engine, "take", taking)
        for number in range(20):
            network.start(number, request_id=f"r{number}")
            assert ended.wait_for(f"r{number}")
    store.close()
    assert hired.count("flow") <= 3
    assert 1 <= len(opened) <= 7
    assert len(looks) >= 20 * 3
    assert looks.count(0) <= len(looks) // 20  # what another thread has taken just before


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


class Spinning:
    """Flows of one node that do not end until they are let go; how many run at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_over = False
        self.running = 0
        self.most = 0

    def __call__(self, guest: Guest) -> str:
        if guest.body != "spin":
            return "ended"
        with self._changed:
            self.running += 1
            self.most = max(self.most, self.running)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._is_over, WAIT_S)
            self.running -= 1
        return "ended"

    def wait_for(self, running: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.running == running, WAIT_S)

    def let_go(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


def start_bob(network: Network, request_id: str) -> None:
    node = network.nodes.nodes[holding(BOB)]
    network.service.start(node, network.cpi, request_id, "test.Initiator", "go")


def test_a_node_that_took_all_threads_holds_up_no_other() -> None:
    """Also though it took them while nobody else waited, and has as many waiting as it likes."""
    spinning = Spinning()
    with running(MemoryStore(), {"test.Initiator": spinning}) as (network, ended):
        for number in range(20):
            network.start("spin", request_id=f"spin-{number}")
        assert spinning.wait_for(2)
        for number in range(5):
            start_bob(network, f"bob-{number}")
            assert ended.wait_for(f"bob-{number}")
        assert spinning.most == 2
        assert not any(name.startswith("spin") for name in ended.requests)
        spinning.let_go()
        assert ended.wait_for(*[f"spin-{number}" for number in range(20)])


class Panic(BaseException):
    """As libraries in other languages raise: no Exception."""


@pytest.mark.parametrize(
    "failure", [SystemExit, Panic, KeyboardInterrupt], ids=lambda f: f.__name__
)
def test_what_would_end_a_thread_harms_its_flow_alone(
    failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    monkeypatch.setattr("host.flow.core.retry._FIRST_DELAY_MS", 1)
    runs: list[str] = []

    def dies(guest: Guest) -> str:
        if guest.body != "go" and len(runs) < 3:
            runs.append("run")
            raise failure
        return "ended"

    with running(MemoryStore(), {"test.Initiator": dies}) as (network, ended):
        network.start("die", request_id="dying")
        for number in range(5):
            start_bob(network, f"bob-{number}")
            assert ended.wait_for(f"bob-{number}")
        assert ended.wait_for("dying")
        assert network.alice("dying").result == "ended"
    assert (len(runs), len(told)) == (3, 3)


def test_a_queue_that_cannot_be_read_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monkeypatch.setattr("host.flow.engine.pool_turns.STORE_RETRY_MS", 1)

    class Torn(MemoryStore):
        failures = 0

        def take(
            self,
            queue: WorkQueue,
            limit: int,
            skip: Collection[str] = (),
            *,
            bytes_max: int | None = None,
        ) -> WorkBatch:
            if queue.node == ALICES and self.failures < 20:
                self.failures += 1
                raise KeyError("torn")
            return super().take(queue, limit, skip, bytes_max=bytes_max)

    with running(Torn(), {"test.Initiator": lambda guest: "ended"}) as (network, ended):
        network.start("go", request_id="alice")
        start_bob(network, "bob")
        assert ended.wait_for("bob", "alice")


def test_a_system_without_threads_costs_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever took the last idle place has a job, and starts another thread before it does it."""
    start, refused = threading.Thread.start, list[str]()

    def refusing(thread: threading.Thread) -> None:
        if thread.name == "flow" and len(refused) < 3 and network_runs.is_set():
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    network_runs = threading.Event()
    monkeypatch.setattr(threading.Thread, "start", refusing)
    flows: dict[str, Flow] = {"test.Initiator": lambda guest: "ended"}
    with running(MemoryStore(), flows, threads=1) as (network, ended):
        network_runs.set()
        names = [f"r{number}" for number in range(20)]
        for name in names:
            network.start("go", request_id=name)
        assert ended.wait_for(*names)
        assert refused


def test_work_that_stands_in_the_store_is_taken_up_at_the_start() -> None:
    store = MemoryStore()
    Network(store, FLOWS).start(4, request_id="before")
    with running(store, FLOWS) as (network, ended):
        assert ended.wait_for("before")
        assert network.alice("before").result == "8"


def test_flows_that_sleep_shortly_share_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen flows of ten sleeps each: one commit wakes all that are due, twenty times a second."""

    def sleeps(guest: Guest) -> str:
        for _ in range(10):
            guest.call("flow", "sleep", millis=1)
        return "rested"

    fired: list[float] = []
    fire_due = Timers.fire_due

    def counted(
        timers: Timers,
        owned: Mapping[int, int | None] | None = None,
        charge: ChargeTime = charge_nobody,
    ) -> int:
        fired.append(time.monotonic())
        return fire_due(timers, owned, charge)

    monkeypatch.setattr(Timers, "fire_due", counted)
    names = [f"r{n}" for n in range(16)]
    with running(MemoryStore(), {"test.Initiator": sleeps}) as (network, ended):
        for name in names:
            network.start(request_id=name)
        assert ended.wait_for(*names)
    assert len(fired) >= 5
    assert min(later - earlier for earlier, later in pairwise(fired)) >= TICK_S


def test_each_node_is_charged_its_part_of_the_commit_that_wakes_its_flows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three flows of Alice and one of Bob are due at once; a commit that fails counts as well."""

    def sleeps(guest: Guest) -> str:
        if guest.body:
            guest.send(guest.open(BOB), 1)
        guest.call("flow", "sleep", millis=40)
        return "awake"

    def answers(guest: Guest) -> str:
        guest.receive(guest.session)
        guest.call("flow", "sleep", millis=40)
        return "awake"

    store = MemoryStore()
    network = Network(store, {"test.Initiator": sleeps, "test.Responder": answers})
    charged: dict[ShortHash, list[float]] = {}

    def charge(node: ShortHash, cost_ms: float) -> None:
        charged.setdefault(node, []).append(cost_ms)

    def fails(_unit: Unit) -> None:
        raise StorageError("disk full")

    for name in ("r1", "r2", "r3"):
        network.start(name == "r1", request_id=name)
    network.engine.drain()
    network.clock.advance(40)
    assert network.engine.timers.fire_due(charge=charge) == 4
    alice, bob = charged[holding(ALICE).short_hash], charged[holding(BOB).short_hash]
    assert sum(alice) == pytest.approx(3 * sum(bob))
    assert sum(bob) > 0
    network.engine.drain()
    network.start(request_id="r4")
    network.engine.drain()
    network.clock.advance(40)
    monkeypatch.setattr(store, "commit", fails)
    assert network.engine.timers.fire_due(charge=charge) == 0
    assert len(alice) == 2


def test_a_sleep_of_no_time_is_no_step() -> None:
    """Three thousand of them make as few commits as a flow without any."""

    def sleeps(guest: Guest) -> str:
        for _ in range(guest.body):
            guest.call("flow", "sleep", millis=0)
        return "rested"

    commits = []
    for count in (0, 3_000):
        store = CountedStore()
        network = Network(store, {"test.Initiator": sleeps})
        assert network.run(count).result == "rested"
        commits.append(store.commits)
    assert commits[0] == commits[1]


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


class Pool:
    """Workers over a store that they share with other pools, each with an engine of its own."""

    entropy = CountedEntropy()

    def __init__(
        self, store: FlowStore, flows: dict[str, Flow], member: str, ended: Ended | None = None
    ) -> None:
        self.ended = ended or Ended()
        clock = RealClock()
        self.network = Network(
            store,
            flows,
            clock=clock,  # type: ignore[arg-type]
            events=self.ended,
            entropy=self.entropy,
        )
        self.workers = FlowWorkers(
            engine=self.network.engine, units=store, clock=clock, member=member, rescan_ms=20
        )
        self.workers.start()


def owners(store: FlowStore) -> dict[str, int]:
    return {m.member: len(m.epochs) for m in store.members(GROUP)}


class Rebalances:
    """Lets a test wait until partitions are shared out as it expects."""

    def __init__(self, store: FlowStore) -> None:
        self._changed = threading.Condition()
        store.on_rebalance(self._tell)

    def _tell(self, group: str) -> None:
        del group
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_pools_share_out_flows_and_go_on_when_one_comes_and_goes(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "flows.sqlite")
    ended = Ended()
    first = Pool(store, FLOWS, "first", ended)
    assert owners(store) == {"first": 32}
    names = [f"r{n}" for n in range(40)]
    for name in names[:15]:
        first.network.start(1, request_id=name)
    second = Pool(store, FLOWS, "second", ended)
    assert owners(store) == {"first": 16, "second": 16}
    for name in names[15:30]:
        first.network.start(1, request_id=name)
    assert first.workers.stop(WAIT_S)
    assert owners(store) == {"second": 32}
    for name in names[30:]:
        first.network.start(1, request_id=name)
    assert ended.wait_for(*names)
    assert [second.network.alice(n).result for n in names] == ["2"] * len(names)
    assert second.workers.stop(WAIT_S)
    initiators = [r for r in ended.requests if r in names]
    assert sorted(initiators) == sorted(names)
    assert owners(store) == {}
    store.close()


def test_work_that_nobody_told_of_is_found_by_the_rescan(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    elsewhere, here = SqliteStore(path), SqliteStore(path)
    pool = Pool(here, FLOWS, "here")
    Network(elsewhere, FLOWS, clock=RealClock()).start(4, request_id="quiet")  # type: ignore[arg-type]
    assert pool.ended.wait_for("quiet")
    assert pool.workers.stop(WAIT_S)
    elsewhere.close()
    here.close()


def test_a_pool_that_lost_its_partitions_meanwhile_changes_nothing() -> None:
    entered, released = threading.Event(), threading.Event()
    runs: list[str] = []

    def slow(guest: Guest) -> str:
        runs.append("run")
        if len(runs) == 1:
            entered.set()
            assert released.wait(WAIT_S)
            return "stale"
        return "fresh"

    store = MemoryStore()
    rebalances, ended = Rebalances(store), Ended()
    stale = Pool(store, {"test.Initiator": slow}, "stale", ended)
    stale.network.start()
    assert entered.wait(WAIT_S)
    store.leave(GROUP, "stale")  # taken for dead
    fresh = Pool(store, {"test.Initiator": slow}, "fresh", ended)
    rebalances.wait_for(lambda: owners(store).get("fresh", 0) >= 16)
    # The flow's partition may be the first pool's again: under another epoch than its step's.
    released.set()
    assert ended.wait_for("r1")
    assert stale.workers.stop(WAIT_S)
    assert fresh.network.alice().result == "fresh"
    assert fresh.workers.stop(WAIT_S)
    assert ended.requests.count("r1") == 1
    assert len(runs) >= 2  # a further one, if the partition moved once more


def test_the_owner_of_its_partition_fires_a_flows_timer() -> None:
    def sleeps(guest: Guest) -> str:
        guest.call("flow", "sleep", millis=40)
        return "awake"

    store = MemoryStore()
    ended = Ended()
    pools = [Pool(store, {"test.Initiator": sleeps}, name, ended) for name in ("a", "b")]
    fired: list[str] = []
    for pool in pools:
        timers = pool.network.engine.timers
        timers.fire_due = _noted(timers.fire_due, fired, pool.workers._member)  # type: ignore[method-assign]
    pools[0].network.start()
    assert ended.wait_for("r1")
    partition = partition_of(pools[0].network.alice().flow_id or "")
    owner = next(m.member for m in store.members(GROUP) if partition in m.epochs)
    assert owner in fired
    for pool in pools:
        assert pool.workers.stop(WAIT_S)


def _noted(
    action: Callable[[Mapping[int, int | None], ChargeTime], int], log: list[str], name: str
) -> Callable[[Mapping[int, int | None], ChargeTime], int]:
    def noted(owned: Mapping[int, int | None], charge: ChargeTime) -> int:
        fired = action(owned, charge)
        log.extend([name] * fired)
        return fired

    return noted


def test_a_pool_that_was_removed_joins_again() -> None:
    store = MemoryStore()
    rebalances = Rebalances(store)
    pool = Pool(store, FLOWS, "pool")
    store.leave(GROUP, "pool")
    rebalances.wait_for(lambda: owners(store) == {"pool": 32})
    pool.network.start(3, request_id="after")
    assert pool.ended.wait_for("after")
    assert pool.workers.stop(WAIT_S)


def test_a_failure_that_nobody_foresaw_does_not_end_the_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pool that stopped to say that it lives would lose its flows, and nobody would know."""
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    monkeypatch.setattr("host.flow.engine.workers.STORE_RETRY_MS", 1)
    beaten = threading.Event()

    class Failing(MemoryStore):
        beats = 0

        def heartbeat(self, group: str, member: str) -> Membership:
            self.beats += 1
            if self.beats == 1:
                raise ZeroDivisionError
            beaten.set()
            return super().heartbeat(group, member)

    store = Failing()
    with running(store, FLOWS):
        store.join(GROUP, "another", ttl_ms=60_000)  # told to the pool, which looks at once
        assert beaten.wait(WAIT_S)
    assert [args.exc_type for args in told] == [ZeroDivisionError]
