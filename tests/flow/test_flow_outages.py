"""Parts of the platform that are away for a while: no flow fails by it, and none happens twice."""

from collections.abc import Callable
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.errors import DiskFullError, OutageError, StorageBusyError, UnavailableError
from host.domain.flow import FlowStatusName
from host.domain.ids import FlowId, ShortHash
from host.domain.quotas import RunCharge
from host.flow.core.aside import ASIDE_GROUP, key_of
from host.flow.core.events import RecordDeadLettered, RecordRetried
from host.flow.core.messages import GROUP
from host.flow.engine import outage_time
from host.flow.engine.host_calls import SLOW_COMMIT_MS
from host.flow.records.aside_sums import aside_sums
from host.observe.overview import AsideLine
from host.ports.groups import Membership
from host.ports.guest import FlowRun, GuestKilledError, GuestOutcome, HostCallHandler
from host.ports.quotas import Quotas, Unmetered
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from host.runtime.workers.overview import Overviews
from tests.flow.network import Network, Notes, alone
from tests.flow.scripted import Guest, ScriptedGuests

WALL_MS = 10_000


def write(guest: Guest, number: int = 1) -> Any:
    return guest.call("persistence", "write", op="persist", number=number)


@pytest.mark.parametrize(
    "failure",
    [
        OutageError("no worker persistence-* answers"),
        DiskFullError("database vault.sqlite cannot be used: the disk is full"),
        StorageBusyError("database vault.sqlite: another connection holds a lock"),
    ],
)
def test_an_outage_that_lasts_fails_no_flow(store: FlowStore, failure: Exception) -> None:
    network = Network(store, {"test.Initiator": lambda guest: str(write(guest))})
    network.notes.failing = [failure] * 60
    network.run()
    for _ in range(60):
        assert not network.alice().status.is_final
        network.later(16_000)
    assert network.alice().result == "1"
    assert not any(isinstance(e, RecordDeadLettered) for e in network.events)


