"""Glances of both stores: written with their state, gone with it, and read by place."""

from pathlib import Path

import pytest

from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.glances import GLANCES_MAX, GlancePlace, GlanceQuery, GlanceWrite
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import FlowStore, Unit
from tests.contract.conftest import placed

NODE, OTHER = ShortHash("0123456789AB"), ShortHash("BA9876543210")


def write(
    key: str, *, at: int = 1, status: str = "RUNNING", expected: int = 0, **changes: object
) -> StateWrite:
    values: dict[str, object] = {
        "node": NODE,
        "request_id": key,
        "flow_id": FlowId("f"),
        "flow_class": "demo.Flow",
        "status": status,
        "is_responder": False,
        "is_final": status == "COMPLETED",
        "at": EpochMs(at),
    }
    glance = GlanceWrite(**(values | changes))  # type: ignore[arg-type]
    return StateWrite(key=key, value=b"{}", expected=expected, glance=glance)


def keys(store: FlowStore, limit: int = 10, **query: object) -> list[str]:
    found = store.glances(GlanceQuery(**({"node": NODE} | query)), limit)  # type: ignore[arg-type]
    return [glance.key for glance in found]


def test_the_latest_start_comes_first_and_a_flow_keeps_its_start(store: FlowStore) -> None:
    store.commit(Unit(states=(write("a", at=5), write("b", at=5), write("c", at=4))))
    store.commit(Unit(states=(write("c", at=9, status="COMPLETED", expected=1),)))
    assert keys(store) == ["b", "a", "c"]
    ended = store.glances(GlanceQuery(node=NODE, status="COMPLETED"), 10)[0]
    assert (ended.started_at, ended.updated_at, ended.ended_at) == (4, 9, 9)
    assert store.glances(GlanceQuery(node=NODE, status="RUNNING"), 10)[0].ended_at is None


def test_a_query_is_for_one_node_kind_status_and_time(store: FlowStore) -> None:
    states = (
        write("own", at=1),
        write("late", at=3),
        write("theirs", at=2, is_responder=True),
        write("elsewhere", node=OTHER),
    )
    store.commit(Unit(states=states))
    assert keys(store) == ["late", "own"]
    assert keys(store, responders=True) == ["late", "theirs", "own"]
    assert keys(store, responders=True, until=EpochMs(2)) == ["theirs", "own"]
    assert (
        keys(store, responders=True, since=EpochMs(2), until=EpochMs(2))
        == keys(store, responders=True, until=EpochMs(2))[:1]
    )
    assert keys(store, status="COMPLETED") == []
    assert keys(store, node=OTHER) == ["elsewhere"]


