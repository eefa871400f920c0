"""No conversation fails because a clock jumped, or because time stood still for its host."""

from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.flow import FlowStatusName
from host.flow.core.config import FlowConfig
from host.flow.core.errors import FlowNotFoundError
from host.flow.core.messages import GROUP
from host.flow.core.shift import SHIFT_KEY, ClockReading, missing_ms
from host.flow.engine.flow_time import FlowTime
from host.ports.groups import FencedError
from tests.flow.network import ALICE, BOB, Network, holding
from tests.flow.scripted import Guest
from tests.support.properties import examples

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR
CONFIG = FlowConfig(session_timeout_ms=60_000, max_idle_ms=120_000)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        yield MemoryStore()
        return
    store = SqliteStore(tmp_path / "flows.sqlite", clock=SimClock())
    yield store
    store.close()


def asking(guest: Guest) -> Any:
    session = guest.open(BOB)
    guest.send(session, "question")
    return guest.receive(session)


def answering_late(guest: Guest) -> str:
    question = guest.receive(guest.session)
    guest.call("flow", "sleep", millis=30_000)
    guest.send(guest.session, question)
    return "answered"


def network(store: Any, flow: Any = asking, responder: Any = answering_late) -> Network:
    clock = SimClock()
    time = FlowTime(clock, stall_ms=None)
    flows = {"test.Initiator": flow, "test.Responder": responder}
    found = Network(store, flows, clock=clock, flow_time=time, config=CONFIG)
    found.start()
    found.engine.drain()
    return found


JUMPS = [HOUR, -HOUR, 24 * HOUR, -24 * HOUR]


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_fails_no_session_and_wakes_no_sleeper(store: Any, jump: int) -> None:
    waiting = network(store)
    waiting.clock.jump(jump)
    waiting.later(1_000)
    assert not waiting.alice().status.is_final
    waiting.later(28_000)
    assert not waiting.alice().status.is_final
    waiting.later(2_000)
    status = waiting.alice()
    assert (status.status, status.error) == (FlowStatusName.COMPLETED, None)
    assert {bob.status for bob in waiting.bobs()} == {FlowStatusName.COMPLETED}


@pytest.mark.parametrize("jump", JUMPS)
def test_timeouts_come_as_late_as_without_the_jump(store: Any, jump: int) -> None:
    """A clock that was put back must not make them wait for hours, either."""

    def never(guest: Guest) -> Any:
        return guest.call("flow", "sleep", millis=10 * 60_000)

    waiting = network(store, responder=never)
    waiting.later(20_000)
    waiting.clock.jump(jump)
    waiting.later(20_000)
    waiting.clock.jump(jump)
    waiting.later(19_000)
    assert not waiting.alice().status.is_final
    waiting.later(2_000)
    status = waiting.alice()
    assert status.status is FlowStatusName.FAILED
    assert status.error is not None
    assert "session.timeout" in status.error.message


@pytest.mark.parametrize("jump", [*JUMPS, 10 * YEAR, -10 * YEAR])
def test_a_status_is_kept_as_long_as_without_the_jump(store: Any, jump: int) -> None:
    """Clocks jump by years where a machine begins without the time."""
    found = network(store)
    found.clock.jump(jump)
    for _ in range(4):
        found.later(10_000)
    assert found.alice().status is FlowStatusName.COMPLETED
    found.later(CONFIG.status_retention_ms - 50_000)
    assert found.alice().result is not None
    assert found.bobs()
    found.later(60_000)
    with pytest.raises(FlowNotFoundError):
        found.alice()
    assert not found.bobs()


def test_flows_see_the_time_of_day(store: Any) -> None:
    seen = []

    def telling(guest: Guest) -> Any:
        seen.append(guest.call("flow", "now"))
        guest.call("flow", "sleep", millis=1_000)
        seen.append(guest.call("flow", "now"))
        return "done"

    clock = SimClock()
    found = Network(
        store, {"test.Initiator": telling}, clock=clock, flow_time=FlowTime(clock), config=CONFIG
    )
    found.start()
    found.engine.drain()
    before = found.alice().updated_at
    clock.jump(HOUR)
    found.later(1_000)
    assert found.alice().status is FlowStatusName.COMPLETED
    assert found.alice().updated_at - before == HOUR + 1_000
    first, second = seen[0], seen[-1]
    assert int(second[11:13]) - int(first[11:13]) in {1, -23}


