"""Members that died are let go by those who know it."""

import pytest

from host.bus.memory import MemoryStore
from host.flow.messages import GROUP
from host.ports.bus import PARTITIONS
from host.workers.flow_group import FlowGroup

TTL = 60_000


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def owned(store):
    return lambda: {m.member: len(m.epochs) for m in store.members(GROUP)}


def enter(store, group, worker, pid):
    name = group.enter(worker, pid)
    store.join(GROUP, name, ttl_ms=TTL)
    return name


def test_the_partitions_of_a_dead_worker_move_at_once(store, owned):
    group = FlowGroup(store, run="a")
    first, second = enter(store, group, "flow-0", 10), enter(store, group, "flow-1", 11)
    assert owned() == {first: PARTITIONS // 2, second: PARTITIONS // 2}
    group.left("flow-0", 10)
    group.left("flow-0", 10)
    assert owned() == {second: PARTITIONS}


def test_a_restarted_worker_replaces_the_one_before_and_no_other(store, owned):
    group = FlowGroup(store, run="a")
    enter(store, group, "flow-0", 10)
    second = enter(store, group, "flow-1", 11)
    joined = enter(store, group, "flow-p12", 12)
    again = enter(store, group, "flow-0", 13)
    assert owned().keys() == {second, joined, again}


def test_members_of_an_earlier_host_are_let_go(store, owned):
    for number in range(3):
        enter(store, FlowGroup(store, run="a"), f"flow-{number}", number)
    store.join(GROUP, "named by something else", ttl_ms=TTL)
    only = enter(store, FlowGroup(store, run="b"), "flow-0", 7)
    assert owned() == {only: PARTITIONS}
