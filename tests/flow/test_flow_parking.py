"""Parked guests: the same flows with the same journals, and no guest where there may be none."""

import gc
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.domain.ids import FlowId, ShortHash
from host.domain.quotas import Quota
from host.flow.core.journal import Entries, Entry
from host.flow.engine.sticky_cache import Parked, StickyCache
from host.guests.sticky_flows import StickyFlows
from host.ports.bus import NOBODY
from host.ports.guest import (
    Finished,
    FlowRun,
    GuestKilledError,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    SuspendRun,
    Usage,
)
from host.ports.state import StateConflictError
from host.ports.units import Unit
from tests.flow.network import ALICE, BOB, PARKING, CountedEntropy, Network, holding, make_cpi
from tests.flow.scripted import Guest, ScriptedGuests
from tests.support.properties import examples

PARKS_ITSELF = True
"""The tests choose whether guests are parked."""
QUOTA = Quota()
MIB = 1024 * 1024
NO_FACTS = FlowRun(
    cpi=make_cpi(()), flow_class="f", start="{}", granted=frozenset(), quota=QUOTA, node=NOBODY
)


class Counting(ScriptedGuests):
    """Counts the runs from a start."""

    def __init__(self, flows: Any) -> None:
        super().__init__(flows)
        self.starts: list[str] = []

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        self.starts.append(run.flow_class)
        return super().run(run, host)