def test_a_flow_never_sees_an_earlier_time_than_before(store: Any) -> None:
    """Whatever the clock does between its calls, and however often the flow is replayed."""

    def telling(guest: Guest) -> Any:
        seen = [guest.call("flow", "now")]
        for _ in range(3):
            guest.call("flow", "sleep", millis=1_000)
            seen.append(guest.call("flow", "now"))
        return " ".join(seen)

    clock = SimClock()
    found = Network(
        store, {"test.Initiator": telling}, clock=clock, flow_time=FlowTime(clock), config=CONFIG
    )
    found.start()
    found.engine.drain()
    for jump in (-HOUR, -HOUR, 3 * HOUR):
        clock.jump(jump)
        found.later(1_000)
    first, second, third, last = str(found.alice().result).split()
    assert first == second == third < last


def test_a_process_that_was_stopped_fails_no_session(store: Any) -> None:
    """SIGSTOP moves neither clock: only that nobody looked at them for so long tells."""
    waiting = network(store)
    clock = waiting.clock
    time = FlowTime(clock, stall_ms=10_000)
    before = time.now_ms()
    for _ in range(20):
        clock.advance(9_000)
        time.now_ms()
    assert time.now_ms() - before == 180_000
    clock.advance(HOUR)
    assert time.now_ms() - before == 180_000
    assert time.shift_ms == HOUR


@settings(deadline=None, max_examples=examples(50), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(-(10**9), 10**9)), max_size=30))
def test_flow_time_is_what_passed(steps: list[tuple[int, int]]) -> None:
    """Whatever the time of day does, but for adjustments that are too small to be jumps."""
    clock = SimClock()
    time = FlowTime(clock)
    begin, adjusted = time.now_ms(), 0
    for passed, jump in steps:
        clock.advance(passed)
        clock.jump(jump)
        adjusted += jump if abs(jump) < 500 else 0
        assert time.now_ms() - begin == clock.steady_ms() + adjusted


def test_small_adjustments_are_no_jumps() -> None:
    look = ClockReading(wall=1_000, steady=0)
    assert missing_ms(look, ClockReading(wall=1_900, steady=500), stall_ms=None) == 0
    assert missing_ms(look, ClockReading(wall=2_100, steady=500), stall_ms=None) == 600
    assert missing_ms(look, ClockReading(wall=-100, steady=500), stall_ms=None) == -1_600
    assert missing_ms(look, ClockReading(wall=1_500, steady=500), stall_ms=400) == 500


def test_the_owner_of_partition_0_keeps_the_shift_and_others_take_it_up(store: Any) -> None:
    clock = SimClock()
    owner, other, late = (FlowTime(clock, boot="b") for _ in range(3))
    owned = store.join(GROUP, "keeper", ttl_ms=10**9).epochs
    for time in (owner, other, late):
        time.share(store, owned if time is owner else {})
    clock.advance(1_000)
    clock.jump(HOUR)
    assert owner.now_ms() == other.now_ms() == late.now_ms()
    other.share(store, {})
    assert store.get(SHIFT_KEY) is None
    owner.share(store, owned)
    version = store.get(SHIFT_KEY).version
    owner.share(store, owned)
    assert store.get(SHIFT_KEY).version == version  # nothing new, nothing written
    # A process that starts later has seen no jump, and goes by the same time.
    started = FlowTime(clock, boot="b")
    started.share(store, {})
    assert started.now_ms() == owner.now_ms()
    # An older shift does not undo what a process has found since.
    clock.advance(1_000)
    clock.jump(-HOUR)
    assert late.now_ms() == other.now_ms() == owner.now_ms()
    late.share(store, {})
    assert late.now_ms() == owner.now_ms()


class Member:
    """A process of a cluster: flow time by the database's clock, and its part of the group."""

    def __init__(self, store: Any, clock: SimClock, name: str) -> None:
        self.store, self.name = store, name
        self.time = FlowTime(clock, stall_ms=10_000, has_others=True)
        self.owned = store.join(GROUP, name, ttl_ms=15_000).epochs
        self.beat()

    def beat(self) -> None:
        """As the thread of due times does it."""
        self.time.now_ms()
        try:
            self.owned = self.store.heartbeat(GROUP, self.name).epochs
        except FencedError:
            self.owned = self.store.join(GROUP, self.name, ttl_ms=15_000).epochs
        with suppress(FencedError):
            self.time.share(self.store, self.owned)


