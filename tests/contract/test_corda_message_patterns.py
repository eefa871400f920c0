"""What Corda's message pattern and state manager tests prove, under their names, on both stores.

A subscription is a member of a group that polls, acts and commits; see docs/reference.
"""

import threading
from collections.abc import Callable, Sequence

import pytest

from host.ports.bus import NewRecord, Record
from host.ports.groups import FencedError, Membership
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, FlowStore, Unit
from tests.contract.conftest import MovableClock

TOPIC, OUTPUT = "topic", "output"
TTL_MS = 1000


class Sub:
    """A subscription: consumes its partitions of a topic, with outputs and states."""

    def __init__(
        self,
        store: FlowStore,
        name: str,
        *,
        group: str = "g",
        outputs: Callable[[Record], Sequence[NewRecord]] = lambda record: (),
    ) -> None:
        self._store, self._group, self._outputs = store, group, outputs
        self.name = name
        self.membership: Membership = store.join(group, name, ttl_ms=TTL_MS)
        self.seen: list[bytes] = []

    def run(self, limit: int = 10_000) -> None:
        """Process what is there, as an owner; stop when it no longer is one."""
        self.membership = self._store.heartbeat(self._group, self.name)
        while limit and (record := self._next()) is not None:
            self.process(record)
            limit -= 1

    def process(self, record: Record) -> None:
        key = f"{self._group}/{record.key}"
        found = self._store.get(key)
        count = int(found.value) if found else 0
        version = found.version if found else 0
        self._store.commit(
            Unit(
                states=(StateWrite(key=key, value=b"%d" % (count + 1), expected=version),),
                records=tuple(self._outputs(record)),
                consumed=(
                    Consumed(
                        group=self._group,
                        source=record.source,
                        start=record.offset,
                        count=1,
                        epoch=self.membership.epochs[record.source.partition],
                    ),
                ),
            )
        )
        self.seen.append(record.value)

    def _next(self) -> Record | None:
        for source in self._store.ready(self._group, [TOPIC]):
            if source.partition in self.membership.epochs:
                return self._store.poll(self._group, source, 1)[0]
        return None

    def stop(self) -> None:
        self._store.leave(self._group, self.name)


def records(count: int, start: int = 0, topic: str = TOPIC) -> tuple[NewRecord, ...]:
    numbers = range(start, start + count)
    return tuple(NewRecord(topic=topic, key=f"key{n % 7}", value=b"%d" % n) for n in numbers)


def publish(store: FlowStore, new: Sequence[NewRecord]) -> None:
    for record in new:
        store.commit(Unit(records=(record,)))


def values(count: int, start: int = 0) -> list[bytes]:
    return sorted(b"%d" % n for n in range(start, start + count))


def put(store: FlowStore, key: str, value: bytes | None, expected: int) -> None:
    store.commit(Unit(states=(StateWrite(key=key, value=value, expected=expected),)))


def in_threads(actions: Sequence[Callable[[], object]]) -> list[Exception | None]:
    outcomes: list[Exception | None] = [None] * len(actions)

    def run(number: int) -> None:
        try:
            actions[number]()
        except Exception as exc:  # noqa: BLE001  # judged by the test
            outcomes[number] = exc

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_publisher_can_publish_records_to_partitions_non_transactionally_successfully(
    store: FlowStore,
) -> None:
    publish(store, records(10))
    assert sorted(r.value for r in store.newest(TOPIC, 99)) == values(10)


def test_publisher_can_publish_records_to_partitions_transactionally_successfully(
    store: FlowStore,
) -> None:
    store.commit(Unit(records=records(10)))
    conflict = StateWrite(key="none", value=b"", expected=7)
    with pytest.raises(StateConflictError):
        store.commit(Unit(records=records(10, 10), states=(conflict,)))
    assert sorted(r.value for r in store.newest(TOPIC, 99)) == values(10)


def test_publisher_can_publish_records_to_partitions_transactionally_successfully_from_multiple_threads(
    store: FlowStore,
) -> None:
    actions = [lambda n=n: store.commit(Unit(records=records(10, 10 * n))) for n in range(5)]
    assert in_threads(actions) == [None] * 5
    assert sorted(r.value for r in store.newest(TOPIC, 99)) == values(50)


def test_publisher_can_batch_publish_from_multiple_threads(store: FlowStore) -> None:
    actions = [lambda n=n: publish(store, records(10, 10 * n)) for n in range(5)]
    assert in_threads(actions) == [None] * 5
    found = store.newest(TOPIC, 99)
    assert sorted(r.value for r in found) == values(50)
    assert len({(r.source, r.offset) for r in found}) == 50