class Recording(MemoryStore):
    """Keeps every journal row for good; fails the commits that it is told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, int], bytes] = {}
        self.failing: list[int] = []
        self.commits = 0

    def commit(self, unit: Unit) -> None:
        self.commits += 1
        if self.commits in self.failing:
            raise StateConflictError("told to fail")
        super().commit(unit)
        self.rows |= {(r.flow_id, r.number): r.value for r in unit.journal}


STEPS = st.lists(
    st.sampled_from(["swap", "ask", "now", "random", "write", "sleep", "refused", "log"]),
    max_size=8,
)


def flows_of(steps: list[str]) -> dict[str, Any]:
    """A flow that does `steps`, and a peer that answers every message but the last."""

    def initiator(guest: Guest) -> str:
        session, seen = guest.open(BOB), []
        for step in steps:
            match step:
                case "swap":
                    guest.send(session, len(seen))
                    seen.append(guest.receive(session))
                case "ask":
                    guest.send(session, {"twice": len(seen)})
                    seen += [guest.receive(session), guest.receive(session)]
                case "now" | "random":
                    options = {"bytes": 4} if step == "random" else {}
                    seen.append(guest.call("flow", step, **options))
                case "write":
                    seen.append(guest.call("persistence", "write", seen=len(seen)))
                case "sleep":
                    guest.call("flow", "sleep", millis=1000)
                case "refused":
                    try:
                        guest.receive("no such session")
                    except Exception as refused:  # noqa: BLE001  # the flow sees it
                        seen.append(str(refused))
                case _:
                    guest.log(f"at {len(seen)}")
        guest.send(session, "stop")
        guest.receive(session)
        return json.dumps(seen)

    def responder(guest: Guest) -> str:
        while (got := guest.receive(guest.session)) != "stop":
            guest.send(guest.session, got)
            if isinstance(got, dict):
                guest.send(guest.session, guest.call("flow", "random", bytes=2))
        guest.send(guest.session, "stopped")
        return ""

    return {"test.Initiator": initiator, "test.Responder": responder}


def played(
    steps: list[str], parked: int, failing: list[int]
) -> tuple[list[Any], Recording, list[str]]:
    """What the world sees of a flow: results, journals, effects and log lines."""
    PARKING.most = parked
    store = Recording()
    guests = Counting(flows_of(steps))
    network = Network(store, {}, guests=guests, entropy=CountedEntropy())
    network.start({})
    store.failing = [store.commits + number for number in failing]
    network.engine.drain()
    for _ in range(40):
        network.later(1_000)
    bobs = [b.status for b in network.bobs()]  # none if the first message was given up
    alice = network.alice()
    logged = [e.message for e in network.events if type(e).__name__ == "GuestLogged"]
    seen = [alice.status, alice.result, bobs, network.notes.rows, logged]
    return seen, store, guests.starts


@pytest.fixture(autouse=True)
def lots() -> Iterator[None]:
    yield
    PARKING.clear()
    PARKING.most = 0


@given(
    steps=STEPS, parked=st.sampled_from([1, 4]), failing=st.lists(st.integers(1, 30), max_size=4)
)
@settings(max_examples=examples(60), deadline=None)
def test_parking_changes_no_result_no_journal_and_no_effect(
    steps: list[str], parked: int, failing: list[int]
) -> None:
    replayed, replaying, starts = played(steps, 0, failing)
    seen, parking, starts_parked = played(steps, parked, failing)
    PARKING.clear()
    assert seen == replayed
    assert parking.rows == replaying.rows
    assert len(starts_parked) <= len(starts)


def test_a_parked_flow_is_started_once_whatever_it_waits_for() -> None:
    steps = ["swap", "sleep", "ask", "swap"]
    assert sorted(played(steps, 4, [])[2]) == ["test.Initiator", "test.Responder"]
    assert len(played(steps, 0, [])[2]) > 8


def test_a_guest_whose_calls_were_not_stored_is_not_resumed() -> None:
    steps = ["swap", "random", "swap"]
    starts = [len(played(steps, 4, [failing])[2]) for failing in range(1, 20)]
    assert starts.count(2) >= 3, "commits of the mapper, or after which no guest waits"
    assert max(starts) == 3
    for failing in range(1, 20):
        seen, store, _ = played(steps, 4, [failing])
        assert seen[0] == "COMPLETED"
        drawn = json.loads(seen[1])[1]
        assert [json.loads(r)[5] for r in store.rows.values() if b"flow.random" in r] == [
            json.dumps(drawn)
        ]


def test_a_flow_that_is_killed_or_fails_leaves_no_guest() -> None:
    PARKING.most = 4
    network = Network(MemoryStore(), flows_of(["sleep"]))
    network.start({})
    network.engine.drain()
    (sticky,) = PARKING.lots
    assert len(sticky) == 1
    network.service.kill(holding(ALICE).short_hash, "r1")
    network.engine.drain()
    assert (network.alice().status, len(sticky)) == ("KILLED", 0)


@pytest.mark.parametrize("change", ["cpi", "granted"])
def test_a_guest_that_would_run_otherwise_today_is_replayed(change: str) -> None:
    PARKING.most = 4
    guests = Counting(flows_of(["sleep", "now"]))
    network = Network(MemoryStore(), {}, guests=guests)
    network.start({})
    network.engine.drain()
    if change == "granted":
        network.replace(ALICE, granted_capabilities=("sessions",))
    else:
        network.packages.cpi = replace(network.cpi, group_policy="{ }")
    network.later(2_000)
    assert guests.starts.count("test.Initiator") == 2


class Waiting:
    """A parked run that counts what becomes of it."""

    def __init__(self, memory_bytes: int = 0) -> None:
        self.dropped = 0
        self.memory_bytes = memory_bytes

    def resume(self, host: Any) -> GuestOutcome:
        raise AssertionError("not in these tests")

    def drop(self) -> None:
        self.dropped += 1


def parked(calls: int = 0) -> Parked:
    entry = Entry(call=0, function="f", digest="", is_error=False, answer="")
    return Parked(run=Waiting(), facts=NO_FACTS, journal=Entries([entry] * calls))


def sized(megabytes: int, node: str = "A", quota: Quota = QUOTA) -> Parked:
    facts = replace(NO_FACTS, node=ShortHash(node * 12), quota=quota)
    return Parked(run=Waiting(megabytes * MIB), facts=facts, journal=Entries())


def dropped(place: Parked) -> int:
    assert isinstance(place.run, Waiting)
    return place.run.dropped


def test_the_lot_holds_no_more_than_it_may_and_lets_the_oldest_go() -> None:
    sticky, places = StickyCache(2), [parked() for _ in range(3)]
    for number, place in enumerate(places):
        sticky.park(FlowId(str(number)), place)
    assert [dropped(p) for p in places] == [1, 0, 0]
    assert sticky.take(FlowId("0"), 0) is None
    assert sticky.take(FlowId("2"), 0) is places[2]
    assert sticky.take(FlowId("2"), 0) is None
    sticky.close()
    assert [dropped(p) for p in places] == [1, 1, 0]


def test_the_journal_that_a_parked_guest_keeps_is_memory_of_its_node() -> None:
    sticky, facts = StickyCache(99), replace(NO_FACTS, quota=Quota(parked_bytes_max=11 * MIB))
    answer = "\N{GRINNING FACE}" * MIB
    entry = Entry(call=0, function="f", digest="", is_error=False, answer=answer)
    places = [Parked(run=Waiting(MIB), facts=facts, journal=Entries([entry])) for _ in range(3)]
    for number, place in enumerate(places):
        sticky.park(FlowId(str(number)), place)
    assert sum(dropped(place) for place in places) == 1
    assert 10 * MIB <= sticky.bytes_of(facts.node) < 10 * MIB + 1000
    sticky.close()


def test_a_node_keeps_as_much_memory_as_its_quota_says_and_the_largest_goes() -> None:
    sticky, quota = StickyCache(99), Quota(parked_bytes_max=10 * MIB)
    places = [sized(size, quota=quota) for size in (3, 6, 2)]
    other = sized(9, "B", quota)
    sticky.park(FlowId("other"), other)
    for number, place in enumerate(places):
        sticky.park(FlowId(str(number)), place)
    assert [dropped(p) for p in [*places, other]] == [0, 1, 0, 0]
    assert sticky.bytes_of(ShortHash("A" * 12)) == 5 * MIB
    giant = sized(11, quota=quota)
    sticky.park(FlowId("giant"), giant)
    assert [dropped(p) for p in [*places, other, giant]] == [0, 1, 0, 0, 1]
    sticky.close()


def test_a_process_keeps_as_much_memory_as_it_may_and_who_holds_most_gives_room() -> None:
    sticky = StickyCache(99, bytes_max=10 * MIB)
    small = sized(2, "B")
    sticky.park(FlowId("small"), small)
    large = [sized(4) for _ in range(3)]
    for number, place in enumerate(large):
        sticky.park(FlowId(str(number)), place)
    assert [dropped(p) for p in [small, *large]] == [0, 1, 0, 0]
    capped = StickyCache(99, node_bytes_max=3 * MIB)
    place = sized(4)
    capped.park(FlowId("f"), place)
    assert dropped(place) == 1
    sticky.close()


def test_many_guests_of_one_node_do_not_push_out_those_of_another() -> None:
    sticky, first = StickyCache(3), sized(1, "B")
    sticky.park(FlowId("first"), first)
    many = [sized(1) for _ in range(5)]
    for number, place in enumerate(many):
        sticky.park(FlowId(str(number)), place)
    assert dropped(first) == 0
    assert [dropped(p) for p in many] == [1, 1, 1, 0, 0]
    sticky.close()


def test_the_lot_gives_a_guest_only_to_the_journal_that_it_has_made() -> None:
    sticky, place = StickyCache(2), parked(calls=3)
    sticky.park(FlowId("f"), place)
    assert sticky.take(FlowId("f"), 4) is None
    assert (dropped(place), len(sticky)) == (1, 0)


def test_a_flow_has_one_guest_in_the_lot() -> None:
    sticky, first, second = StickyCache(2), parked(), parked()
    sticky.park(FlowId("f"), first)
    sticky.park(FlowId("f"), second)
    assert (dropped(first), dropped(second), len(sticky)) == (1, 0, 1)
    sticky.drop(FlowId("f"))
    sticky.drop(FlowId("f"))
    assert dropped(second) == 1


def test_guests_that_wait_for_too_long_are_dropped() -> None:
    now = [0.0]
    sticky = StickyCache(4, idle_seconds_max=10, monotonic=lambda: now[0])
    early, late = parked(), parked()
    sticky.park(FlowId("early"), early)
    now[0] = 5
    sticky.park(FlowId("late"), late)
    now[0] = 10
    sticky.drop_idle()
    assert (dropped(early), dropped(late), len(sticky)) == (1, 0, 1)
    sticky.close()


def test_the_lot_drops_idle_guests_by_itself() -> None:
    gone = threading.Event()
    sticky = StickyCache(1, idle_seconds_max=0)
    place = parked()
    place.run.drop = gone.set  # type: ignore[method-assign]
    sticky.park(FlowId("f"), place)
    assert gone.wait(10)


def test_a_closed_lot_and_one_without_places_keep_nothing() -> None:
    for sticky in (StickyCache(0), StickyCache(4)):
        sticky.close()
        place = parked()
        sticky.park(FlowId("f"), place)
        assert (dropped(place), len(sticky)) == (1, 0)


class Meter:
    """A run whose usage the test sets."""

    def __init__(self) -> None:
        self.fuel = 0
        self.pauses: list[str] = []

    def memory_bytes(self) -> int:
        return 0

    def usage(self) -> Usage:
        return Usage(fuel=self.fuel, host_calls=self.fuel // 10)

    def paused(self) -> Any:
        return self

    def __enter__(self) -> None:
        self.pauses.append("begun")

    def __exit__(self, *_: object) -> None:
        self.pauses.append("ended")


class Metered:
    """A guest that uses 10 fuel before each of three calls, and 10 after the last."""

    def __init__(self, *, end: Any = None) -> None:
        self.meter = Meter()
        self.end = end
        self.threads: set[int] = set()

    def run(self, run: FlowRun, host: Any) -> Any:
        self.threads.add(threading.get_ident())
        host.attach(self.meter)
        answers = []
        try:
            for _number in range(3):
                self.meter.fuel += 10
                answers.append(host("i", "f", "{}"))
        except SuspendRun:
            return SuspendedRun(usage=self.meter.usage())
        self.meter.fuel += 10
        if self.end is not None:
            raise self.end
        return Finished(result="".join(answers), usage=self.meter.usage())


class Answering:
    """Answers calls, and suspends instead when it has no answer."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def __call__(self, interface: str, function: str, request: str) -> str:
        if not self.answers:
            raise SuspendRun
        return self.answers.pop(0)


