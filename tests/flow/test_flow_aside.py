"""Setting aside: the order of each key is kept, nothing is lost or done twice; on both stores.

Handlers fail as the weather has it, the store refuses commits, before they are made or after, the
process dies and another one goes on. In the end every record was done once, in its key's order.
"""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec import msgpack

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import PARTITIONS, queue_of
from host.adapters.sqlite.store import SqliteStore
from host.domain.clock import SimClock
from host.domain.errors import DiskFullError, OutageError, StorageError
from host.domain.ids import EpochMs
from host.domain.vnode import Pauses
from host.flow.core.aside import ASIDE_GROUP, Aside, WorkKey, key_of, read_head
from host.flow.core.messages import DEAD_LETTER_TOPIC, EVENT_TOPIC, OUT_TOPIC
from host.flow.core.retry import FailureKind, Failures
from host.flow.core.taken import Taken
from host.flow.engine.asides import Asides
from host.flow.engine.engine import FlowEngine
from host.ports.bus import Placement
from host.ports.groups import Fence
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, alone
from tests.flow.queues import ALICES, BOBS, event, waiting
from tests.support.properties import examples

KEYS = ("k0", "k18", "k51", "other")
"""Three of one partition, and one of another."""
FAILURES = (
    StorageError("no disk"),
    OutageError("no worker"),
    MemoryError(),
    RecursionError("deep"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    KeyError("x"),
    StateConflictError("somebody was first"),
)


class Weather:
    """What fails next; without an entry nothing does."""

    def __init__(self) -> None:
        self.handling: list[Exception | None] = []
        self.commits: list[str] = []


class Torn:
    """A store whose commits fail before they are made, or after."""

    def __init__(self, inner: FlowStore, weather: Weather) -> None:
        self._inner, self._weather = inner, weather

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, unit: Unit) -> None:
        fate = self._weather.commits.pop() if self._weather.commits else ""
        if fate == "before":
            raise DiskFullError("full")
        self._inner.commit(unit)
        if fate == "after":
            raise StorageError("the answer was lost")


