"""What every store must do with work; one run per adapter."""

import threading

import pytest

from host.adapters.partitions import partition_of, target_of
from host.domain.ids import ShortHash
from host.ports.bus import Committed, NewRecord, WorkQueue
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import FlowStore, Unit
from host.ports.work import Backlog, Done, WorkRecord
from tests.contract.conftest import MovableClock

ALICE, BOB = ShortHash("A" * 12), ShortHash("B" * 12)
SAME_PARTITION = ("k0", "k18", "k51")
"""Keys of one partition."""


def work(key: str, value: bytes = b"v", node: ShortHash = ALICE, topic: str = "t") -> NewRecord:
    return NewRecord(topic=topic, key=key, value=value, node=node)


def publish(store: FlowStore, *records: NewRecord) -> None:
    store.commit(Unit(records=records))


def queue(key: str, node: ShortHash = ALICE, topic: str = "t") -> WorkQueue:
    return WorkQueue(topic=topic, partition=partition_of(key), node=node)


def done(*records: WorkRecord) -> Unit:
    positions = tuple(record.position for record in records)
    return Unit(done=(Done(queue=records[0].queue, positions=positions),))


def test_the_keys_of_these_tests_share_a_partition() -> None:
    assert len({partition_of(key) for key in SAME_PARTITION}) == 1


def test_the_oldest_record_comes_with_later_ones_of_its_key(store: FlowStore) -> None:
    first, second, _ = SAME_PARTITION
    publish(store, *[work(k, b"%d" % n) for n, k in enumerate([first, second, first, second])])
    found = store.take(queue(first), 9).records
    assert [(r.key, r.value) for r in found] == [(first, b"0"), (first, b"2")]
    assert found[0].position < found[1].position
    assert [r.value for r in store.take(queue(first), 2).records] == [b"0"]
    assert [r.value for r in store.take(queue(first), 9, {first}).records] == [b"1", b"3"]
    assert list(store.take(queue(first), 9, {first, second}).records) == []


def test_work_waits_in_the_queue_of_its_node(store: FlowStore) -> None:
    key, other, _ = SAME_PARTITION
    publish(store, work(key), work(other, node=BOB), work(key, topic="u"))
    assert list(store.waiting(["t", "u"])) == [queue(key), queue(key, BOB), queue(key, topic="u")]
    assert list(store.waiting(["u"])) == [queue(key, topic="u")]
    assert [r.key for r in store.take(queue(key, BOB), 9).records] == [other]
    store.commit(done(*store.take(queue(key), 9).records))
    assert list(store.waiting(["t"])) == [queue(key, BOB)]


def test_work_is_done_once(store: FlowStore) -> None:
    publish(store, work("k"), work("k"), work("k"))
    first, second, third = store.take(queue("k"), 9).records
    store.commit(done(first, third))
    assert list(store.take(queue("k"), 9).records) == [second]
    for again in (done(first), done(first, second)):
        with pytest.raises(StateConflictError, match=f"found . of positions {first.position}"):
            store.commit(again)
    assert list(store.take(queue("k"), 9).records) == [second]


def test_a_position_is_never_given_again(store: FlowStore) -> None:
    """Else a step that was committed without its knowledge would delete another record."""
    publish(store, work("k"))
    (first,) = store.take(queue("k"), 9).records
    store.commit(done(first))
    publish(store, work("k"))
    (second,) = store.take(queue("k"), 9).records
    assert second.position > first.position
    with pytest.raises(StateConflictError):
        store.commit(done(first))


def test_what_a_step_publishes_and_does_is_one_transaction(store: FlowStore) -> None:
    publish(store, work("k"))
    (record,) = store.take(queue("k"), 9).records
    state = StateWrite(key="s", value=b"", expected=0)
    store.commit(
        Unit(done=done(record).done, records=(work("k", b"w", topic="u"),), states=(state,))
    )
    with pytest.raises(StateConflictError):
        store.commit(Unit(done=done(record).done, records=(work("k", topic="u"),)))
    assert [r.value for r in store.take(queue("k", topic="u"), 9).records] == [b"w"]
    assert store.get("s") is not None


def test_two_steps_that_do_one_record_cannot_both_commit(store: FlowStore) -> None:
    publish(store, work("k"))
    unit, wins, losses = done(*store.take(queue("k"), 9).records), [], []
    barrier = threading.Barrier(4)

    def commit() -> None:
        barrier.wait()
        try:
            store.commit(unit)
            wins.append(1)
        except StateConflictError:
            losses.append(1)

    threads = [threading.Thread(target=commit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(wins), len(losses)) == (1, 3)


def test_listeners_hear_whose_work_came_in(store: FlowStore) -> None:
    heard: list[Committed] = []
    store.on_commit(heard.append)
    publish(store, work("k"), work("k", node=BOB), work("k"))
    store.commit(done(*store.take(queue("k"), 9).records))
    assert heard == [Committed(work=frozenset({queue("k"), queue("k", BOB)}))]


def test_work_is_in_no_log_and_a_log_is_no_work(store: FlowStore) -> None:
    publish(store, work("k"), NewRecord(topic="log", key="k", value=b"v"))
    assert list(store.topics()) == ["log"]
    assert store.poll("g", target_of(work("k")), 9) == []
    assert list(store.waiting(["t", "log"])) == [queue("k")]


def test_records_are_taken_until_they_are_large(store: FlowStore) -> None:
    publish(store, *(work("k", value=b"x" * 10) for _ in range(5)))
    sizes = [len(store.take(queue("k"), 9, bytes_max=n).records) for n in (1, 10, 11, 40, 41, 1000)]
    assert sizes == [1, 1, 2, 4, 5, 5]
    assert list(store.take(queue("k"), 9, ["k"], bytes_max=1).records) == []


def test_a_look_tells_whether_there_is_more(store: FlowStore) -> None:
    """So nobody has to look once more into a queue that is empty."""
    first, second, _ = SAME_PARTITION
    assert not store.take(queue(first), 9).more
    publish(store, work(first), work(first))
    assert not store.take(queue(first), 2).more
    assert store.take(queue(first), 1).more
    assert store.take(queue(first), 9, bytes_max=1).more
    publish(store, work(second))
    assert store.take(queue(first), 9).more
    assert not store.take(queue(first), 9, {first}).more
    assert not store.take(queue(first), 9, {second}).more
    assert store.take(queue(first), 1, {second}).more
    assert not store.take(queue(first), 9, {first, second}).more


def test_what_waits_is_counted_by_topic_with_the_age_of_the_oldest(
    store: FlowStore, clock: MovableClock
) -> None:
    clock.advance(10)
    publish(store, work("k", topic="b"), work("k", topic="a"), work("k", topic="c"))
    clock.advance(10)
    publish(store, work("k", topic="a"), work("other", topic="a", node=BOB))
    assert store.backlogs(("a", "b")) == [
        Backlog(topic="a", records=3, oldest_at=10),
        Backlog(topic="b", records=1, oldest_at=10),
    ]
    store.commit(done(store.take(queue("k", topic="a"), 9).records[0]))
    assert store.backlogs(("a",)) == [Backlog(topic="a", records=2, oldest_at=20)]
    assert store.backlogs(()) == []
