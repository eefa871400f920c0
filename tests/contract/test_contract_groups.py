"""What every store must do for consumer groups; one run per adapter."""

import pytest

from host.adapters.partitions import PARTITIONS, target_of
from host.ports.bus import NewRecord
from host.ports.groups import Fence, FencedError, Membership
from host.ports.state import StateWrite
from host.ports.units import Consumed, FlowStore, Unit
from tests.contract.conftest import MovableClock

GROUP = "g"
TTL_MS = 1000
RECORD = NewRecord(topic="t", key="k", value=b"v")
TARGET = target_of(RECORD).partition


def join(store: FlowStore, *names: str) -> dict[str, Membership]:
    for name in names:
        store.join(GROUP, name, ttl_ms=TTL_MS)
    return owned(store)


def owned(store: FlowStore) -> dict[str, Membership]:
    return {membership.member: membership for membership in store.members(GROUP)}


def moved(before: dict[str, Membership], after: dict[str, Membership]) -> int:
    """How many partitions have another owner."""
    was = {n: name for name, m in before.items() for n in m.epochs}
    now = {n: name for name, m in after.items() for n in m.epochs}
    return sum(was.get(number) != now[number] for number in now)


def consume(store: FlowStore, membership: Membership) -> None:
    """What an owner commits: the record is done, and something is written for it."""
    done = Consumed(
        group=GROUP, source=target_of(RECORD), start=0, count=1, epoch=membership.epochs[TARGET]
    )
    state = StateWrite(key="s", value=b"x", expected=0)
    store.commit(Unit(states=(state,), consumed=(done,)))


def test_a_single_member_owns_everything(store: FlowStore) -> None:
    membership = store.join(GROUP, "a", ttl_ms=TTL_MS)
    assert sorted(membership.epochs) == list(range(PARTITIONS))
    assert list(store.members(GROUP)) == [membership]


@pytest.mark.parametrize("count", [2, 3, 5, 31, 32])
def test_partitions_are_shared_out_evenly_and_each_has_one_owner(
    store: FlowStore, count: int
) -> None:
    members = join(store, *(f"m{n}" for n in range(count)))
    sizes = {len(m.epochs) for m in members.values()}
    assert max(sizes) - min(sizes) <= 1
    assert sorted(n for m in members.values() for n in m.epochs) == list(range(PARTITIONS))


def test_more_members_than_partitions_leave_some_with_nothing(store: FlowStore) -> None:
    members = join(store, *(f"m{n}" for n in range(PARTITIONS + 2)))
    assert sorted(len(m.epochs) for m in members.values()) == [0, 0] + [1] * PARTITIONS


def test_only_as_many_partitions_move_as_must(store: FlowStore) -> None:
    two = join(store, "a", "b")
    three = join(store, "c")
    assert moved(two, three) == len(three["c"].epochs) == 10
    store.leave(GROUP, "c")
    assert moved(three, owned(store)) == 10


def test_joining_again_and_leaving_twice_change_nothing(store: FlowStore) -> None:
    join(store, "a", "b")
    again = join(store, "a")
    assert {m.generation for m in again.values()} == {2}
    store.leave(GROUP, "a")
    store.leave(GROUP, "a")
    assert owned(store)["b"].generation == 3
    assert len(owned(store)["b"].epochs) == PARTITIONS


def test_a_stale_owner_is_fenced_and_leaves_nothing_behind(store: FlowStore) -> None:
    old = store.join(GROUP, "old", ttl_ms=TTL_MS)
    store.leave(GROUP, "old")
    new = store.join(GROUP, "new", ttl_ms=TTL_MS)
    with pytest.raises(FencedError, match=f"partition {TARGET} of group 'g' was given away"):
        consume(store, old)
    assert store.get("s") is None
    store.commit(Unit(records=(RECORD,)))
    assert len(store.poll(GROUP, target_of(RECORD), 9)) == 1
    consume(store, new)
    assert store.get("s") is not None
    assert list(store.poll(GROUP, target_of(RECORD), 9)) == []


