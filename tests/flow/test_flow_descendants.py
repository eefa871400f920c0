"""Flows that lead to flows: their tree is finite however it branches, and ends with its root."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.memory.store import MemoryStore
from host.domain.flow import FlowStatusName
from host.domain.vnode import OperationalStatus
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.errors import FlowEndedError
from host.flow.core.hops import descendants_of, share_of
from host.flow.core.requests import SESSIONS_MAX
from host.flow.core.statuses import read_status
from host.ports.glances import GlanceQuery
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB, Flow, Network, holding
from tests.flow.scripted import CallFailed, Guest

HERE = holding(ALICE).short_hash
UNLIMITED_HOPS = 1000


def made_of(store: FlowStore, flow: Flow, **limits: Any) -> Network:
    config: FlowConfig = replace(CORDA_DEFAULTS, max_sleep_ms=10_000_000, **limits)
    return Network(store, {"test.Initiator": flow, "test.Responder": flow}, config=config)


def open_sub_flow(guest: Guest) -> None:
    if guest.start["session"]:
        guest.receive(guest.session)
    guest.call("flow", "sub-flow", op="enter", flow="sub", protocol="p", versions=[1])


def worm(guest: Guest) -> str:
    """Begets three of its kind on its own node; each of them does."""
    open_sub_flow(guest)
    codes = []
    for _ in range(3):
        try:
            guest.send(guest.open(guest.start["me"]), "go")
        except CallFailed as refused:
            codes.append(refused.code)
    return " ".join(codes)


def responders(network: Network) -> list[Any]:
    return [read_status(record) for record in network.store.scan(f"responder/{HERE}/")]


@pytest.mark.parametrize("most", [1, 10, 200])
def test_a_tree_of_flows_ends_by_itself(store: FlowStore, most: int) -> None:
    network = made_of(store, worm, hops_max=UNLIMITED_HOPS, descendants_max=most)
    assert network.run().status is FlowStatusName.COMPLETED
    found = responders(network)
    assert 3 <= len(found) <= most + 3
    assert all(status.status is FlowStatusName.COMPLETED for status in found)
    assert any("flow-descendants-too-many" in (status.result or "") for status in found)


def test_a_wide_tree_and_a_deep_one_are_let_be(store: FlowStore) -> None:
    def wide(guest: Guest) -> str:
        """Ninety sessions, and one more of each responder."""
        depth = 0 if guest.start["session"] is None else guest.receive(guest.session)
        if depth < 2:
            guest.call("flow", "sub-flow", op="enter", flow="sub", protocol="p", versions=[1])
            for _ in range(90 if depth == 0 else 1):
                guest.send(guest.open(guest.start["me"]), depth + 1)
        return ""

    network = made_of(store, wide)
    assert network.run().status is FlowStatusName.COMPLETED
    assert len(responders(network)) == 180


def test_a_client_s_flow_may_open_all_its_sessions(store: FlowStore) -> None:
    def many(guest: Guest) -> str:
        if guest.start["session"]:
            return str(guest.call("flow", "context", op="get", key="corda.descendants"))
        guest.call("flow", "sub-flow", op="enter", flow="sub", protocol="p", versions=[1])
        for _ in range(20):
            guest.send(guest.open(guest.start["me"]), "go")
        return str(guest.call("flow", "context", op="get", key="corda.descendants"))

    network = made_of(store, many, descendants_max=10)
    network.run()
    assert len(responders(network)) == 20


def test_a_flow_cannot_write_what_may_follow_from_it(store: FlowStore) -> None:
    def forging(guest: Guest) -> str:
        codes = []
        for key in ("corda.descendants", "corda.originFlowId"):
            try:
                guest.call("flow", "context", op="put", key=key, value="9")
            except CallFailed as failed:
                codes.append(failed.code)
        return " ".join(codes)

    network = made_of(store, forging)
    assert network.run().result == "context-key-reserved context-key-reserved"


@given(st.integers(0, 1_000_000))
def test_shares_are_together_no_more_than_there_is(descendants: int) -> None:
    assert sum(share_of(descendants, n) for n in range(1, SESSIONS_MAX + 1)) <= descendants


def test_what_a_session_says_is_believed_up_to_the_host_s_own_limit() -> None:
    assert descendants_of({"corda.descendants": "7"}, 10) == 7
    assert descendants_of({"corda.descendants": "9999999"}, 10) == 10
    assert descendants_of({}, 10) == 10
    for text in ("", "-1", "1e9", "\u0663", "9" * 8):
        assert descendants_of({"corda.descendants": text}, 10) is None


def sleeping(guest: Guest) -> str:
    """Begets two of its kind, and sleeps whatever becomes of them."""
    open_sub_flow(guest)
    for _ in range(2):
        with suppress(CallFailed):
            guest.send(guest.open(guest.start["me"]), "go")
    guest.call("flow", "sleep", millis=9_000_000)
    return ""


def test_killing_a_client_s_flow_ends_all_that_follows_from_it(store: FlowStore) -> None:
    network = made_of(store, sleeping, descendants_max=40)
    network.start(request_id="other")
    network.engine.drain()
    others = {status.flow_id for status in responders(network)}
    network.run()
    assert len(responders(network)) > 2 * len(others) - 9
    network.service.kill(HERE, "r1")
    network.engine.drain()
    assert network.alice().status is FlowStatusName.KILLED
    for status in responders(network):
        is_other = status.flow_id in others
        assert status.status is (FlowStatusName.RUNNING if is_other else FlowStatusName.KILLED)
    assert network.alice("other").status is FlowStatusName.RUNNING


def staying(guest: Guest) -> str:
    """The client's flow sleeps; what follows from it goes on branching."""
    found = worm(guest)
    if not guest.start["session"]:
        guest.call("flow", "sleep", millis=9_000_000)
    return found