def test_asynch_publish_records_and_then_start_2_durable_subscriptions_delay_1_sub_trigger_rebalance(
    store: FlowStore, clock: MovableClock
) -> None:
    publish(store, records(50))
    delayed, other = Sub(store, "delayed"), Sub(store, "other")
    delayed.run(0)
    source = next(s for s in store.ready("g", [TOPIC]) if s.partition in delayed.membership.epochs)
    slow = store.poll("g", source, 1)[0]
    clock.advance(TTL_MS - 1)
    other.run(3)
    clock.advance(1)
    other.run()
    with pytest.raises(FencedError):
        delayed.process(slow)
    assert sorted(other.seen) == values(50)
    assert delayed.seen == []


def test_asynch_publish_records_and_then_start_durable_subscription(store: FlowStore) -> None:
    publish(store, records(20))
    sub = Sub(store, "sub")
    sub.run()
    assert sorted(sub.seen) == values(20)
    sub.run()
    assert len(sub.seen) == 20


def test_transactional_publish_records_start_two_durable_subscription_stop_subs_publish_again_and_start_subs(
    store: FlowStore,
) -> None:
    store.commit(Unit(records=records(20)))
    first = [Sub(store, "a"), Sub(store, "b")]
    for sub in first:
        sub.run()
        sub.stop()
    store.commit(Unit(records=records(20, 20)))
    second = [Sub(store, "c"), Sub(store, "d")]
    for sub in second:
        sub.run()
    assert sorted(v for sub in first for v in sub.seen) == values(20)
    assert sorted(v for sub in second for v in sub.seen) == values(20, 20)


def test_publish_large_data_packets_that_require_chunking_and_read_them_back(
    store: FlowStore,
) -> None:
    large = bytes(range(256)) * 40_000  # 10 MB: no record of the store needs chunks
    store.commit(Unit(records=(NewRecord(topic=TOPIC, key="k", value=large),)))
    sub = Sub(store, "sub")
    sub.run()
    assert sub.seen == [large]


def test_event_log_asynch_publish_records_and_then_start_durable_subscription(
    store: FlowStore,
) -> None:
    publish(store, records(20))
    Sub(store, "consumed").run()
    sources = {r.source for r in store.newest(TOPIC, 99)}
    replayed = [r.value for s in sources for r in store.poll("replay", s, 99)]
    assert sorted(replayed) == values(20)


def test_event_log_transactional_publish_records_start_two_durable_subscription_stop_subs_publish_again_and_start_subs(
    store: FlowStore,
) -> None:
    store.commit(Unit(records=records(20)))
    stopped_at = {r.source: 1 + max(o.offset for o in store.poll("replay", r.source, 99))
                  for r in store.newest(TOPIC, 99)}  # fmt: skip
    store.commit(Unit(records=records(20, 20)))
    later = [
        r.value
        for s, offset in stopped_at.items()
        for r in store.poll("replay", s, 99)
        if r.offset >= offset
    ]
    assert sorted(later) == values(20, 20)


def forward(record: Record) -> Sequence[NewRecord]:
    return (NewRecord(topic=OUTPUT, key=record.key, value=b"out " + record.value),)


def test_publish_50_records_to_an_input_topic_and_verify_the_processor_is_called_and_async_outputs_are_sent(
    store: FlowStore,
) -> None:
    publish(store, records(50))
    sub = Sub(store, "sub", outputs=forward)
    sub.run()
    assert sorted(sub.seen) == values(50)
    assert sorted(r.value for r in store.newest(OUTPUT, 99)) == sorted(
        b"out " + value for value in values(50)
    )


def test_create_topic_with_two_partitions_start_two_statevent_sub_publish_records_with_two_keys_no_outputs(
    store: FlowStore,
) -> None:
    subs = [Sub(store, "a"), Sub(store, "b")]
    publish(store, records(14))
    for sub in subs:
        sub.run()
    assert [int(s.value) for s in store.scan("g/")] == [2] * 7
    assert store.newest(OUTPUT, 9) == []


def test_create_topics_start_one_statevent_sub_publish_records_with_two_keys_update_state_and_output_records_and_verify(
    store: FlowStore,
) -> None:
    publish(store, records(14))
    Sub(store, "sub", outputs=forward).run()
    assert [int(s.value) for s in store.scan("g/")] == [2] * 7
    after = Sub(store, "after", group="h")
    assert after.membership.generation == 1
    assert len(store.newest(OUTPUT, 99)) == 14