def test_who_writes_without_consuming_is_fenced_as_well(store: FlowStore) -> None:
    old = store.join(GROUP, "old", ttl_ms=TTL_MS)
    fence = Fence(group=GROUP, partition=TARGET, epoch=old.epochs[TARGET])
    written = StateWrite(key="s", value=b"x", expected=0)
    store.commit(Unit(states=(written,), fences=(fence,)))
    store.leave(GROUP, "old")
    again = StateWrite(key="s", value=b"y", expected=1)
    with pytest.raises(FencedError, match=f"partition {TARGET} of group 'g' was given away"):
        store.commit(Unit(states=(again,), records=(RECORD,), fences=(fence,)))
    found = store.get("s")
    assert found is not None
    assert found.value == b"x"
    assert list(store.poll(GROUP, target_of(RECORD), 9)) == []


def test_a_partition_that_comes_back_has_another_epoch(store: FlowStore) -> None:
    first = store.join(GROUP, "a", ttl_ms=TTL_MS)
    store.leave(GROUP, "a")
    store.join(GROUP, "a", ttl_ms=TTL_MS)
    with pytest.raises(FencedError):
        consume(store, first)


def test_a_member_that_left_is_fenced_though_nobody_follows(store: FlowStore) -> None:
    gone = store.join(GROUP, "gone", ttl_ms=TTL_MS)
    store.leave(GROUP, "gone")
    with pytest.raises(FencedError):
        consume(store, gone)


def test_a_partition_that_stays_keeps_its_fence(store: FlowStore) -> None:
    before = store.join(GROUP, "a", ttl_ms=TTL_MS)
    store.join(GROUP, "b", ttl_ms=TTL_MS)
    kept = owned(store)["a"].epochs
    for number in range(PARTITIONS):
        assert (before.epochs[number] == kept.get(number)) == (number in kept)


def test_a_silent_member_is_removed_by_the_heartbeat_of_another(
    store: FlowStore, clock: MovableClock
) -> None:
    join(store, "silent", "alive")
    clock.advance(TTL_MS - 1)
    assert len(store.heartbeat(GROUP, "alive").epochs) == PARTITIONS // 2
    clock.advance(1)
    assert len(store.heartbeat(GROUP, "alive").epochs) == PARTITIONS
    with pytest.raises(FencedError, match="'silent' is no member of group 'g' any more"):
        store.heartbeat(GROUP, "silent")
    assert len(join(store, "silent")["silent"].epochs) == PARTITIONS // 2


def test_a_member_that_wakes_late_and_alone_goes_on(store: FlowStore, clock: MovableClock) -> None:
    before = store.join(GROUP, "a", ttl_ms=TTL_MS)
    clock.advance(10 * TTL_MS)
    assert store.heartbeat(GROUP, "a") == before


def test_a_clock_that_is_put_back_keeps_nobody_alive(store: FlowStore, clock: MovableClock) -> None:
    join(store, "dead", "alive")
    clock.advance(-3_600_000)
    assert len(store.heartbeat(GROUP, "alive").epochs) == PARTITIONS // 2
    clock.advance(TTL_MS)
    assert len(store.heartbeat(GROUP, "alive").epochs) == PARTITIONS


def test_groups_are_apart(store: FlowStore) -> None:
    store.join(GROUP, "a", ttl_ms=TTL_MS)
    store.join("h", "b", ttl_ms=TTL_MS)
    assert [m.member for m in store.members(GROUP)] == ["a"]
    assert len(store.members("h")[0].epochs) == PARTITIONS
    assert list(store.members("none")) == []


def test_listeners_hear_of_rebalances_only(store: FlowStore) -> None:
    heard: list[str] = []
    store.on_rebalance(heard.append)
    join(store, "a", "b")
    store.heartbeat(GROUP, "a")
    store.leave(GROUP, "none")
    assert heard == [GROUP, GROUP]
    store.leave(GROUP, "b")
    assert heard == [GROUP] * 3