def test_pages_together_are_the_list_also_when_flows_start_meanwhile(store: FlowStore) -> None:
    flows = [write(f"{n:02}", at=n // 3, is_responder=n % 2 == 0) for n in range(20)]
    store.commit(Unit(states=tuple(flows)))
    seen: list[str] = []
    before: GlancePlace | None = None
    for number in range(10):
        found = store.glances(GlanceQuery(node=NODE, responders=True, before=before), 3)
        store.commit(Unit(states=(write(f"new-{number}", at=99),)))
        if not found:
            break
        seen += [glance.key for glance in found]
        before = found[-1].place
    assert seen == sorted((f"{n:02}" for n in range(20)), reverse=True)


def test_a_glance_goes_with_its_state_and_with_nothing_else(store: FlowStore) -> None:
    store.commit(Unit(states=(write("a"), write("b"))))
    with pytest.raises(StateConflictError):
        store.commit(Unit(states=(StateWrite(key="a", value=None, expected=7),)))
    with pytest.raises(StateConflictError):
        store.commit(Unit(states=(write("c"), write("b"))))
    assert keys(store) == ["b", "a"]
    store.commit(Unit(states=(StateWrite(key="a", value=None, expected=1),)))
    assert keys(store) == ["b"]


def test_an_answer_is_bounded(store: FlowStore) -> None:
    store.commit(Unit(states=tuple(write(f"{n:05}") for n in range(GLANCES_MAX + 5))))
    assert len(keys(store, limit=10**9)) == GLANCES_MAX
    assert keys(store, limit=-1) == []


def test_what_follows_from_a_flow_is_found_by_its_first_glance(store: FlowStore) -> None:
    states = (
        write("follows", at=2, is_responder=True, origin=FlowId("o")),
        write("follows another", is_responder=True, origin=FlowId("p")),
        write("elsewhere", node=OTHER, is_responder=True, origin=FlowId("o")),
        write("own"),
    )
    store.commit(Unit(states=states))
    query = {"responders": True, "origin": FlowId("o")}
    assert keys(store, **query) == keys(store, status="RUNNING", **query) == ["follows"]
    later = (
        write("follows", status="COMPLETED", expected=1, is_responder=True),
        write("follows another", status="COMPLETED", expected=1, is_responder=True),
    )
    store.commit(Unit(states=later))
    assert keys(store, **query) == ["follows"]
    assert keys(store, status="RUNNING", **query) == []
    gone = StateWrite(key="follows", value=None, expected=2)
    store.commit(Unit(states=(gone,)))
    store.commit(Unit(states=(write("follows", is_responder=True),)))
    assert keys(store, **query) == []


def test_flows_of_all_nodes_are_listed_counted_and_summed_by_minute(store: FlowStore) -> None:
    minute = 60_000
    states = (
        write("a", at=1),
        write("b", at=2, node=OTHER),
        write("theirs", at=3, is_responder=True),
        write("c", at=minute, status="COMPLETED", node=OTHER),
        write("d", at=minute + 5, status="COMPLETED", node=OTHER),
        write("e", at=2 * minute, status="COMPLETED"),
        write("f", at=2 * minute, status="COMPLETED", is_responder=True),
    )
    store.commit(Unit(states=states))
    assert keys(store, node=None) == ["e", "d", "c", "b", "a"]
    assert keys(store, node=None, status="RUNNING") == ["b", "a"]
    assert keys(store, node=None, status="RUNNING", responders=True) == ["theirs", "b", "a"]
    assert (store.status_count("RUNNING", 10), store.status_count("RUNNING", 1)) == (2, 1)
    assert store.status_count("COMPLETED", 10) == 3
    assert [g.request_id for g in store.requested("", 3)] == ["a", "b", "c"]
    assert [g.request_id for g in store.requested("d", 3)] == ["d"]
    assert list(store.requested("t", 3)) == []
    found = {(e.node, e.minute, e.is_responder): e.count for e in store.ended(EpochMs(0))}
    assert found == {
        (OTHER, minute, False): 2,
        (NODE, 2 * minute, False): 1,
        (NODE, 2 * minute, True): 1,
    }
    assert {e.status for e in store.ended(EpochMs(0))} == {"COMPLETED"}
    assert [e.node for e in store.ended(EpochMs(minute + 6))] == [NODE, NODE]


def test_lists_are_read_by_index_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite", clock=SimClock())
    asked: list[str] = []

    def explained(sql: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        plan = store._read(f"EXPLAIN QUERY PLAN {sql}", values)
        asked.extend(str(row[3]) for row in plan)
        return []

    from host.adapters.sqlite.glances import read_glances

    place = GlancePlace(started_at=EpochMs(1), key="a")
    for status in (None, "RUNNING"):
        query = GlanceQuery(node=NODE, status=status, responders=True, before=place)
        read_glances(explained, query, 10)
    query = GlanceQuery(node=NODE, status="RUNNING", responders=True, origin=FlowId("o"))
    read_glances(explained, query, 10)
    assert len(asked) == 6
    assert all("USING INDEX flow_glance_" in step for step in asked), asked
    assert all("flow_glance_origin" in step and "status=?" in step for step in asked[4:]), asked
    from host.adapters.sqlite.glances import count_status, read_ended

    asked.clear()
    for status in (None, "RUNNING"):
        read_glances(explained, GlanceQuery(status=status, responders=True, before=place), 10)
    read_ended(explained, EpochMs(1))
    with pytest.raises(ValueError, match="unpack"):
        count_status(explained, "RUNNING", 10)
    ours = [step for step in asked if "flow_glance" in step]
    assert len(ours) == 6
    assert all("SEARCH" in step and "INDEX flow_glance_" in step for step in ours), ours
    store.close()


def test_a_due_place_is_kept_beside_a_glance(store: FlowStore) -> None:
    place = placed("g", 0)
    with_due = write("a")
    store.commit(
        Unit(
            states=(
                StateWrite(
                    key="a",
                    value=b"{}",
                    expected=0,
                    due_at=EpochMs(5),
                    place=place,
                    glance=with_due.glance,
                ),
            )
        )
    )
    assert [state.key for state in store.due("g", EpochMs(5), 1, (0,))] == ["a"]
    assert keys(store) == ["a"]