def begin(guests: Any, host: Any) -> Any:
    flows = StickyFlows(guests)
    return flows, flows.run(NO_FACTS, host)


def test_a_resumed_run_makes_the_waiting_call_again_and_charges_only_what_is_new() -> None:
    guests = Metered()
    flows, first = begin(guests, Answering("a"))
    second = first.parked.resume(Answering())
    third = second.parked.resume(Answering("b", "c"))
    assert third == Finished(result="abc")
    assert [o.usage.fuel for o in (first, second, third)] == [20, 0, 20]
    assert guests.meter.pauses == ["begun", "ended"] * 2
    assert guests.threads.isdisjoint({threading.get_ident()})
    flows.close()


def test_what_ends_a_resumed_run_reaches_who_resumed_it() -> None:
    killed = GuestKilledError("out-of-fuel", "no more", usage=Usage(fuel=40, host_calls=4))
    for end in (killed, ValueError("the store is gone")):
        _, outcome = begin(Metered(end=end), Answering("a"))
        with pytest.raises(type(end)) as caught:
            outcome.parked.resume(Answering("b", "c"))
        assert caught.value is end
    assert killed.usage == Usage(fuel=20, host_calls=2)


def test_a_run_that_was_dropped_or_resumed_cannot_be_resumed() -> None:
    flows, outcome = begin(Metered(), Answering())
    outcome.parked.drop()
    outcome.parked.drop()
    with pytest.raises(RuntimeError, match="does not wait"):
        outcome.parked.resume(Answering("a"))
    flows.close()


def test_runs_that_cannot_be_paused_are_suspended_as_ever() -> None:
    class Plain:
        def run(self, run: FlowRun, host: Any) -> Any:
            try:
                host("i", "f", "{}")
            except SuspendRun:
                return SuspendedRun()

    flows, outcome = begin(Plain(), Answering())
    assert outcome.parked is None
    flows.close()


def test_a_parked_run_keeps_nothing_of_the_step_that_parked_it() -> None:
    class Step(Answering):
        pass

    flows, outcome = begin(Metered(), Step("a"))
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is Step]
    outcome.parked.drop()
    flows.close()


def test_threads_are_used_again_and_end_when_all_is_closed() -> None:
    guests = Metered()
    flows = StickyFlows(guests)
    before = threading.active_count()
    for _ in range(20):
        flows.run(NO_FACTS, Answering("a", "b", "c"))
    assert len(guests.threads) < 20
    flows.close()
    assert threading.active_count() == before
