"""Topics stay bounded, and operators see what was given up."""

from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.domain.ids import EpochMs, ShortHash
from host.flow.core.events import FlowEngineEvent, RecordsExpired
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    KillFlow,
    Wake,
    encode,
)
from host.flow.engine.upkeep import EXPIRE_EVERY_MS, Upkeep
from host.flow.records.dead_letters import DeadLetter, dead_letters
from host.ports.bus import NewRecord
from host.ports.live import Fixed
from host.ports.topics import Retention
from host.ports.units import Unit
from tests.flow.queues import event, waiting


def publish(store: MemoryStore, topic: str, value: bytes = b"v", key: str = "k") -> NewRecord:
    record = NewRecord(topic=topic, key=key, value=value)
    store.commit(Unit(records=(record,)))
    return record


def test_logs_are_bounded_by_age_and_work_is_left_alone() -> None:
    clock = SimClock()
    store = MemoryStore(clock=clock)
    upkeep = Upkeep(store, clock, Fixed(Retention(age_ms=2 * EXPIRE_EVERY_MS)))
    store.commit(Unit(records=(event(EVENT_TOPIC, "k", b"v"),)))
    for topic in (DEAD_LETTER_TOPIC, "ext.node.channel.receive"):
        publish(store, topic)
    upkeep.run()
    clock.advance(2 * EXPIRE_EVERY_MS - 1)
    upkeep.run()
    assert len(store.newest(DEAD_LETTER_TOPIC, 9)) == 1
    clock.advance(EXPIRE_EVERY_MS)
    upkeep.run()
    # External messages are nobody's to delete but who fetches them.
    assert [len(store.newest(topic, 9)) for topic in store.topics()] == [1, 0]
    assert len(waiting(store, EVENT_TOPIC)) == 1


def test_other_topics_are_bounded_by_size_and_looked_at_rarely() -> None:
    clock = SimClock()
    store = MemoryStore(clock=clock)
    upkeep = Upkeep(store, clock, Fixed(Retention(bytes_max=10)))
    upkeep.run()
    for _ in range(5):
        publish(store, DEAD_LETTER_TOPIC, b"1234")
    upkeep.run()
    assert len(store.newest(DEAD_LETTER_TOPIC, 9)) == 5
    clock.advance(EXPIRE_EVERY_MS)
    upkeep.run()
    assert len(store.newest(DEAD_LETTER_TOPIC, 9)) == 2


def test_each_node_keeps_as_much_as_another() -> None:
    clock = SimClock()
    store = MemoryStore(clock=clock)
    told: list[FlowEngineEvent] = []
    upkeep = Upkeep(store, clock, Fixed(Retention(bytes_max=10)), events=told.append)
    for owner, count in (("A" * 12, 9), ("B" * 12, 2)):
        letter = NewRecord(
            topic=DEAD_LETTER_TOPIC, key=owner, value=b"1234", owner=ShortHash(owner)
        )
        store.commit(Unit(records=(letter,) * count))
    upkeep.run()
    left = [record.key[0] for record in store.newest(DEAD_LETTER_TOPIC, 99)]
    assert sorted(left) == ["A", "A", "B", "B"]
    assert told == [RecordsExpired(topic=DEAD_LETTER_TOPIC, count=7)]


def test_external_messages_go_after_a_time_if_an_operator_says_so() -> None:
    clock = SimClock()
    store = MemoryStore(clock=clock)
    upkeep = Upkeep(
        store, clock, Fixed(Retention()), outward=Fixed(Retention(age_ms=EXPIRE_EVERY_MS))
    )
    publish(store, "ext.node.channel.receive")
    upkeep.run()
    clock.advance(EXPIRE_EVERY_MS)
    upkeep.run()
    assert not store.newest("ext.node.channel.receive", 9)


def test_a_clock_that_is_put_back_does_not_stop_the_upkeep() -> None:
    clock = SimClock()
    clock.advance(10 * EXPIRE_EVERY_MS)
    store = MemoryStore(clock=clock)
    upkeep = Upkeep(store, clock, Fixed(Retention(bytes_max=0)))
    upkeep.run()
    publish(store, DEAD_LETTER_TOPIC)
    clock.advance(-5 * EXPIRE_EVERY_MS)
    upkeep.run()
    assert list(store.newest(DEAD_LETTER_TOPIC, 9)) == []


def test_dead_letters_are_listed_newest_first_with_what_they_were_to_do() -> None:
    clock = SimClock()
    store = MemoryStore(clock=clock)
    values = [encode(Wake()), encode(KillFlow(reason="r")), b"\xff rubbish"]
    times = []
    for number, value in enumerate(values):
        publish(store, DEAD_LETTER_TOPIC, value, key=f"flow-{number}")
        times.append(clock.now_ms())
        clock.advance(5)
    listed = dead_letters(store, 99)
    assert [(one.key, one.kind) for one in listed] == [
        ("flow-2", "unreadable"),
        ("flow-1", "kill"),
        ("flow-0", "wake"),
    ]
    assert listed[0] == DeadLetter(
        key="flow-2",
        kind="unreadable",
        size=9,
        given_up_at=EpochMs(times[2]),
        place=store.newest(DEAD_LETTER_TOPIC, 1)[0].place,
    )
    assert listed[0].id == f"{times[2]}-{listed[0].place.partition}-{listed[0].place.offset}"
    assert [one.key for one in dead_letters(store, 1)] == ["flow-2"]
    assert list(dead_letters(store, -1)) == []