class Keys(RuleBasedStateMachine):
    """The effect of a record is a line in the state of its key."""

    def make_store(self) -> FlowStore:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.clock, self.weather = SimClock(), Weather()
        self.store = self.make_store()
        self.published: dict[str, int] = defaultdict(int)
        self.pauses = Pauses()
        self.frozen: dict[str, list[str]] | None = None
        self.boot()

    @rule()
    def boot(self) -> None:
        """The process dies, and another one goes on with what the store holds."""
        self.network = network = alone(lambda guest: "", clock=self.clock)
        network.replace(ALICE, pauses=self.pauses)
        self.engine = FlowEngine(
            units=Torn(self.store, self.weather),  # type: ignore[arg-type]
            guests=network.guests,
            capabilities=[],
            vnodes=network.nodes,
            packages=network.packages,
            clock=self.clock,
            entropy=network.entropy,
            events=lambda told: None,
        )
        self.engine._handle = self.handle  # type: ignore[method-assign]
        self.engine.adopt()

    def handle(self, taken: Taken) -> None:
        failure = self.weather.handling.pop() if self.weather.handling else None
        if failure is not None:
            raise failure
        key = f"done/{taken.records[0].key}"
        before = self.store.get(key)
        lines = b"".join(record.value + b"\n" for record in taken.records)
        write = StateWrite(
            key=key,
            value=(b"" if before is None else before.value) + lines,
            expected=0 if before is None else before.version,
        )
        self.engine._store.commit(taken.unit(Unit(states=(write,))))

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 4))
    def publish(self, key: str, count: int) -> None:
        for _ in range(count):
            value = b"%d" % self.published[key]
            self.store.commit(Unit(records=(event(OUT_TOPIC, key, value),)))
            self.published[key] += 1

    @rule(
        handling=st.lists(st.sampled_from([None, *FAILURES[:3]]), max_size=3),
        commits=st.lists(st.sampled_from(["", "before", "after"]), max_size=3),
    )
    def work(self, handling: list[Exception | None], commits: list[str]) -> None:
        self.weather.handling, self.weather.commits = handling, commits
        for queue in self.engine.ready():
            self.engine.process(queue)

    @rule(
        handling=st.lists(st.sampled_from([None, *FAILURES]), max_size=3),
        commits=st.lists(st.sampled_from(["", "before", "after"]), max_size=3),
    )
    def retry(self, handling: list[Exception | None], commits: list[str]) -> None:
        self.weather.handling, self.weather.commits = handling, commits
        self.engine.drain()

    @precondition(lambda self: self.frozen is None)
    @rule()
    def pause(self) -> None:
        self.pauses = self.pauses.begun(self.clock.now_ms())
        self.network.replace(ALICE, pauses=self.pauses)
        self.frozen = {key: self.done(key) for key in KEYS}

    @precondition(lambda self: self.frozen is not None)
    @rule()
    def resume(self) -> None:
        self.pauses = self.pauses.ended(self.clock.now_ms())
        self.network.replace(ALICE, pauses=self.pauses)
        self.frozen = None

    @rule(millis=st.sampled_from([-3_600_000, 0, 999, 1_000, 4_000, 16_000]))
    def time_passes(self, millis: int) -> None:
        self.clock.advance(millis)

    @invariant()
    def every_key_is_done_in_order(self) -> None:
        if not hasattr(self, "store"):
            return
        for key, count in self.published.items():
            assert self.done(key) == [str(n) for n in range(len(self.done(key)))]
            assert len(self.done(key)) <= count

    @invariant()
    def nothing_is_done_while_the_node_is_paused(self) -> None:
        if getattr(self, "frozen", None) is not None:
            assert {key: self.done(key) for key in KEYS} == self.frozen

    def teardown(self) -> None:
        """The weather is fine again: all is done, and nothing is left aside."""
        if not hasattr(self, "store"):
            return
        if self.frozen is not None:
            self.resume()
        self.weather.handling, self.weather.commits = [], []
        for _ in range(4):
            self.clock.advance(16_000)
            self.engine.drain()
        assert {key: len(self.done(key)) for key in self.published} == dict(self.published)
        assert self.store.scan("aside/") == []
        assert self.engine.asides.next_due() is None
        assert list(self.store.newest(DEAD_LETTER_TOPIC, 9)) == []
        self.store.close()

    def done(self, key: str) -> list[str]:
        found = self.store.get(f"done/{key}")
        return [] if found is None else found.value.decode().splitlines()


class MemoryKeys(Keys):
    def make_store(self) -> FlowStore:
        return MemoryStore(clock=self.clock)


class SqliteKeys(Keys):
    def make_store(self) -> FlowStore:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "flows.sqlite", clock=self.clock)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestMemoryKeys = MemoryKeys.TestCase
TestMemoryKeys.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
TestSqliteKeys = SqliteKeys.TestCase
TestSqliteKeys.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)


class Handled:
    """An engine whose handler fails for some keys, and notes what it did of the others."""

    def __init__(self, failing: dict[str, Exception]) -> None:
        self.network = alone(lambda guest: "")
        self.engine, self.store = self.network.engine, self.network.store
        self.failing = failing
        self.done: list[tuple[str, str]] = []
        self.engine._handle = self.handle  # type: ignore[method-assign]

    def handle(self, taken: Taken) -> None:
        key = taken.records[0].key
        if key in self.failing:
            raise self.failing[key]
        self.store.commit(taken.unit(Unit()))
        self.done += [(key, record.value.decode()) for record in taken.records]

    def publish(self, *records: tuple[str, str]) -> None:
        new = [event(OUT_TOPIC, key, value.encode()) for key, value in records]
        self.store.commit(Unit(records=tuple(new)))
        self.engine.drain()


def test_a_record_that_fails_is_set_aside_and_all_others_of_its_partition_go_on() -> None:
    made = Handled({"k0": OutageError("away")})
    made.publish(("k0", "a"), ("k18", "b"), ("k0", "c"), ("k51", "d"))
    assert made.done == [("k18", "b"), ("k51", "d")]
    made.publish(("k0", "e"), ("k18", "f"))
    assert made.done[2:] == [("k18", "f")]
    assert waiting(made.store, OUT_TOPIC) == []
    assert [s.key for s in made.store.scan("aside/")] == [
        f"aside/{ALICES}/{OUT_TOPIC}:k0",
        *[f"aside/{ALICES}/{OUT_TOPIC}:k0/{number}" for number in range(3)],
    ]
    del made.failing["k0"]
    made.network.later(16_000)
    assert made.done[3:] == [("k0", "a"), ("k0", "c"), ("k0", "e")]
    assert made.store.scan("aside/") == []


