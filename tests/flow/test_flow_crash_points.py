"""Death at every point of two flows: around each commit, each effect, each answer to a guest.

The host is run until it dies at the n-th point, started again on what its store holds, and so on
for every n, also when it dies a second time. Whatever happens, both flows complete once with the
result of an undisturbed run, and every effect stands in the ledger of effects exactly once.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.flow.core.config import FlowConfig
from host.ports.guest import FlowRun, GuestOutcome, HostCallHandler
from host.ports.units import FlowStore, Unit
from tests.flow.durable_flows import FLOWS, RESULT
from tests.flow.network import CountedEntropy, Network, Notes
from tests.flow.scripted import ScriptedGuests

CHUNKED = FlowConfig(max_message_bytes=64 * 1024 + 4 * 2)
"""Two characters in a message: every payload of the flows travels in chunks."""
POINTS_MIN = 60
ALL = os.environ.get("CORDBOX_DEATHS") == "all"
AGAIN = (1, 2, 3, 5, 8, 13) if ALL else (1, 8)
"""At which points a host dies that was started again after its death."""


class Death(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class Scythe:
    """Counts the points that a run passes, and ends it at one of them. `at` 0: never."""

    at: int
    passed: list[str] = field(default_factory=list)

    def __call__(self, point: str) -> None:
        self.passed.append(point)
        if len(self.passed) == self.at:
            raise Death(point)


class MortalStore:
    def __init__(self, inner: FlowStore, scythe: Scythe) -> None:
        self._inner = inner
        self._scythe = scythe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, unit: Unit) -> None:
        self._scythe("before a commit")
        self._inner.commit(unit)
        self._scythe("after a commit")


class MortalNotes(Notes):
    """Shares the effects of `inner`: they are outside of the process that dies."""

    def __init__(self, inner: Notes, scythe: Scythe) -> None:
        super().__init__()
        self.done, self.rows = inner.done, inner.rows
        self._scythe = scythe

    def call(self, context: Any, function: str, request: Any) -> Any:
        self._scythe("before an effect")
        answer = super().call(context, function, request)
        self._scythe("after an effect")
        return answer


class MortalGuests(ScriptedGuests):
    def __init__(self, scythe: Scythe) -> None:
        super().__init__(FLOWS)
        self._scythe = scythe

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        def dying(interface: str, function: str, request: str) -> str:
            answer = host(interface, function, request)
            self._scythe(f"after {interface}.{function}")
            return answer

        outcome = super().run(run, dying)
        self._scythe("after a run")
        return outcome


class Machine:
    """What outlives a process: the disk, the time, the world in which effects stand."""

    def __init__(self, store: FlowStore, config: FlowConfig) -> None:
        self.store = store
        self.config = config
        self.clock = SimClock()
        self.entropy = CountedEntropy()
        self.notes = Notes()
        self.boot(Scythe(0)).start({"amount": 5})

    def boot(self, scythe: Scythe) -> Network:
        return Network(
            MortalStore(self.store, scythe), {}, guests=MortalGuests(scythe), config=self.config,
            clock=self.clock, entropy=self.entropy, notes=MortalNotes(self.notes, scythe),
        )  # fmt: skip

    def live(self, at: int) -> Scythe:
        """Run a process until everything has happened, or it dies at point `at`."""
        scythe = Scythe(at)
        try:
            network = self.boot(scythe)
            network.engine.drain()
            while self.store.scan("timer/"):
                network.later(1_000)
        except Death:
            pass
        return scythe

    def check(self) -> None:
        network = self.boot(Scythe(0))
        alice, (bob,) = network.alice(), network.bobs()
        assert (alice.status, alice.result) == ("COMPLETED", RESULT)
        assert (bob.status, bob.result) == ("COMPLETED", "done")
        assert [row["op"] for row in self.notes.rows] == ["persist", "merge", "persist"]
        assert len(self.notes.done) == 3
        for prefix in ("flow/", "timer/", "inbox/"):
            assert self.store.scan(prefix) == []
        assert self.store.journal(alice.flow_id) == self.store.journal(bob.flow_id) == []


@pytest.fixture(params=["whole messages", "chunks"])
def config(request: pytest.FixtureRequest) -> FlowConfig:
    return CHUNKED if request.param == "chunks" else FlowConfig()


@pytest.fixture
def machine(config: FlowConfig) -> Callable[[], Machine]:
    """Makes machines."""
    return lambda: Machine(MemoryStore(), config)


def test_the_points_are_many_and_of_every_kind(machine: Callable[[], Machine]) -> None:
    whole = machine()
    passed = whole.live(0).passed
    whole.check()
    assert len(passed) > POINTS_MIN
    assert {"before a commit", "after a commit", "before an effect", "after an effect"} < set(
        passed
    )
    assert {"after sessions.send", "after sessions.receive", "after a run"} < set(passed)


def test_death_at_any_point_changes_nothing(machine: Callable[[], Machine]) -> None:
    at = 1
    while True:
        hurt = machine()
        died = len(hurt.live(at).passed) == at
        hurt.live(0)
        hurt.check()
        if not died:
            break
        at += 1
    assert at > POINTS_MIN


@pytest.mark.parametrize("again", AGAIN)
def test_a_second_death_changes_nothing_either(machine: Callable[[], Machine], again: int) -> None:
    points = len(machine().live(0).passed)
    for at in range(1, points + 1):
        hurt = machine()
        hurt.live(at)
        hurt.live(again)
        hurt.live(0)
        hurt.check()


def test_death_every_few_points_until_the_end_changes_nothing(
    machine: Callable[[], Machine],
) -> None:
    for every in (30, 35, 40):  # the longest step, replays included, must fit between two deaths
        hurt, deaths = machine(), 0
        while len(hurt.live(every).passed) == every:
            deaths += 1
            assert deaths < 100
        hurt.check()
        assert deaths >= 2


@pytest.mark.parametrize("at", [3, 10, 17, 24, 31, 38, 45])
def test_death_changes_nothing_on_disk(tmp_path: object, at: int) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    hurt = Machine(store, FlowConfig())
    hurt.live(at)
    hurt.live(0)
    hurt.check()
    store.close()
