"""The flow store in memory: same contract as the durable one, for tests and rehearsals."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from host.adapters.account_book import AccountBook, size_of
from host.adapters.group_assignment import GroupAssignment
from host.adapters.os.system import SystemClock
from host.adapters.partitions import (
    PARTITIONS,
    committed_by,
    place_of,
    queue_of,
    target_of,
)
from host.domain.accounts import Account, Balance, Charge, Discrepancy
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import CommitListener, NewRecord, Record, RecordPlace, TopicPartition, WorkQueue
from host.ports.clock import Clock, TwoClocks, two_clocks
from host.ports.glances import GLANCES_MAX, FlowGlance, GlanceQuery, GlanceWrite
from host.ports.groups import Membership, RebalanceListener
from host.ports.state import StateConflictError, StateRecord, StateWrite
from host.ports.topics import Retention
from host.ports.units import JournalRow, Unit
from host.ports.work import Backlog, Done, Look, WorkRecord


class MemoryStore:
    """Holds everything in dictionaries behind one lock."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._time = two_clocks(clock or SystemClock())
        self._lock = threading.Lock()
        self._records: dict[TopicPartition, list[Record]] = {}
        self._work: dict[WorkQueue, list[WorkRecord]] = {}
        self._position = 0
        self._tails: dict[TopicPartition, int] = {}
        self._offsets: dict[tuple[str, TopicPartition], int] = {}
        self._states: dict[str, StateRecord] = {}
        self._glances: dict[str, FlowGlance] = {}
        self._origins: dict[str, FlowId | None] = {}
        self._journals: dict[FlowId, list[bytes]] = {}
        self._book = AccountBook()
        self._rosters: dict[str, GroupAssignment] = {}
        self._listeners: list[CommitListener] = []
        self._rebalance_listeners: list[RebalanceListener] = []

    @property
    def partitions(self) -> int:
        return PARTITIONS

    @property
    def time(self) -> TwoClocks:
        return self._time

    def poll(self, group: str, source: TopicPartition, limit: int) -> Sequence[Record]:
        with self._lock:
            offset = self._offsets.get((group, source), 0)
            return [r for r in self._records.get(source, ()) if r.offset >= offset][:limit]

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        with self._lock:
            return sorted(
                source
                for source, tail in self._tails.items()
                if source.topic in topics and self._offsets.get((group, source), 0) < tail
            )

    def waiting(self, topics: Sequence[str]) -> Sequence[WorkQueue]:
        with self._lock:
            return sorted(queue for queue in self._work if queue.topic in topics)

    def take(
        self,
        queue: WorkQueue,
        limit: int,
        skip: Collection[str] = (),
        *,
        bytes_max: int | None = None,
    ) -> Look:
        taken, size = list[WorkRecord](), 0
        with self._lock:
            found = [r for r in self._work.get(queue, ()) if r.key not in skip]
        for record in found[:limit]:
            if taken and bytes_max is not None and size >= bytes_max:
                break
            if record.key == found[0].key:
                taken.append(record)
                size += len(record.value)
        return Look(records=taken, more=len(taken) < len(found))

    def backlogs(self, topics: Sequence[str]) -> Sequence[Backlog]:
        waiting: dict[str, list[EpochMs]] = {}
        with self._lock:
            for queue, records in self._work.items():
                if queue.topic in topics:
                    waiting.setdefault(queue.topic, []).extend(r.written_at for r in records)
        return [
            Backlog(topic=topic, records=len(times), oldest_at=min(times))
            for topic, times in sorted(waiting.items())
        ]

    def on_commit(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    def topics(self, prefix: str = "") -> Sequence[str]:
        with self._lock:
            return sorted({s.topic for s in self._tails if s.topic.startswith(prefix)})

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        with self._lock:
            found = self._by_age(topic)
        return [r for r in found if before is None or r.place < before][:limit]

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

    def get(self, key: str) -> StateRecord | None:
        with self._lock:
            return self._states.get(key)

    def get_many(self, keys: Collection[str]) -> Mapping[str, StateRecord]:
        with self._lock:
            return {key: self._states[key] for key in keys if key in self._states}

    def scan(self, prefix: str, limit: int | None = None) -> Sequence[StateRecord]:
        with self._lock:
            keys = sorted(key for key in self._states if key.startswith(prefix))
            return [self._states[key] for key in keys[:limit]]

    def due(
        self, group: str, now: EpochMs, limit: int, partitions: Collection[int]
    ) -> Sequence[StateRecord]:
        found = [
            (state.due_at, state.key, state)
            for state in self.placed(group, partitions)
            if state.due_at is not None and state.due_at <= now
        ]
        return [state for _, _, state in sorted(found, key=lambda f: f[:2])[:limit]]

    def next_due(self, group: str, partitions: Collection[int]) -> EpochMs | None:
        states = self.placed(group, partitions)
        return min((s.due_at for s in states if s.due_at is not None), default=None)

    def placed(self, group: str, partitions: Collection[int]) -> Sequence[StateRecord]:
        with self._lock:
            return [
                state
                for _, state in sorted(self._states.items())
                if state.place is not None
                and state.place.group == group
                and state.place.partition in partitions
            ]

    def glances(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]:
        with self._lock:
            found = [
                glance
                for glance in self._glances.values()
                if glance.node == query.node
                and query.status in (None, glance.status)
                and (query.responders or not glance.is_responder)
                and (query.before is None or glance.place < query.before)
                and (query.until is None or glance.started_at <= query.until)
                and query.origin in (None, self._origins.get(glance.key))
            ]
        newest = sorted(found, key=lambda glance: glance.place, reverse=True)
        return newest[: max(0, min(limit, GLANCES_MAX))]

    def journal_rows(self, flow_id: FlowId, first: int, limit: int) -> Sequence[bytes]:
        return self.journal(flow_id)[first : first + limit]

    def journal_bytes(self, flow_id: FlowId) -> int:
        return sum(map(len, self.journal(flow_id)))

    def balance(self, node: ShortHash, account: Account) -> Balance:
        return self.share(Charge(node=node, account=account))

    def share(self, charge: Charge) -> Balance:
        with self._lock:
            return self._book.share(charge)

    def whole_and_share(self, charge: Charge) -> tuple[Balance, Balance]:
        with self._lock:
            whole = self._book.share(replace(charge, peer=None))
            return whole, self._book.share(charge)

    def balances(self, node: ShortHash) -> Mapping[Account, Balance]:
        with self._lock:
            return self._book.balances(node)

    def shares(self, node: ShortHash, account: Account) -> Mapping[ShortHash, Balance]:
        with self._lock:
            return self._book.shares(node, account)

    def total(self, account: Account) -> Balance:
        with self._lock:
            return self._book.total(account)

    def oldest(self, charge: Charge, limit: int) -> Sequence[StateRecord]:
        with self._lock:
            found = [
                (state.due_at, state)
                for key, state in self._states.items()
                if self._book.charge_of(("state", key)) == charge and state.due_at is not None
            ]
        return [state for _, state in sorted(found, key=lambda f: f[0])[:limit]]

    def recount(self, *, repair: bool = False) -> Sequence[Discrepancy]:
        with self._lock:
            return self._book.recount(repair=repair)

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        with self._lock:
            return list(self._journals.get(flow_id, ()))

    def join(self, group: str, member: str, *, ttl_ms: int) -> Membership:
        return self._change(group, lambda r, now: r.joined(member, ttl_ms, now)).membership(member)

    def heartbeat(self, group: str, member: str) -> Membership:
        return self._change(group, lambda r, now: r.beaten(member, now)).membership(member)

    def leave(self, group: str, member: str) -> None:
        self._change(group, lambda r, now: r.left(member, now))

    def members(self, group: str) -> Sequence[Membership]:
        with self._lock:
            roster = self._roster(group)
        return [roster.membership(member) for member in sorted(roster.pulses)]

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

    def _by_age(self, topic: str) -> list[Record]:
        """Newest first."""
        found = [r for s, records in self._records.items() if s.topic == topic for r in records]
        return sorted(found, key=lambda r: (r.written_at, r.source, r.offset), reverse=True)

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

    def _roster(self, group: str) -> GroupAssignment:
        empty = GroupAssignment(group=group, generation=0, pulses={}, owners={})
        return self._rosters.get(group, empty)

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
        for consumed in unit.consumed:
            offset = self._offsets.get((consumed.group, consumed.source), 0)
            if offset > consumed.start or not self._is_gap(consumed.source, offset, consumed.start):
                raise StateConflictError(
                    f"{consumed.group} is at offset {offset} of {consumed.source.topic}-"
                    f"{consumed.source.partition}, expected {consumed.start}"
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
            if new.node is not None:
                self._enqueue(new, now)
                continue
            source = target_of(new)
            offset = self._tails.get(source, 0)
            self._tails[source] = offset + 1
            self._records.setdefault(source, []).append(
                Record(source=source, offset=offset, key=new.key, value=new.value, written_at=now)
            )
            self._book.put(("log", source, offset), new.charge, size_of(new.key, new.value))
        for consumed in unit.consumed:
            self._offsets[consumed.group, consumed.source] = consumed.start + consumed.count


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