def test_a_key_of_one_topic_does_not_hold_up_the_same_key_of_another() -> None:
    made = Handled({"k0": OutageError("away")})
    made.publish(("k0", "a"))
    del made.failing["k0"]
    made.store.commit(Unit(records=(event(EVENT_TOPIC, "k0", b"b"),)))
    made.engine.drain()
    assert made.done == [("k0", "b")]


def test_an_outage_is_waited_for_without_counting_and_the_delay_has_a_limit() -> None:
    made = Handled({"k0": DiskFullError("full")})
    made.publish(("k0", "a"))
    delays = []
    for _ in range(40):
        due = made.engine.asides.next_due()
        assert due is not None
        delays.append(due - made.network.clock.now_ms())
        made.network.later(delays[-1])
    assert delays == [1_000, 2_000, 4_000, 8_000] + [16_000] * 36
    head = read_head(made.store.get(f"aside/{ALICES}/{OUT_TOPIC}:k0"))
    assert head.head.failures.attempts == 0
    assert list(made.store.newest(DEAD_LETTER_TOPIC, 9)) == []


def test_poison_goes_to_the_dead_letters_and_what_follows_it_is_done() -> None:
    made = Handled({"k0": KeyError("poison")})
    made.publish(("k0", "poison"), ("k0", "fine"))
    failures = 0
    while made.store.newest(DEAD_LETTER_TOPIC, 1) == []:
        failures += 1
        assert failures < 9
        made.network.later(16_000)
    made.failing.clear()
    made.network.later(16_000)
    assert failures == 5
    assert [r.value for r in made.store.newest(DEAD_LETTER_TOPIC, 9)] == [b"poison"]
    assert made.done == [("k0", "fine")]
    assert made.store.scan("aside/") == []


def test_while_the_store_refuses_a_key_it_waits_in_memory_and_others_are_committed() -> None:
    made = Handled({"k0": KeyError("x")})
    refused: list[Unit] = []
    commit = made.store.commit

    def full(unit: Unit) -> None:
        if any(write.key.startswith("aside/") for write in unit.states):
            refused.append(unit)
            raise DiskFullError("full")
        commit(unit)

    made.store.commit = full  # type: ignore[method-assign]
    made.publish(("k0", "a"), ("k18", "b"))
    made.publish(("k0", "c"), ("k18", "d"))
    assert made.done == [("k18", "b"), ("k18", "d")]
    assert len(refused) == 1  # it is left alone until its time has come
    for _ in range(3):
        made.network.later(16_000)
    assert len(refused) == 4
    made.store.commit, made.failing = commit, {}  # type: ignore[method-assign]
    made.network.later(16_000)
    assert made.done[2:] == [("k0", "a"), ("k0", "c")]


@pytest.mark.parametrize("damage", [b"", b"\xff", b'{"v":99}'])
@pytest.mark.parametrize("which", ["", "/0"], ids=["head", "record"])
def test_what_is_set_aside_and_damaged_goes_to_the_dead_letters(which: str, damage: bytes) -> None:
    made = Handled({"k0": OutageError("away")})
    made.publish(("k0", "a"), ("k0", "b"))
    key = f"aside/{ALICES}/{OUT_TOPIC}:k0{which}"
    before = made.store.get(key)
    assert before is not None
    due = before.due_at
    place = None if before.place is None else Placement(group=before.place.group, key="k0")
    write = StateWrite(key=key, value=damage, expected=before.version, due_at=due, place=place)
    made.store.commit(Unit(states=(write,)))
    made.failing.clear()
    made.network.later(16_000)
    assert made.store.scan("aside/") == []
    assert len(made.store.newest(DEAD_LETTER_TOPIC, 9)) == 2
    made.publish(("k0", "c"))
    assert made.done == [("k0", "c")]