def test_create_topics_start_statevent_sub_fail_processor_on_first_attempt_publish_2_records_verify_listener_and_outputs(
    store: FlowStore,
) -> None:
    attempts: list[bytes] = []

    def flaky(record: Record) -> Sequence[NewRecord]:
        attempts.append(record.value)
        if len(attempts) == 1:
            raise RuntimeError("first attempt")
        return forward(record)

    publish(store, records(2))
    sub = Sub(store, "sub", outputs=flaky)
    with pytest.raises(RuntimeError):
        sub.run()
    assert store.scan("g/") == []
    sub.run()
    assert len(attempts) == 3
    assert len(store.newest(OUTPUT, 9)) == 2


def test_create_topics_start_2_statevent_sub_trigger_rebalance_and_verify_completion_of_all_records(
    store: FlowStore,
) -> None:
    publish(store, records(100))
    first, second = Sub(store, "first", outputs=forward), Sub(store, "second", outputs=forward)
    first.run(10)
    second.run(10)
    third = Sub(store, "third", outputs=forward)
    third.run(10)
    second.stop()
    for sub in (first, third):
        sub.run()
    assert sorted(first.seen + second.seen + third.seen) == values(100)
    assert len(store.newest(OUTPUT, 999)) == 100


def test_can_create_basic_states(store: FlowStore) -> None:
    for number in range(3):
        put(store, f"k{number}", b"%d" % number, 0)
    assert [(s.key, s.version, s.value) for s in store.scan("k")] == [
        (f"k{n}", 1, b"%d" % n) for n in range(3)
    ]


def test_can_retrieve_states_by_key(store: FlowStore) -> None:
    put(store, "a", b"1", 0)
    assert store.get("a") is not None
    assert store.get("b") is None


def test_can_update_existing_states(store: FlowStore) -> None:
    put(store, "a", b"1", 0)
    put(store, "a", b"2", 1)
    found = store.get("a")
    assert found is not None
    assert (found.value, found.version) == (b"2", 2)


def test_optimistic_locking_prevents_sequentially_updating_states_with_mismatched_versions_and_does_not_halt_entire_batch(
    store: FlowStore,
) -> None:
    for key in ("a", "b"):
        put(store, key, b"1", 0)
    put(store, "b", b"2", 1)
    with pytest.raises(StateConflictError):
        put(store, "b", b"3", 1)
    put(store, "a", b"2", 1)
    assert [s.value for s in store.scan("")] == [b"2", b"2"]


def test_optimistic_locking_ensures_no_double_updates_across_threads(store: FlowStore) -> None:
    put(store, "a", b"0", 0)
    outcomes = in_threads([lambda n=n: put(store, "a", b"%d" % n, 1) for n in range(8)])
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, StateConflictError) for o in outcomes) == 7
    found = store.get("a")
    assert found is not None
    assert found.version == 2


def test_optimistic_locking_ensures_no_exceptions_when_double_deletes_across_threads(
    store: FlowStore,
) -> None:
    """Here the second delete is a conflict, told to its caller: nothing is silently lost."""
    put(store, "a", b"0", 0)
    outcomes = in_threads([lambda: put(store, "a", None, 1)] * 6)
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, StateConflictError) for o in outcomes) == 5
    assert store.get("a") is None


def test_can_delete_existing_states(store: FlowStore) -> None:
    put(store, "a", b"0", 0)
    put(store, "a", None, 1)
    assert store.get("a") is None


def test_delete_returns_empty_collection_of_keys_if_the_states_were_never_present(
    store: FlowStore,
) -> None:
    put(store, "never", None, 0)
    assert store.scan("") == []


def test_batch_operations_perform_all_requested_changes_when_executed(store: FlowStore) -> None:
    put(store, "updated", b"1", 0)
    put(store, "deleted", b"1", 0)
    writes = (
        StateWrite(key="created", value=b"1", expected=0),
        StateWrite(key="updated", value=b"2", expected=1),
        StateWrite(key="deleted", value=None, expected=1),
    )
    store.commit(Unit(states=writes))
    assert [(s.key, s.value) for s in store.scan("")] == [("created", b"1"), ("updated", b"2")]


def test_optimistic_locking_prevents_sequentially_deleting_states_with_mismatched_versions_and_does_not_halt_entire_batch(
    store: FlowStore,
) -> None:
    for key in ("a", "b"):
        put(store, key, b"1", 0)
    put(store, "b", b"2", 1)
    with pytest.raises(StateConflictError):
        put(store, "b", None, 1)
    put(store, "a", None, 1)
    assert [s.key for s in store.scan("")] == ["b"]
