"""What every store must do for topics: reading without a group, compaction, retention."""

from pathlib import Path

import pytest

from host.adapters.sqlite.store import SqliteStore
from host.adapters.sqlite.topics import newest
from host.domain.accounts import Account, Balance
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import NewRecord, Record, RecordPlace, TopicPartition
from host.ports.state import StateConflictError
from host.ports.topics import Retention
from host.ports.units import Consumed, Dropped, FlowStore, JournalRow, Unit
from tests.contract.conftest import MovableClock

NODE = ShortHash("A1B2C3D4E5F6")


def publish(store: FlowStore, *records: tuple[str, bytes], topic: str = "t") -> None:
    new = tuple(NewRecord(topic=topic, key=k, value=v) for k, v in records)
    store.commit(Unit(records=new))


def values(records: list[Record] | object) -> list[bytes]:
    return [record.value for record in records]  # type: ignore[attr-defined]


def test_topics_are_those_that_got_records(store: FlowStore) -> None:
    for topic in ("ext.b", "ext.a", "flow"):
        publish(store, ("k", b"v"), topic=topic)
    assert list(store.topics()) == ["ext.a", "ext.b", "flow"]
    assert list(store.topics("ext.")) == ["ext.a", "ext.b"]
    assert list(store.topics("none")) == []


def test_the_newest_come_first(store: FlowStore, clock: MovableClock) -> None:
    for number in range(4):
        publish(store, (f"k{number}", b"%d" % number))
        clock.advance(1)
    assert values(store.newest("t", 3)) == [b"3", b"2", b"1"]
    assert [r.written_at for r in store.newest("t", 9)] == [3, 2, 1, 0]
    assert list(store.newest("none", 3)) == []


def test_old_records_expire_by_age(store: FlowStore, clock: MovableClock) -> None:
    for number in range(4):
        publish(store, ("k", b"%d" % number))
        clock.advance(10)
    assert store.expire("t", Retention(age_ms=25)) == 2
    assert values(store.newest("t", 9)) == [b"3", b"2"]
    assert store.expire("t", Retention(age_ms=25)) == 0
    assert store.expire("t", Retention()) == 0


def test_the_oldest_records_expire_by_size(store: FlowStore, clock: MovableClock) -> None:
    for number in range(4):
        publish(store, (f"k{number}", b"%d" % number * 10))
        clock.advance(1)
    assert store.expire("t", Retention(bytes_max=25)) == 2
    assert values(store.newest("t", 9)) == [b"3" * 10, b"2" * 10]
    assert store.expire("t", Retention(bytes_max=0)) == 2


def test_a_clock_that_is_put_back_lets_nothing_expire_early(
    store: FlowStore, clock: MovableClock
) -> None:
    clock.advance(1000)
    publish(store, ("k", b"1"))
    clock.advance(-900)
    assert store.expire("t", Retention(age_ms=50)) == 0


def test_other_topics_are_left_alone(store: FlowStore) -> None:
    for topic in ("t", "u"):
        publish(store, ("k", b"1"), ("k", b"2"), topic=topic)
    store.expire("t", Retention(bytes_max=0))
    assert values(store.newest("u", 9)) == [b"2", b"1"]


def test_a_group_goes_on_behind_a_gap(store: FlowStore, clock: MovableClock) -> None:
    publish(store, ("k", b"0"), ("k", b"1"))
    clock.advance(100)
    publish(store, ("k", b"2"), ("k", b"3"))
    store.expire("t", Retention(age_ms=50))
    first = store.poll("g", store.newest("t", 1)[0].source, 1)[0]
    assert first.value == b"2"
    ahead = Consumed(group="g", source=first.source, start=3, count=1)
    with pytest.raises(StateConflictError, match="g is at offset 0 of t-"):
        store.commit(Unit(consumed=(ahead,)))  # record 2 is still there
    store.commit(Unit(consumed=(Consumed(group="g", source=first.source, start=2, count=1),)))
    assert values(store.poll("g", first.source, 9)) == [b"3"]


def test_the_newest_records_are_read_page_by_page(store: FlowStore, clock: MovableClock) -> None:
    for number in range(30):
        publish(store, (f"k{number}", b"%d" % number))
        clock.advance(number % 3 == 0)
    whole = store.newest("t", 99)
    assert len(whole) == 30
    paged: list[bytes] = []
    before = None
    while found := store.newest("t", 4, before):
        paged += [record.value for record in found]
        before = found[-1].place
    assert paged == values(whole)