@pytest.mark.parametrize("aside", [False, True], ids=["queued", "set-aside"])
def test_a_step_has_only_so_many_bytes_of_records(aside: bool) -> None:
    made = Handled({"k0": OutageError("away")} if aside else {})
    sizes: list[int] = []
    handle = made.network.engine._handle

    def measured(taken: Taken) -> None:
        sizes.append(sum(len(record.value) for record in taken.records))
        handle(taken)

    made.network.engine._handle = measured  # type: ignore[method-assign]
    large = "x" * 700_000
    made.publish(*[("k0", large)] * 9)
    made.failing.clear()
    made.network.later(16_000)
    assert made.done == [("k0", large)] * 9
    assert max(sizes) == 3 * 700_000  # the third one makes them more than 2 MiB


def test_a_damaged_key_is_cleared_in_units_of_a_bounded_size() -> None:
    made = Handled({"k0": OutageError("away")})
    made.publish(*[("k0", str(number)) for number in range(21)])
    key = f"aside/{ALICES}/{OUT_TOPIC}:k0"
    before = made.store.get(key)
    assert before is not None
    write = StateWrite(
        key=key,
        value=b"{",
        expected=before.version,
        due_at=before.due_at,
        place=Placement(group=ASIDE_GROUP, key="k0"),
    )
    made.store.commit(Unit(states=(write,)))
    commit, moved = made.store.commit, list[int]()

    def measured(unit: Unit) -> None:
        moved.append(len(unit.records))
        if len(moved) == 2:
            raise DiskFullError("full")
        commit(unit)

    made.store.commit = measured  # type: ignore[method-assign]
    for _ in range(3):
        made.network.later(16_000)
    assert made.store.scan("aside/") == []
    letters = [msgpack.decode(r.value) for r in made.store.newest(DEAD_LETTER_TOPIC, 99)]
    assert sorted(int(letter["value"]) for letter in letters) == list(range(21))
    assert max(moved) == 8


def test_an_owner_learns_what_is_set_aside_in_its_partitions_and_in_no_others() -> None:
    made = Handled(dict.fromkeys(KEYS, OutageError("away")))
    made.publish(*[(key, "a") for key in KEYS])
    keys = [key_of(s) for s in made.store.placed(ASIDE_GROUP, range(PARTITIONS))]
    assert len(keys) == 4
    here = keys[0].queue.partition
    asides = Asides(made.store)
    asides.adopt({here: 1})
    known = {key.key for key in keys if key in asides}
    assert known == {key.key for key in keys if key.queue.partition == here}
    asides.adopt({})
    assert not any(key in asides for key in keys)
    asides.adopt(dict.fromkeys(range(PARTITIONS), 2))
    assert all(key in asides for key in keys)


def test_who_is_late_to_tell_of_a_key_changes_nothing_of_its_new_owner() -> None:
    """A thread may be stopped after its commit while the partition goes away and comes back."""
    made = Handled({"k0": OutageError("away")})
    made.publish(("k0", "a"))
    (key,) = [key_of(s) for s in made.store.placed(ASIDE_GROUP, range(PARTITIONS))]
    here, asides = key.queue.partition, Asides(made.store)
    late, present = (Fence(group="flow", partition=here, epoch=epoch) for epoch in (1, 3))
    asides.adopt({here: 1})
    aside = asides.load(key, late)
    asides.adopt({})
    asides.left(aside, len(aside), EpochMs(0), late)
    asides.adopt({here: 3})
    due = asides.next_due()
    for tell in (
        lambda: asides.left(aside, len(aside), EpochMs(0), late),
        lambda: asides.forget(key, late),
        lambda: asides.note(key, None, EpochMs(0), late),
        lambda: made.store.commit(Unit(states=aside.without_first(len(aside), EpochMs(0)))),
        lambda: asides.load(key, late),
    ):
        tell()
        assert key in asides
        assert asides.next_due() == due
    assert len(asides.load(key, present)) == 0
    assert key not in asides


def test_what_is_due_in_a_partition_that_is_not_taken_over_yet_is_told_later() -> None:
    """A thread that asks in the middle of a rebalance takes nothing away from the new owner."""
    made = Handled(dict.fromkeys(KEYS, OutageError("away")))
    made.publish(*[(key, "a") for key in KEYS])
    asides = Asides(made.store)
    asides.adopt(dict.fromkeys(range(PARTITIONS), 1))
    here = WorkKey(queue_of(event(OUT_TOPIC, "k0", b"")), "k0").queue.partition
    now = EpochMs(made.network.clock.now_ms() + 16_000)
    before = asides.due(now, [here])
    assert {key.queue.partition for key in before} == {here}
    assert asides.next_due() is not None
    later = asides.due(now)
    assert {key.key for key in (*before, *later)} == set(KEYS)
    assert not {*before} & {*later}
    assert asides.due(now) == []


