"""What every state store must do; one run per adapter."""

import threading

import pytest

from host.domain.accounts import NOTHING, Account, Balance, Charge
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import DuePlace, NewRecord, Placement
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import FlowStore, Unit
from tests.contract.conftest import MovableClock, placed

HERE = placed("g", 3)


def put(
    store: FlowStore,
    key: str,
    value: bytes | None,
    expected: int,
    due: int | None = None,
    place: Placement | None = None,
) -> None:
    write = StateWrite(
        key=key,
        value=value,
        expected=expected,
        due_at=None if due is None else EpochMs(due),
        place=HERE if due is not None and place is None else place,
    )
    store.commit(Unit(states=(write,)))


def test_versions_count_writes(store: FlowStore) -> None:
    assert store.get("k") is None
    put(store, "k", b"a", 0)
    put(store, "k", b"b", 1)
    found = store.get("k")
    assert (found.version, found.value, found.due_at) == (2, b"b", None)


def test_several_are_read_in_one_look(store: FlowStore) -> None:
    for number, key in enumerate(("a", "b", 'c"\x1f')):
        put(store, key, b"%d" % number, 0, due=number)
    found = store.get_many(("b", 'c"\x1f', "absent", "b"))
    assert found == {key: store.get(key) for key in ("b", 'c"\x1f')}
    assert store.get_many(()) == {}


def test_large_values_are_read_and_counted_as_others_are(store: FlowStore) -> None:
    charge = Charge(node=ShortHash("A" * 12), account=Account.STATUS)
    large, larger = bytes(range(256)) * 8_192, b"x" * 3_000_001

    def write(value: bytes | None, expected: int, at: int = 1) -> None:
        write = StateWrite(
            key="k",
            value=value,
            expected=expected,
            due_at=None if value is None else EpochMs(at),
            place=HERE,
            charge=charge,
        )
        store.commit(Unit(states=(write,)))

    for expected, value in enumerate([large, larger, b"small", large]):
        write(value, expected)
        found = store.get("k")
        assert found is not None
        assert (found.version, found.value) == (expected + 1, value)
        assert store.get_many(["k"]) == {"k": found}
        assert list(store.scan("")) == list(store.due("g", EpochMs(9), 9, {3})) == [found]
        assert list(store.placed("g", {3})) == list(store.oldest(charge, 9)) == [found]
        assert store.share(charge) == Balance(bytes=1 + len(value), rows=1)
    write(None, 4)
    assert store.share(charge) == NOTHING
    write(b"again", 0)
    assert [state.value for state in store.scan("")] == [b"again"]
    assert not store.recount()


@pytest.mark.parametrize("value", [b"x", None])
@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_write_at_another_version_is_refused(
    store: FlowStore, value: bytes | None, expected: int
) -> None:
    put(store, "k", b"a", 0)
    put(store, "k", b"b", 1)
    with pytest.raises(StateConflictError, match=f"at version 2, expected {expected}"):
        put(store, "k", value, expected)
    assert store.get("k").value == b"b"


def test_a_deleted_state_starts_again_at_version_1(store: FlowStore) -> None:
    put(store, "k", b"a", 0)
    put(store, "k", None, 1)
    assert store.get("k") is None
    put(store, "k", b"b", 0)
    assert store.get("k").version == 1


def test_an_update_of_a_missing_state_is_refused(store: FlowStore) -> None:
    with pytest.raises(StateConflictError, match="at version 0, expected 1"):
        put(store, "k", b"a", 1)


def test_scan_is_by_key_and_prefix(store: FlowStore) -> None:
    for key in ("b/2", "a/1", "b/1", "b", "c/1"):
        put(store, key, key.encode(), 0)
    assert [s.key for s in store.scan("b/")] == ["b/1", "b/2"]
    assert [s.key for s in store.scan("")] == ["a/1", "b", "b/1", "b/2", "c/1"]


def test_due_states_come_earliest_first_up_to_now(store: FlowStore) -> None:
    put(store, "late", b"", 0, 30)
    put(store, "early", b"", 0, 10)
    put(store, "mid", b"", 0, 20)
    put(store, "never", b"", 0)
    assert [s.key for s in store.due("g", EpochMs(20), 10, {3})] == ["early", "mid"]
    assert [s.key for s in store.due("g", EpochMs(99), 1, {3})] == ["early"]
    assert store.next_due("g", {3}) == 10
    put(store, "early", b"", 1)
    assert store.next_due("g", {3}) == 20


def test_a_group_looks_at_its_own_due_states_in_the_partitions_that_are_asked_for(
    store: FlowStore,
) -> None:
    for number, group in enumerate(["g", "h", "g", "h"]):
        place = placed(group, number // 2)
        put(store, f"s{number}", b"", 0, 40 - number, place)
    assert [s.key for s in store.due("g", EpochMs(99), 9, {0, 1, 2})] == ["s2", "s0"]
    assert [s.key for s in store.due("h", EpochMs(99), 9, {0})] == ["s1"]
    assert [store.next_due(g, {p}) for g in ("g", "h") for p in (0, 1, 2)] == [
        40, 38, None, 39, 37, None,
    ]  # fmt: skip
    assert store.due("g", EpochMs(99), 9, ()) == []
    assert store.due("i", EpochMs(99), 9, {0, 1}) == []


def test_a_state_may_have_its_place_without_a_due_time(store: FlowStore) -> None:
    put(store, "b", b"v", 0, place=HERE)
    put(store, "a", b"", 0, 5)
    put(store, "c", b"", 0)
    put(store, "d", b"", 0, place=placed("g", 4))
    assert [s.key for s in store.due("g", EpochMs(99), 9, {3})] == ["a"]
    assert [(s.key, s.due_at) for s in store.placed("g", {3})] == [("a", 5), ("b", None)]
    assert store.placed("g", {3})[1] == store.get("b")
    assert store.get("b").place == DuePlace(group="g", partition=3)
    put(store, "b", b"w", 1)
    assert [s.key for s in store.placed("g", {3, 4})] == ["a", "d"]


def test_a_due_time_that_no_group_looks_at_is_refused() -> None:
    with pytest.raises(ValueError, match="no group"):
        StateWrite(key="k", value=b"", expected=0, due_at=EpochMs(1))


def test_next_due_of_nothing_is_none(store: FlowStore) -> None:
    assert store.next_due("g", range(store.partitions)) is None
    assert store.next_due("g", ()) is None


def test_no_update_is_lost_between_threads(store: FlowStore) -> None:
    put(store, "k", b"0", 0)

    def add() -> None:
        for _ in range(10):
            while True:
                found = store.get("k")
                try:
                    put(store, "k", str(int(found.value) + 1).encode(), found.version)
                except StateConflictError:
                    continue
                break

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("k").value == b"30"


def test_the_store_s_time_is_that_of_its_records(store: FlowStore, clock: MovableClock) -> None:
    clock.advance(1234)
    assert store.time.now_ms() == store.time.steady_ms() == 1234
    store.commit(Unit(records=(NewRecord(topic="log", key="k", value=b""),)))
    assert [record.written_at for record in store.newest("log", 9)] == [1234]