def test_the_newest_records_are_found_by_index(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    place = RecordPlace(written_at=EpochMs(1), partition=0, offset=0)
    sql, asked = newest("t", 1, place)
    plan, *of_pieces = store._read(f"EXPLAIN QUERY PLAN {sql}", asked)
    assert not any("TEMP B-TREE" in row[-1] or "SCAN pieces" in row[-1] for row in of_pieces)
    assert "USING INDEX records_newest" in plan[3]
    store.close()


def test_journal_rows_are_read_in_part(store: FlowStore) -> None:
    flow = FlowId("f")
    rows = tuple(JournalRow(flow_id=flow, number=n, value=b"x" * n) for n in range(5))
    store.commit(Unit(journal=rows))
    assert store.journal_rows(flow, 1, 2) == [b"x", b"xx"]
    assert store.journal_rows(flow, 4, 9) == [b"xxxx"]
    assert store.journal_rows(flow, 5, 1) == []
    assert (store.journal_bytes(flow), store.journal_bytes(FlowId("g"))) == (10, 0)


def publish_to_one(store: FlowStore, *values: bytes) -> TopicPartition:
    """Records of one key, charged to a node."""
    for value in values:
        store.commit(Unit(records=(NewRecord(topic="t", key="k", value=value, owner=NODE),)))
    (source,) = store.ready("g", ["t"])
    return source


def test_a_poll_ends_once_it_has_so_many_bytes(store: FlowStore) -> None:
    source = publish_to_one(store, b"", b"four", b"five5", b"six")

    def polled(bytes_max: int, limit: int = 9) -> list[bytes]:
        return [r.value for r in store.poll("g", source, limit, bytes_max=bytes_max)]

    assert polled(1) == [b"", b"four"]
    assert polled(4) == [b"", b"four"]
    assert polled(5) == [b"", b"four", b"five5"]
    assert polled(5, limit=1) == [b""]
    assert polled(100) == [b"", b"four", b"five5", b"six"]


def test_what_a_group_has_not_read_is_counted_by_topic(store: FlowStore) -> None:
    source = publish_to_one(store, b"a", b"b", b"c")
    store.commit(Unit(records=(NewRecord(topic="u", key="k", value=b"d"),)))

    assert store.unread("g", ["t", "u", "v"]) == {"t": 3, "u": 1}
    store.commit(Unit(consumed=(Consumed(group="g", source=source, start=0, count=3),)))

    assert store.unread("g", ["t", "u", "v"]) == {"u": 1}


def test_records_that_are_consumed_and_dropped_leave_their_node_s_account(store: FlowStore) -> None:
    source = publish_to_one(store, b"first", b"second" * 100, b"third")
    before = store.balances(NODE)[Account.BUS]

    store.commit(Unit(consumed=(Consumed(group="g", source=source, start=0, count=1),)))
    assert store.balances(NODE)[Account.BUS] == before
    dropping = Consumed(group="g", source=source, start=1, count=1, is_dropped=True)
    store.commit(Unit(consumed=(dropping,)))

    assert store.balances(NODE)[Account.BUS] == Balance(bytes=len(b"kthird"), rows=1, lasting=0)
    assert [r.value for r in store.newest("t", 9)] == [b"third"]
    assert [(r.offset, r.value) for r in store.poll("g", source, 9)] == [(2, b"third")]
    assert not store.recount()


def test_a_record_is_dropped_by_itself_once_and_with_what_replaces_it(store: FlowStore) -> None:
    letters = [NewRecord(topic="t", key="k", value=v, owner=NODE) for v in (b"1", b"22", b"333")]
    store.commit(Unit(records=tuple(letters)))
    middle = next(r for r in store.newest("t", 9) if r.value == b"22")
    assert middle.owner == NODE
    work = NewRecord(topic="w", key="k", value=b"22", node=NODE)
    moved = Unit(dropped=(Dropped(source=middle.source, offset=middle.offset),), records=(work,))
    held = store.balance(NODE, Account.BUS)
    store.commit(moved)
    assert sorted(values(store.newest("t", 9))) == [b"1", b"333"]
    assert store.balance(NODE, Account.BUS) == held
    with pytest.raises(StateConflictError):
        store.commit(moved)
    (queue,) = store.waiting(["w"])
    assert [r.value for r in store.take(queue, 9).records] == [b"22"]
    assert not store.recount()
    # A gap is passed over, as one that has expired.
    assert values(store.poll("g", middle.source, 9)) == [b"1", b"333"]
