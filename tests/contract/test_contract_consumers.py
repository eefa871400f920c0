"""Consumers that crash, come back, are taken for dead and act all the same; on both stores.

The model: every record takes effect once, in the order of its key, whoever processes it.
"""

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from host.adapters.memory.store import MemoryStore
from host.adapters.partitions import PARTITIONS
from host.adapters.sqlite.store import SqliteStore
from host.ports.bus import NewRecord, Record, TopicPartition
from host.ports.groups import FencedError, Membership
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, FlowStore, Unit
from tests.contract.conftest import MovableClock
from tests.support.properties import examples

GROUP = "g"
TOPICS = ("in", "out")
TTL_MS = 1000
KEYS = st.sampled_from(["a", "b", "c", "d", "e"])


@dataclass(eq=False)
class Consumer:
    """A process: what it believes to own, and steps that it began and has not committed."""

    name: str
    membership: Membership
    steps: list[Unit] = field(default_factory=list)


class Consumers(RuleBasedStateMachine):
    """Each record's effect is a line in the state of its key; a step may forward it."""

    consumers = Bundle("consumers")

    def make_store(self, clock: MovableClock) -> FlowStore:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.clock = MovableClock()
        self.store = self.make_store(self.clock)
        self.published: dict[str, int] = defaultdict(int)
        self.count = 0

    @rule(target=consumers)
    def join(self) -> Consumer:
        self.count += 1
        name = f"m{self.count}"
        return Consumer(name, self.store.join(GROUP, name, ttl_ms=TTL_MS))

    @rule(consumer=consumers)
    def beat(self, consumer: Consumer) -> None:
        try:
            consumer.membership = self.store.heartbeat(GROUP, consumer.name)
        except FencedError:
            # It goes on under a name that nobody has had, as a process that was restarted.
            self.count += 1
            consumer.name = f"m{self.count}"
            consumer.membership = self.store.join(GROUP, consumer.name, ttl_ms=TTL_MS)

    @rule(consumer=consumes(consumers))
    def crash(self, consumer: Consumer) -> None:
        """It is never heard of again; its steps are lost."""

    @rule(consumer=consumers)
    def taken_for_dead(self, consumer: Consumer) -> None:
        self.store.leave(GROUP, consumer.name)

    @rule(millis=st.integers(-300, 900))
    def time_passes(self, millis: int) -> None:
        self.clock.advance(millis)

    @rule(key=KEYS, count=st.integers(1, 4))
    def publish(self, key: str, count: int) -> None:
        new = []
        for _ in range(count):
            new.append(NewRecord(topic="in", key=key, value=b"%d" % self.published[key]))
            self.published[key] += 1
        self.store.commit(Unit(records=tuple(new)))

    @rule(consumer=consumers, topic=st.sampled_from(TOPICS), limit=st.integers(1, 3))
    def begin_steps(self, consumer: Consumer, topic: str, limit: int) -> None:
        """Read and think; the commit comes at some other time, or never."""
        for source in self.store.ready(GROUP, [topic]):
            epoch = consumer.membership.epochs.get(source.partition)
            records = self.store.poll(GROUP, source, limit)
            if epoch is not None and records:
                consumer.steps.append(self.step(source, records[0], epoch))

    @rule(consumer=consumers)
    def commit_step(self, consumer: Consumer) -> None:
        if not consumer.steps:
            return
        try:
            self.store.commit(consumer.steps.pop(0))
        except (FencedError, StateConflictError):
            consumer.steps.clear()

    @rule(consumer=consumers)
    def fenced_when_lost(self, consumer: Consumer) -> None:
        """Whoever is not the owner of record is refused, whatever it commits."""
        owned = {m.member: m for m in self.store.members(GROUP)}
        now = owned[consumer.name].epochs if consumer.name in owned else {}
        for number, epoch in consumer.membership.epochs.items():
            nothing = Consumed(
                group=GROUP,
                source=TopicPartition(topic="none", partition=number),
                start=0,
                count=0,
                epoch=epoch,
            )
            try:
                self.store.commit(Unit(consumed=(nothing,)))
            except FencedError:
                assert now.get(number) != epoch
            else:
                assert now.get(number) == epoch

    @invariant()
    def every_partition_has_one_owner(self) -> None:
        if not self.count:
            return
        members = self.store.members(GROUP)
        owned = sorted(number for m in members for number in m.epochs)
        assert owned == (list(range(PARTITIONS)) if members else [])

    @invariant()
    def each_effect_came_once_and_in_order(self) -> None:
        for key, count in self.published.items():
            for topic in TOPICS:
                done = self.effects(topic, key)
                assert done == [str(n) for n in range(len(done))]
                assert len(done) <= count

    def teardown(self) -> None:
        """Whatever happened, one more consumer finishes the work."""
        if not hasattr(self, "store"):
            return
        last = self.store.join(GROUP, "last", ttl_ms=TTL_MS)
        for member in self.store.members(GROUP):
            if member.member != "last":
                self.store.leave(GROUP, member.member)
        last = self.store.heartbeat(GROUP, "last")
        assert len(last.epochs) == PARTITIONS
        while ready := self.store.ready(GROUP, TOPICS):
            for source in ready:
                record = self.store.poll(GROUP, source, 1)[0]
                self.store.commit(self.step(source, record, last.epochs[source.partition]))
        for key, count in self.published.items():
            assert [len(self.effects(topic, key)) for topic in TOPICS] == [count, count]
        self.store.close()

    def step(self, source: TopicPartition, record: Record, epoch: int) -> Unit:
        """Note the record at its key and, from the first topic, send it on to the second."""
        name = f"{source.topic}/{record.key}"
        found = self.store.get(name)
        written = b"" if found is None else found.value
        sent_on = NewRecord(topic="out", key=record.key, value=record.value)
        return Unit(
            states=(
                StateWrite(
                    key=name,
                    value=written + record.value + b"\n",
                    expected=0 if found is None else found.version,
                ),
            ),
            records=(sent_on,) if source.topic == "in" else (),
            consumed=(
                Consumed(group=GROUP, source=source, start=record.offset, count=1, epoch=epoch),
            ),
        )

    def effects(self, topic: str, key: str) -> list[str]:
        found = self.store.get(f"{topic}/{key}")
        return [] if found is None else found.value.decode().splitlines()


class MemoryConsumers(Consumers):
    def make_store(self, clock: MovableClock) -> FlowStore:
        return MemoryStore(clock=clock)


class SqliteConsumers(Consumers):
    def make_store(self, clock: MovableClock) -> FlowStore:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "flows.sqlite", clock=clock)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = SqliteStore(Path(self.folder.name) / "flows.sqlite", clock=self.clock)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestMemoryConsumers = MemoryConsumers.TestCase
TestMemoryConsumers.settings = settings(
    max_examples=examples(60), stateful_step_count=40, deadline=None
)
TestSqliteConsumers = SqliteConsumers.TestCase
TestSqliteConsumers.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