def test_what_is_set_aside_is_shown(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": lambda guest: str(write(guest))})
    overviews = Overviews(store, network.clock, lambda: ())
    assert overviews.latest().set_aside == []
    network.notes.failing = [OutageError("no worker persistence-* answers")] * 2
    network.run()
    network.clock.advance(1_000)
    assert overviews.latest().set_aside == [
        AsideLine(topic="flow.event", cause="outage", keys=1, records=1, lag_ms=1_000)
    ]
    assert overviews.latest().queues == []
    network.later(1_000)
    network.later(2_000)
    assert network.alice().result == "1"
    assert overviews.latest().set_aside == []


def test_a_head_that_cannot_be_read_is_shown_as_damaged(store: FlowStore) -> None:
    network = Network(store, {"test.Initiator": lambda guest: str(write(guest))})
    network.notes.failing = [OutageError("no worker persistence-* answers")]
    network.run()
    (head,) = store.placed(ASIDE_GROUP, range(store.partitions))
    damaged = StateWrite(key=head.key, value=b"{", expected=head.version, place=key_of(head).place)
    store.commit(Unit(states=(damaged,)))
    (found,) = aside_sums(store)
    assert (found.cause, found.keys, found.oldest_at) == ("damaged", 1, None)


def test_a_clock_that_is_put_back_holds_no_retry_up() -> None:
    network = alone(lambda guest: str(write(guest)))
    network.notes.failing = [OutageError("no worker persistence-* answers")]
    assert not network.run().status.is_final
    network.later(-3_600_000)
    assert network.alice().result == "1"


def test_a_flow_that_ends_its_workers_is_given_up_in_spite_of_the_outages() -> None:
    network = alone(lambda guest: str(write(guest)))
    deaths: list[Exception] = [UnavailableError("workers persistence-* end during the call")]
    network.notes.failing = (deaths + [OutageError("no worker persistence-* answers")] * 3) * 7
    network.run()
    for _ in range(30):
        network.later(16_000)
    assert network.alice().error.type == "platform-unavailable"
    assert len(network.notes.failing) == 4  # not asked again


class Timed(ScriptedGuests):
    """Guests with a wall clock: the network's."""

    def __init__(self, clock: SimClock, flow: Callable[[Guest], str]) -> None:
        super().__init__({"test.Initiator": flow})
        self._clock = clock
        self.runs = 0

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        self.runs += 1
        until = self._clock.now_ms() + WALL_MS

        def timed(interface: str, function: str, request: str) -> str:
            answer = host(interface, function, request)
            if self._clock.now_ms() >= until:
                raise GuestKilledError("deadline-exceeded", "the run took too long")
            return answer

        return super().run(run, timed)


class SlowNotes(Notes):
    """A service that takes its time, of which its worker is away for some."""

    def __init__(self, clock: SimClock, millis: int, away_ms: int) -> None:
        super().__init__()
        self._clock, self._millis, self._away_ms = clock, millis, away_ms

    def call(self, context: Any, function: str, request: Any) -> Any:
        self._clock.advance(self._millis)
        outage_time.note_wait(self._away_ms)
        return super().call(context, function, request)


class Charged(Unmetered):
    """Adds up what is charged."""

    def __init__(self) -> None:
        self.host_call_ms = 0

    def spent(self, node: ShortHash, spent: RunCharge) -> None:
        self.host_call_ms += spent.host_call_ms


def timed(
    flow: Callable[[Guest], str],
    service_ms: int,
    clock: SimClock,
    *,
    away_ms: int = 0,
    quotas: Quotas | None = None,
) -> Network:
    guests, notes = Timed(clock, flow), SlowNotes(clock, service_ms, away_ms)
    return Network(MemoryStore(), {}, clock=clock, guests=guests, notes=notes, quotas=quotas)


def writes(guest: Guest) -> str:
    now = guest.call("flow", "now")
    return str([write(guest, number) for number in range(5)] + [now])


@pytest.mark.parametrize("service_ms", [4_000, 9_999, 60_000])
def test_the_time_that_an_outage_takes_is_neither_the_guests_nor_charged(service_ms: int) -> None:
    charged = Charged()
    network = timed(writes, service_ms, SimClock(), away_ms=service_ms, quotas=charged)
    status = network.run()
    assert (status.status, status.result[:16]) == (FlowStatusName.COMPLETED, "[1, 2, 3, 4, 5, ")
    assert len(network.notes.rows) == 5
    assert not any(isinstance(e, RecordRetried) for e in network.events)
    assert charged.host_call_ms == 0


def test_a_runs_limit_ends_it_whatever_it_waited_for_in_its_own_calls() -> None:
    """Also one that only writes: 9,900 of them in a run held up a host for half a minute."""
    charged = Charged()
    network = timed(writes, 4_000, SimClock(), quotas=charged)
    assert network.run().error.type == "deadline-exceeded"
    assert network.guests.runs == 1
    assert len(network.notes.rows) == 3
    assert charged.host_call_ms == 12_000


def test_a_call_that_ends_in_an_outage_is_not_charged() -> None:
    charged = Charged()
    network = timed(writes, 4_000, SimClock(), quotas=charged)
    network.notes.failing = [OutageError("no worker answers")]
    network.run()
    assert charged.host_call_ms == 0
    assert network.engine.asides.next_due() is not None


def test_a_commit_that_waits_for_a_lock_of_a_stopped_process_is_not_charged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends when the database ends the stopped one's session: no run's limit counts that."""
    charged = Charged()
    network = timed(writes, 0, SimClock(), quotas=charged)
    commit = network.store.commit
    waits = iter((9_000, 9_000, StorageBusyError("another connection holds a lock")))

    def slow(unit: Unit) -> None:
        found = next(waits, 0) if unit.journal else 0
        if isinstance(found, Exception):
            raise found
        network.clock.advance(found)
        commit(unit)

    monkeypatch.setattr(network.store, "commit", slow)
    network.run()
    network.later(1_000)
    assert network.alice().status is FlowStatusName.COMPLETED
    assert next(waits, None) is None
    assert charged.host_call_ms == 2 * SLOW_COMMIT_MS


def test_a_guest_that_takes_too_long_itself_fails_whatever_the_platform_took() -> None:
    clock = SimClock()

    def dawdles(guest: Guest) -> str:
        write(guest)
        clock.advance(WALL_MS)
        return str(guest.call("flow", "now"))

    network = timed(dawdles, 6_000, clock, away_ms=6_000)
    assert network.run().error.type == "deadline-exceeded"
    assert network.guests.runs == 2
    assert len(network.notes.rows) == 1


def owner(store: FlowStore, name: str) -> Membership:
    return store.join(GROUP, name, ttl_ms=60_000)


def drain(network: Network, membership: Membership) -> None:
    """What the pool of a member does until nothing is left."""
    while ready := network.engine.ready():
        for source in ready:
            network.engine.process(source, membership.epochs[source.partition])


def test_who_was_taken_for_dead_brings_no_ended_flow_back(store: FlowStore) -> None:
    flow_ids: list[FlowId] = []

    def simple(guest: Guest) -> str:
        guest.call("flow", "now")
        return str(write(guest))

    def stalls(guest: Guest) -> str:
        """In the middle of its first step another member takes over, and ends the flow."""
        guest.call("flow", "now")
        store.leave(GROUP, "stale")
        drain(fresh, owner(store, "fresh"))
        assert fresh.alice().result == "1"
        flow_ids.append(fresh.alice().flow_id)
        return str(write(guest))

    fresh = Network(store, {"test.Initiator": simple})
    stale = Network(store, {"test.Initiator": stalls}, clock=fresh.clock)
    stale.start()
    membership = owner(store, "stale")
    for source in stale.engine.ready() * 3:
        stale.engine.process(source, membership.epochs[source.partition])
    for source in stale.engine.ready():
        stale.engine.process(source, membership.epochs[source.partition])
    assert len(flow_ids) == 1
    assert stale.notes.rows == []
    assert store.scan("flow/") == []
    assert store.scan("timer/") == []
    assert store.journal(flow_ids[0]) == []
    assert fresh.alice().status is FlowStatusName.COMPLETED
