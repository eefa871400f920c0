"""The flow store in memory: same contract as the durable one, for tests and rehearsals."""

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from host.adapters.account_book import size_of
from host.adapters.group_assignment import GroupAssignment
from host.adapters.memory.store_reads import StoreReads
from host.adapters.os.system import SystemClock
from host.adapters.partitions import committed_by, place_of, queue_of, target_of
from host.domain.accounts import Balance, Discrepancy
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import CommitListener, NewRecord, Record, TopicPartition
from host.ports.clock import Clock
from host.ports.glances import FlowGlance, GlanceWrite
from host.ports.groups import Membership, RebalanceListener
from host.ports.state import StateConflictError, StateRecord, StateWrite
from host.ports.topics import Retention
from host.ports.units import JournalRow, Unit
from host.ports.work import Done, WorkRecord


class MemoryStore(StoreReads):
    """Holds everything in dictionaries behind one lock."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        self._listeners: list[CommitListener] = []
        self._rebalance_listeners: list[RebalanceListener] = []

    def on_commit(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def expire(self, topic: str, retention: Retention) -> int:
        now = self._time.now_ms()
        with self._lock:
            kept, sizes = set[int](), Counter[ShortHash | None]()
            for record in self._by_age(topic):
                if retention.age_ms is not None and now - record.written_at >= retention.age_ms:
                    break
                charge = self._book.charge_of(("log", record.source, record.offset))
                node = None if charge is None else charge.node
                sizes[node] += len(record.value)
                if retention.bytes_max is None or sizes[node] <= retention.bytes_max:
                    kept.add(id(record))
            return self._keep(topic, kept)

    def shrink(self) -> int:
        return 0

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        with self._lock:
            return self._book.recount(repair=repair)

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        return self._change(group, lambda r, now: r.joined(member, ttl_ms, now)).membership(member)

    def heartbeat(self, group: str, member: str) -> Membership:
        return self._change(group, lambda r, now: r.beaten(member, now)).membership(member)

    def leave(self, group: str, member: str) -> None:
        self._change(group, lambda r, now: r.left(member, now))

    def on_rebalance(self, listener: RebalanceListener) -> None:
        self._rebalance_listeners.append(listener)

    def commit(self, unit: Unit) -> None:
        with self._lock:
            self._check(unit)
            self._apply(unit)
        if committed := committed_by(unit):
            for listener in self._listeners:
                listener(committed)

    def close(self) -> None:
        """Does nothing: there are no resources to release."""

    def _keep(self, topic: str, kept: set[int]) -> int:
        """Delete all records of a topic except those with these object ids."""
        deleted = 0
        for source in [s for s in self._records if s.topic == topic]:
            left = [record for record in self._records[source] if id(record) in kept]
            for record in self._records[source]:
                if id(record) not in kept:
                    self._book.drop(("log", source, record.offset))
            deleted += len(self._records[source]) - len(left)
            self._records[source] = left
        return deleted

    def _is_gap(self, source: TopicPartition, start: int, stop: int) -> bool:
        return not any(start <= r.offset < stop for r in self._records.get(source, ()))

    def _change(
        self, group: str, change: Callable[[GroupAssignment, EpochMs], GroupAssignment]
    ) -> GroupAssignment:
        with self._lock:
            before = self._roster(group)
            after = self._rosters[group] = change(before, EpochMs(self._time.steady_ms()))
        if after.generation != before.generation:
            for listener in self._rebalance_listeners:
                listener(group)
        return after

    def _check(self, unit: Unit) -> None:
        for fence in unit.owned():
            self._roster(fence.group).check(fence)
        for done in unit.done:
            self._check_work(done)
        for write in unit.states:
            state = self._states.get(write.key)
            found = state.version if state else 0
            if write.expected is not None and found != write.expected:
                raise StateConflictError(
                    f"state {write.key!r} is at version {found}, expected {write.expected}"
                )
        lengths: dict[FlowId, int] = {}
        for row in unit.journal:
            length = lengths.get(row.flow_id, len(self._journals.get(row.flow_id, ())))
            if row.number != length:
                raise StateConflictError(
                    f"journal of flow {row.flow_id}: row {row.number} written, expected {length}"
                )
            lengths[row.flow_id] = length + 1
        self._check_logs(unit)

    def _check_logs(self, unit: Unit) -> None:
        for consumed in unit.consumed:
            offset = self._offsets.get((consumed.group, consumed.source), 0)
            if offset > consumed.start or not self._is_gap(consumed.source, offset, consumed.start):
                raise StateConflictError(
                    f"{consumed.group} is at offset {offset} of {consumed.source.topic}-"
                    f"{consumed.source.partition}, expected {consumed.start}"
                )
        for dropped in unit.dropped:
            source = dropped.source
            if self._is_gap(source, dropped.offset, dropped.offset + 1):
                raise StateConflictError(
                    f"record {dropped.offset} of {source.topic}-{source.partition} is not there"
                )

    def _check_work(self, done: Done) -> None:
        wanted = set(done.positions)
        found = sum(r.position in wanted for r in self._work.get(done.queue, ()))
        if found != len(done.positions):
            raise StateConflictError(
                f"{len(done.positions)} records of {done.queue.topic}-{done.queue.partition} were"
                f" to be deleted, found {found}"
                f" of positions {', '.join(map(str, done.positions[:10]))}"
            )

    def _delete_work(self, done: Done) -> None:
        for position in done.positions:
            self._book.drop(("work", position))
        left = [r for r in self._work[done.queue] if r.position not in done.positions]
        if left:
            self._work[done.queue] = left
        else:
            del self._work[done.queue]

    def _enqueue(self, new: NewRecord, now: EpochMs) -> None:
        self._position += 1
        record = WorkRecord(
            queue=queue_of(new),
            position=self._position,
            key=new.key,
            value=new.value,
            written_at=now,
        )
        self._work.setdefault(queue_of(new), []).append(record)
        self._book.put(("work", record.position), new.charge, size_of(new.key, new.value))

    def _publish(self, new: NewRecord, now: EpochMs) -> None:
        if new.node is not None:
            self._enqueue(new, now)
            return
        source = target_of(new)
        offset = self._tails.get(source, 0)
        self._tails[source] = offset + 1
        self._records.setdefault(source, []).append(
            Record(
                source=source,
                offset=offset,
                key=new.key,
                value=new.value,
                written_at=now,
                owner=new.owner,
            )
        )
        self._book.put(("log", source, offset), new.charge, size_of(new.key, new.value))

    def _write_state(self, write: StateWrite) -> None:
        place = ("state", write.key)
        if write.value is None:
            self._states.pop(write.key, None)
            self._glances.pop(write.key, None)
            self._origins.pop(write.key, None)
            self._book.drop(place)
            return
        self._states[write.key] = StateRecord(
            key=write.key,
            version=(write.expected or 0) + 1,
            value=write.value,
            due_at=write.due_at,
            place=None if write.place is None else place_of(write.place),
        )
        size = replace(size_of(write.key, write.value), lasting=int(write.due_at is None))
        self._book.put(place, write.charge, size)
        if write.glance is not None:
            before = self._glances.get(write.key)
            self._origins.setdefault(write.key, write.glance.origin)
            self._glances[write.key] = _glance(write.key, write.glance, before)

    def _append(self, row: JournalRow) -> None:
        rows = self._journals.setdefault(row.flow_id, [])
        rows.append(row.value)
        self._book.grow(
            ("journal", row.flow_id),
            row.charge,
            Balance(bytes=len(row.value)),
            lambda: Balance(bytes=sum(map(len, rows))),
        )

    def _apply(self, unit: Unit) -> None:
        now = self._time.now_ms()
        for done in unit.done:
            self._delete_work(done)
        for dropped in unit.dropped:
            self._drop(dropped.source, (dropped.offset,))
        for write in unit.states:
            self._write_state(write)
        for row in unit.journal:
            self._append(row)
        for passed in unit.passed:
            self._book.pass_on(("journal", passed.flow_id), passed.charge)
        for flow_id in unit.forget:
            self._journals.pop(flow_id, None)
            self._book.drop(("journal", flow_id))
        for new in unit.records:
            self._publish(new, now)
        for consumed in unit.consumed:
            self._offsets[consumed.group, consumed.source] = consumed.start + consumed.count
            if consumed.is_dropped:
                self._drop(consumed.source, range(consumed.start + consumed.count))

    def _drop(self, source: TopicPartition, offsets: Container[int]) -> None:
        records = self._records.get(source, [])
        for record in records:
            if record.offset in offsets:
                self._book.drop(("log", source, record.offset))
        self._records[source] = [record for record in records if record.offset not in offsets]


def _glance(key: str, write: GlanceWrite, before: FlowGlance | None) -> FlowGlance:
    return FlowGlance(
        key=key,
        node=write.node,
        request_id=write.request_id,
        flow_id=write.flow_id,
        flow_class=write.flow_class,
        status=write.status,
        is_responder=write.is_responder,
        started_at=write.at if before is None else before.started_at,
        updated_at=write.at,
        ended_at=write.at if write.is_final else None,
    )
