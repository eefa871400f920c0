"""What every bus tells about records that wait; one run per adapter."""

from host.ports.bus import Backlog, NewRecord
from host.ports.units import Consumed, FlowStore, Unit


def record(topic: str, key: str) -> NewRecord:
    return NewRecord(topic=topic, key=key, value=b"v")


def test_waiting_records_are_counted_by_topic_with_the_age_of_the_oldest(store, clock) -> None:
    clock.advance(10)
    store.commit(Unit(records=(record("b", "k"), record("a", "k"), record("c", "k"))))
    clock.advance(10)
    store.commit(Unit(records=(record("a", "k"), record("a", "other"))))
    assert store.backlogs("g", ("a", "b")) == [
        Backlog(topic="a", records=3, oldest_at=10),
        Backlog(topic="b", records=1, oldest_at=10),
    ]


def test_what_a_group_consumed_waits_no_more_for_it(store: FlowStore, clock) -> None:
    store.commit(Unit(records=(record("a", "k"),)))
    clock.advance(5)
    store.commit(Unit(records=(record("a", "k"),)))
    source = record("a", "k").target
    store.commit(Unit(consumed=(Consumed(group="g", source=source, start=0, count=1),)))
    assert store.backlogs("g", ("a",)) == [Backlog(topic="a", records=1, oldest_at=5)]
    assert store.backlogs("h", ("a",)) == [Backlog(topic="a", records=2, oldest_at=0)]
    store.commit(Unit(consumed=(Consumed(group="g", source=source, start=1, count=1),)))
    assert store.backlogs("g", ("a",)) == []
    assert store.backlogs("g", ()) == []