def until_there_are(network: Network, count: int) -> None:
    while len(responders(network)) < count:
        for queue in network.engine.ready():
            network.engine.process(queue)


@pytest.mark.parametrize("flow", [staying, worm], ids=["running", "ended"])
def test_nothing_more_follows_from_a_flow_that_was_killed(store: FlowStore, flow: Flow) -> None:
    """Sessions that were under way start nothing, and leave no status; though it has ended."""
    network = made_of(store, flow, descendants_max=2_000)
    network.start()
    until_there_are(network, 20)
    network.service.kill(HERE, "r1")
    count = len(responders(network))
    network.engine.drain()
    assert len(responders(network)) == count
    assert all(status.status.is_final for status in responders(network))
    assert network.service.open_count(HERE) == 0
    with pytest.raises(FlowEndedError):
        network.service.kill(HERE, "r1")


def test_the_mark_of_a_killed_flow_goes_after_a_time(store: FlowStore) -> None:
    network = made_of(store, sleeping, descendants_max=4)
    network.run()
    network.service.kill(HERE, "r1")
    network.engine.drain()
    assert len(store.scan("killed/")) == 1
    network.later(CORDA_DEFAULTS.status_retention_ms)
    assert store.scan("killed/") == []


def test_another_node_s_flows_are_not_killed_but_hear_of_it(store: FlowStore) -> None:
    def ask(guest: Guest) -> str:
        session = guest.open(BOB)
        guest.send(session, "go")
        guest.receive(session)
        return ""

    def answer(guest: Guest) -> str:
        guest.receive(guest.session)
        try:
            guest.receive(guest.session)
        except CallFailed as failed:
            return failed.code
        return ""

    network = Network(store, {"test.Initiator": ask, "test.Responder": answer})
    network.run()
    network.service.kill(HERE, "r1")
    network.engine.drain()
    assert [status.result for status in network.bobs()] == ["session-error"]


@pytest.mark.parametrize("flow", [sleeping, worm])
def test_a_tree_ends_with_the_maintenance_of_its_node(store: FlowStore, flow: Flow) -> None:
    network = made_of(store, flow, descendants_max=2_000)
    network.start()
    until_there_are(network, 20)
    inactive = OperationalStatus.INACTIVE
    network.replace(
        ALICE, flow_status=inactive, flow_start_status=inactive, flow_p2p_status=inactive
    )
    network.service.end_all(HERE)
    count = len(responders(network))
    network.engine.drain()
    found = responders(network)
    assert len(found) <= 2 * count  # one that was to start is noted as killed
    assert all(status.status.is_final for status in found)
    assert network.service.open_count(HERE) == 0


def test_killing_a_flow_looks_only_at_what_follows_from_it() -> None:
    store = MemoryStore()
    network = made_of(store, sleeping, descendants_max=5)
    for number in range(9):
        network.start(request_id=f"other{number}")
    network.run()
    assert len(responders(network)) >= 10
    read, seen = store.get, list[str]()
    glances, shown = store.glances, list[int]()

    def reading(key: str) -> Any:
        seen.append(key)
        return read(key)

    def showing(query: GlanceQuery, limit: int) -> Any:
        found = glances(query, limit)
        shown.append(len(found))
        return found

    store.get, store.glances = reading, showing  # type: ignore[method-assign]
    network.service.kill(HERE, "r1")
    assert not [key for key in seen if key.startswith("flow/")]
    assert 1 <= sum(shown) <= 5


def test_no_more_flows_are_ended_at_once_than_a_unit_may_have(store: FlowStore) -> None:
    def wide(guest: Guest) -> str:
        if not guest.start["session"]:
            open_sub_flow(guest)
            for _ in range(401):
                guest.send(guest.open(guest.start["me"]), "go")
        guest.call("flow", "sleep", millis=9_000_000)
        return ""

    network = made_of(store, wide)
    network.run()
    commit, sizes = network.store.commit, list[int]()

    def measured(unit: Unit) -> None:
        sizes.append(len(unit.records))
        commit(unit)

    network.store.commit = measured  # type: ignore[method-assign]
    network.service.kill(HERE, "r1")
    assert max(sizes) == 200
    assert sum(sizes) == 402
