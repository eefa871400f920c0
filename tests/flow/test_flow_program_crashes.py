"""Death at every point of two flows whose calls are programs.

As `test_flow_crash_points.py`: around each commit, each call of a program, each run of a guest.
Programs are kept between steps, or replayed in each.
"""

from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.flow.core.program_state import program_journal
from host.ports.units import FlowStore
from tests.flow.network import CountedEntropy, Network
from tests.flow.programs import FLOWS, ProgramNotes, table
from tests.flow.scripted import ScriptedGuests
from tests.flow.test_flow_crash_points import ALL, Death, MortalStore, Scythe

POINTS_MIN = 25


class MortalNotes(ProgramNotes):
    def __init__(self, inner: ProgramNotes, scythe: Scythe) -> None:
        super().__init__()
        self.done, self.rows = inner.done, inner.rows
        self._scythe = scythe

    def call(self, context: Any, function: str, request: Any) -> Any:
        self._scythe(f"before {function}")
        answer = super().call(context, function, request)
        self._scythe(f"after {function}")
        return answer


class Machine:
    """What outlives a process."""

    def __init__(self, store: FlowStore) -> None:
        self.store = store
        self.clock = SimClock()
        self.entropy = CountedEntropy()
        self.notes = ProgramNotes()
        self.boot(Scythe(0)).start({})

    def boot(self, scythe: Scythe) -> Network:
        return Network(
            MortalStore(self.store, scythe), {}, guests=ScriptedGuests(FLOWS), clock=self.clock,
            entropy=self.entropy, notes=MortalNotes(self.notes, scythe), programs=table(),
        )  # fmt: skip

    def live(self, at: int) -> Scythe:
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
        assert (alice.status, alice.result) == ("COMPLETED", "agreed")
        assert (bob.status, bob.result) == ("COMPLETED", "3")
        effects = [row[1]["what"] for row in self.notes.rows if isinstance(row, tuple)]
        assert effects == ["begin", "offered", "end"]
        for prefix in ("flow/", "timer/", "inbox/"):
            assert self.store.scan(prefix) == []
        for flow in (alice.flow_id, bob.flow_id):
            assert self.store.journal(flow) == []
            assert all(self.store.journal(program_journal(flow, n)) == [] for n in range(4))


def test_the_points_are_many_and_of_every_kind() -> None:
    whole = Machine(MemoryStore())
    passed = whole.live(0).passed
    whole.check()
    assert len(passed) > POINTS_MIN
    assert {"before a commit", "after protocol.make", "before protocol.price"} < set(passed)


def test_no_death_loses_or_doubles_anything() -> None:
    points = len(_whole())
    for at in range(1, points + 1):
        machine = Machine(MemoryStore())
        scythe = machine.live(at)
        assert len(scythe.passed) == at
        machine.live(0)
        machine.check()


@pytest.mark.parametrize("after", [1, 2, 5] if ALL else [2])
def test_no_second_death_does(after: int) -> None:
    for at in range(1, len(_whole()) + 1):
        machine = Machine(MemoryStore())
        machine.live(at)
        machine.live(after)
        machine.live(0)
        machine.check()


def test_death_at_any_point_on_a_disk_loses_nothing(tmp_path) -> None:
    for at in range(1, len(_whole()) + 1, 1 if ALL else 8):
        store = SqliteStore(tmp_path / f"{at}.sqlite")
        machine = Machine(store)
        machine.live(at)
        machine.live(0)
        machine.check()
        store.close()


def _whole() -> list[str]:
    return Machine(MemoryStore()).live(0).passed