def test_what_is_set_aside_is_tried_again_after_the_store_was_full_however_much_it_is() -> None:
    """What is told of once and cannot be stored is not held, of which there is a limit."""
    made = Handled({"k0": OutageError("away")})
    made.publish(("k0", "a"))
    (key,) = made.engine.asides.due(EpochMs(made.network.clock.now_ms() + 16_000))
    commit = made.store.commit

    def full(unit: Unit) -> None:
        raise DiskFullError("full")

    made.store.commit = full  # type: ignore[method-assign]
    for _ in range(3):
        assert made.engine.work(key).hold_ms is None
        made.network.clock.advance(16_000)
        assert made.engine.asides.due(made.network.clock.now_ms()) == [key]
    made.store.commit = commit  # type: ignore[method-assign]
    made.failing.clear()
    assert made.engine.work(key).worked
    assert made.done == [("k0", "a")]


def test_a_failure_that_is_forgotten_for_want_of_room_is_looked_for_in_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The head may have been stored, though the answer was lost: later records wait behind it."""
    monkeypatch.setattr("host.flow.engine.setbacks._FAILURES_MAX", 1)
    made = Handled({"k0": OutageError("away"), "k18": OutageError("away")})
    made.engine.adopt()
    commit = made.store.commit

    def lost(unit: Unit) -> None:
        commit(unit)
        raise StorageError("the answer was lost")

    made.store.commit = lost  # type: ignore[method-assign]
    for key in ("k0", "k18"):
        commit(Unit(records=(event(OUT_TOPIC, key, b"a"),)))
        for queue in made.engine.ready():
            made.engine.process(queue)
    made.store.commit = commit  # type: ignore[method-assign]
    made.failing.clear()
    made.publish(("k0", "b"), ("k18", "b"))
    made.network.later(16_000)
    for key in ("k0", "k18"):
        assert [value for k, value in made.done if k == key] == ["a", "b"]


def test_a_step_looks_at_no_more_of_what_is_set_aside_than_is_due() -> None:
    """Whoever has thousands of keys set aside must not slow the steps of others."""

    class Counted(dict[WorkKey, object]):
        looks = 0

        def items(self) -> Any:
            self.looks += 1
            return super().items()

    made = Handled(dict.fromkeys(KEYS, OutageError("away")))
    made.publish(*[(key, "a") for key in KEYS])
    due = Counted(made.engine.asides._due)
    made.engine.asides._due = due  # type: ignore[assignment]
    now = made.network.clock.now_ms()
    assert [made.engine.asides.due(now) for _ in range(9)] == [[]] * 9
    assert due.looks == 0
    assert len(made.engine.asides.due(EpochMs(now - 3_600_000))) == len(KEYS)
    assert due.looks == 1


def test_a_clock_that_is_put_back_delays_no_retry() -> None:
    made = Handled({"k0": OutageError("away")})
    made.publish(("k0", "a"))
    made.failing.clear()
    made.network.later(-3_600_000)
    assert made.done == [("k0", "a")]


def test_heads_and_records_are_written_as_the_form_says() -> None:
    queue = queue_of(event(OUT_TOPIC, "k0", b"", BOBS))
    key = WorkKey(queue, "k0")
    failures = Failures(
        position=7, kind=FailureKind.TRANSIENT, count=1, attempts=1,
        since=EpochMs(1), last=EpochMs(2),
    )  # fmt: skip
    writes: Sequence[StateWrite] = Aside(key=key).behind((), failures, EpochMs(9))
    assert [w.key for w in writes] == [f"aside/{BOBS}/{OUT_TOPIC}:k0"]
    assert writes[0].value == (
        b'{"v":1,"cause":"retry","first":0,"after":0,"failures":{"position":7,"kind":"transient",'
        b'"count":1,"attempts":1,"since":1,"last":2}}'
    )
    assert (writes[0].due_at, writes[0].place) == (9, key.place)
