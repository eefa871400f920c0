"""What every bus must do; one run per adapter."""

import threading

import pytest

from host.adapters.partitions import target_of
from host.domain.ids import EpochMs
from host.ports.bus import Committed, DuePlace, NewRecord, TopicPartition
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, FlowStore, Unit
from tests.contract.conftest import placed


def record(key: str, value: bytes = b"v", topic: str = "t") -> NewRecord:
    return NewRecord(topic=topic, key=key, value=value)


def publish(store: FlowStore, *records: NewRecord) -> None:
    store.commit(Unit(records=records))


def done(source: TopicPartition, start: int, count: int = 1, group: str = "g") -> Unit:
    return Unit(consumed=(Consumed(group=group, source=source, start=start, count=count),))


def test_a_key_selects_one_partition_everywhere(store: FlowStore) -> None:
    targets = {target_of(record(f"k{n}")).partition for n in range(500)}
    assert targets == set(range(store.partitions))
    assert target_of(record("alice")) == TopicPartition(topic="t", partition=7)


def test_records_of_a_key_keep_their_order_and_offsets_have_no_gaps(store: FlowStore) -> None:
    for number in range(5):
        publish(store, record("k", str(number).encode()))
    found = store.poll("g", target_of(record("k")), 10)
    assert [(r.offset, r.key, r.value) for r in found] == [
        (n, "k", str(n).encode()) for n in range(5)
    ]


def test_poll_starts_at_the_groups_offset_and_is_limited(store: FlowStore) -> None:
    publish(store, *[record("k", str(n).encode()) for n in range(5)])
    source = target_of(record("k"))
    store.commit(done(source, 0, 2))
    assert [r.offset for r in store.poll("g", source, 2)] == [2, 3]
    assert [r.offset for r in store.poll("other", source, 1)] == [0]


def test_ready_names_partitions_with_unread_records_of_the_topics(store: FlowStore) -> None:
    publish(store, record("k"), record("k", topic="u"), record("k", topic="ignored"))
    t, u = target_of(record("k")), target_of(record("k", topic="u"))
    assert list(store.ready("g", ["t", "u"])) == [t, u]
    store.commit(done(t, 0))
    assert list(store.ready("g", ["t", "u"])) == [u]
    assert list(store.ready("other", ["t"])) == [t]


def test_an_offset_is_consumed_once(store: FlowStore) -> None:
    publish(store, record("k"), record("k"))
    source = target_of(record("k"))
    store.commit(done(source, 0))
    with pytest.raises(StateConflictError, match=r"is at offset 1 of t-.*, expected 0"):
        store.commit(done(source, 0))


def test_two_consumers_of_one_record_cannot_both_commit(store: FlowStore) -> None:
    publish(store, record("k"))
    source, wins, losses = target_of(record("k")), [], []
    barrier = threading.Barrier(4)

    def consume() -> None:
        barrier.wait()
        try:
            store.commit(done(source, 0))
            wins.append(1)
        except StateConflictError:
            losses.append(1)

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(wins), len(losses)) == (1, 3)


def test_listeners_hear_of_records_and_due_times_after_the_commit(store: FlowStore) -> None:
    heard: list[object] = []
    source = target_of(record("k"))
    store.on_commit(lambda committed: heard.append((committed, len(store.poll("g", source, 9)))))
    publish(store, record("k"))
    place = DuePlace(group="g", partition=3)
    due = StateWrite(key="s", value=b"", expected=0, due_at=EpochMs(7), place=placed("g", 3))
    store.commit(Unit(states=(due,)))
    store.commit(done(source, 0))
    assert heard == [
        (Committed(logs=frozenset({source})), 1),
        (Committed(due={place: EpochMs(7)}), 1),
    ]
