"""Members that died are let go by those who know it."""

import pytest

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import PARTITIONS
from host.domain.group_members import MemberName
from host.flow.core.messages import GROUP
from host.runtime.wiring.flows import only_member
from host.runtime.workers.flow_group import FlowGroup

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
    group = FlowGroup(store, host="here", run="a")
    first, second = enter(store, group, "flow-0", 10), enter(store, group, "flow-1", 11)
    assert owned() == {first: PARTITIONS // 2, second: PARTITIONS // 2}
    group.left("flow-0", 10)
    group.left("flow-0", 10)
    assert owned() == {second: PARTITIONS}


def test_a_restarted_worker_replaces_the_one_before_and_no_other(store, owned):
    group = FlowGroup(store, host="here", run="a")
    enter(store, group, "flow-0", 10)
    second = enter(store, group, "flow-1", 11)
    joined = enter(store, group, "flow-p12", 12)
    again = enter(store, group, "flow-0", 13)
    assert owned().keys() == {second, joined, again}


def test_members_of_an_earlier_host_are_let_go(store, owned):
    for number in range(3):
        enter(store, FlowGroup(store, host="here", run="a"), f"flow-{number}", number)
    only = enter(store, FlowGroup(store, host="here", run="b"), "flow-0", 7)
    assert owned() == {only: PARTITIONS}


def test_another_hosts_members_are_left_alone(store, owned):
    """Whether they live is for the group to find out: two hosts would expel each other."""
    there = enter(store, FlowGroup(store, host="there", run="a"), "flow-0", 7)
    store.join(GROUP, "named by something else", ttl_ms=TTL)
    here = enter(store, FlowGroup(store, host="here", run="b"), "flow-0", 7)
    FlowGroup(store, host="here", run="b").left("flow-0", 8)
    assert owned().keys() == {there, "named by something else", here}
    combined = only_member(store, GROUP, "c", host="third")
    store.join(GROUP, combined, ttl_ms=TTL)
    again = only_member(store, GROUP, "d", host="third")
    assert owned().keys() == {there, "named by something else", here}
    assert {MemberName.parse(name).host for name in (combined, again)} == {"third"}


@pytest.mark.parametrize("text", ["", "a.b.c", "a.b.1.r.x", "a.b.x.r", "a..1.r", "named"])
def test_other_names_are_no_members_of_a_host(text):
    assert MemberName.parse(text) is None
    name = MemberName(host="h", worker="flow-0", pid=7, run="r")
    assert MemberName.parse(str(name)) == name