def passed(clock: SimClock, millis: int, *running: Member) -> None:
    """Time that passes for all but those that are stopped."""
    for _ in range(millis // 5_000):
        clock.advance(5_000)
        for member in running:
            member.beat()


def cluster_of(clock: SimClock) -> list[Member]:
    store = MemoryStore(clock=clock)
    found = [Member(store, clock, name) for name in ("one", "two", "three")]
    passed(clock, 10_000, *found)
    return found


@pytest.mark.parametrize("stopped", [0, 1], ids=["keeper", "another"])
@pytest.mark.parametrize("millis", [15_000, 60_000])
def test_who_was_stopped_alone_goes_by_the_time_of_the_others_again(
    stopped: int, millis: int
) -> None:
    clock = SimClock()
    members = cluster_of(clock)
    before = members[0].time.now_ms()
    assert [0 in member.owned for member in members] == [True, False, False]
    others = [member for n, member in enumerate(members) if n != stopped]
    passed(clock, millis, *others)
    for _ in range(2):
        # Of its own it is late, never early.
        assert members[stopped].time.now_ms() <= others[0].time.now_ms()
        passed(clock, 5_000, members[stopped], *others)
    assert {m.time.now_ms() - before for m in members} == {millis + 10_000}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("gap_ms", [0, 1_000])
def test_when_all_were_stopped_time_stood_still_for_all(
    order: tuple[int, ...], gap_ms: int
) -> None:
    """A suspended machine beside a database that goes on, whichever process wakes first."""
    clock = SimClock()
    members = cluster_of(clock)
    before = members[0].time.now_ms()
    clock.advance(60_000)
    for number in order:
        members[number].beat()
        clock.advance(gap_ms)
        # No timeout is early, in any of them, at any time.
        assert all(m.time.now_ms() - before <= 3 * gap_ms for m in members)
    passed(clock, 10_000, *(members[number] for number in order))
    assert {m.time.now_ms() - before for m in members} == {3 * gap_ms + 10_000}


def test_a_machine_that_was_suspended_follows_the_others() -> None:
    clock = SimClock()
    members = cluster_of(clock)
    before = members[0].time.now_ms()
    passed(clock, 60_000, members[2])
    for member in (members[1], members[0]):
        member.beat()
    passed(clock, 10_000, *members)
    assert {m.time.now_ms() - before for m in members} == {70_000}


def test_a_shift_survives_the_host_and_the_machine(store: Any) -> None:
    clock = SimClock()
    before = FlowTime(clock, boot="1")
    clock.jump(HOUR)
    before.share(store, store.join(GROUP, "keeper", ttl_ms=10**9).epochs)
    again = SimClock(clock.now_ms() + 5_000)
    after = FlowTime(again, boot="2")
    after.share(store, {})
    assert after.now_ms() - before.now_ms() == 5_000


@pytest.mark.parametrize("jump", [10 * YEAR, -10 * YEAR])
def test_a_kill_holds_for_what_follows_as_long_as_without_the_jump(store: Any, jump: int) -> None:
    """The process that takes the kill runs no flows, and has the time of day."""
    clock = SimClock()
    time = FlowTime(clock)
    flows = {"test.Initiator": asking, "test.Responder": answering_late}
    found = Network(store, flows, clock=clock, flow_time=time, config=CONFIG)
    clock.jump(jump)
    time.share(store, store.join(GROUP, "keeper", ttl_ms=10**12).epochs)
    found.start()
    found.engine.drain()
    found.service.kill(holding(ALICE).short_hash, "r1")
    (mark,) = store.scan("killed/")
    assert mark.due_at is not None
    assert mark.due_at - time.now_ms() == CONFIG.status_retention_ms


def test_who_lost_partition_0_keeps_nothing(store: Any) -> None:
    clock = SimClock()
    time = FlowTime(clock)
    owned = store.join(GROUP, "keeper", ttl_ms=10**9).epochs
    store.leave(GROUP, "keeper")
    store.join(GROUP, "other", ttl_ms=10**9)
    clock.jump(HOUR)
    with pytest.raises(FencedError):
        time.share(store, owned)
    assert store.get(SHIFT_KEY) is None


def test_members_survive_a_jump(tmp_path: Path) -> None:
    """A heartbeat after a jump must not make all other members look dead."""
    clock = SimClock()
    for store in (
        MemoryStore(clock=clock),
        SqliteStore(tmp_path / "flows.sqlite", clock=clock),
    ):
        first = store.join(GROUP, "first", ttl_ms=15_000)
        second = store.join(GROUP, "second", ttl_ms=15_000)
        for jump in (HOUR, -2 * HOUR):
            clock.jump(jump)
            clock.advance(5_000)
            assert store.heartbeat(GROUP, "first").generation == second.generation
            assert store.heartbeat(GROUP, "second").epochs == second.epochs
        assert first.generation < second.generation
        clock.advance(15_000)
        assert store.heartbeat(GROUP, "first").generation > second.generation
