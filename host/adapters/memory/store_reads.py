"""What a flow store in memory holds, and what it answers."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from host.adapters.account_book import AccountBook
from host.adapters.group_assignment import GroupAssignment
from host.adapters.partitions import PARTITIONS
from host.domain.accounts import Account, Balance, Charge
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import Record, RecordPlace, TopicPartition, WorkQueue
from host.ports.clock import Clock, TwoClocks, two_clocks
from host.ports.glances import GLANCES_MAX, MINUTE_MS, Ended, FlowGlance, GlanceQuery
from host.ports.groups import Membership
from host.ports.node_records import NodeJournal, NodeState, NodeWork
from host.ports.state import StateRecord
from host.ports.work import Backlog, WorkBatch, WorkRecord


class StoreReads:
    """Everything in dictionaries behind one lock."""

    def __init__(self, clock: Clock) -> None:
        self._time = two_clocks(clock)
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

    @property
    def partitions(self) -> int:
        return PARTITIONS

    @property
    def time(self) -> TwoClocks:
        return self._time

    def poll(
        self, group: str, source: TopicPartition, limit: int, *, bytes_max: int | None = None
    ) -> Sequence[Record]:
        with self._lock:
            offset = self._offsets.get((group, source), 0)
            found = [r for r in self._records.get(source, ()) if r.offset >= offset][:limit]
        if bytes_max is None:
            return found
        before = accumulate((len(record.value) for record in found), initial=0)
        return [r for r, size in zip(found, before, strict=False) if size < bytes_max]

    def ready(self, group: str, topics: Sequence[str]) -> Sequence[TopicPartition]:
        with self._lock:
            return sorted(
                source
                for source, tail in self._tails.items()
                if source.topic in topics and self._offsets.get((group, source), 0) < tail
            )

    def unread(self, group: str, topics: Sequence[str]) -> Mapping[str, int]:
        found = Counter[str]()
        with self._lock:
            for source, tail in self._tails.items():
                if source.topic in topics:
                    found[source.topic] += tail - self._offsets.get((group, source), 0)
        return +found

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
    ) -> WorkBatch:
        taken, size = list[WorkRecord](), 0
        with self._lock:
            found = [r for r in self._work.get(queue, ()) if r.key not in skip]
        for record in found[:limit]:
            if taken and bytes_max is not None and size >= bytes_max:
                break
            if record.key == found[0].key:
                taken.append(record)
                size += len(record.value)
        return WorkBatch(records=taken, more=len(taken) < len(found))

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

    def topics(self, prefix: str = "") -> Sequence[str]:
        with self._lock:
            return sorted({s.topic for s in self._tails if s.topic.startswith(prefix)})

    def newest(self, topic: str, limit: int, before: RecordPlace | None = None) -> Sequence[Record]:
        with self._lock:
            found = self._by_age(topic)
        return [r for r in found if before is None or r.place < before][:limit]

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
                if query.node in (None, glance.node)
                and query.status in (None, glance.status)
                and (query.responders or not glance.is_responder)
                and (query.before is None or glance.place < query.before)
                and (query.until is None or glance.started_at <= query.until)
                and (query.since is None or glance.started_at >= query.since)
                and query.origin in (None, self._origins.get(glance.key))
            ]
        newest = sorted(found, key=lambda glance: glance.place, reverse=True)
        return newest[: max(0, min(limit, GLANCES_MAX))]

    def requested(self, prefix: str, limit: int) -> Sequence[FlowGlance]:
        with self._lock:
            found = [
                g
                for g in self._glances.values()
                if g.request_id.startswith(prefix) and not g.is_responder
            ]
        return sorted(found, key=lambda g: (g.request_id, g.started_at))[:limit]

    def status_count(self, status: str, most: int) -> int:
        with self._lock:
            glances = list(self._glances.values())
        return min(most, sum(g.status == status and not g.is_responder for g in glances))

    def ended(self, since: EpochMs) -> Sequence[Ended]:
        with self._lock:
            found = Counter(
                (g.node, g.status, g.ended_at // MINUTE_MS, g.is_responder)
                for g in self._glances.values()
                if g.ended_at is not None and g.ended_at >= since
            )
        return [
            Ended(
                node=node,
                status=status,
                minute=EpochMs(minute * MINUTE_MS),
                count=count,
                is_responder=is_responder,
            )
            for (node, status, minute, is_responder), count in found.items()
        ]

    def journal(self, flow_id: FlowId) -> Sequence[bytes]:
        with self._lock:
            return list(self._journals.get(flow_id, ()))

    def journal_rows(self, flow_id: FlowId, first: int, limit: int) -> Sequence[bytes]:
        return self.journal(flow_id)[first : first + limit]

    def journal_bytes(self, flow_id: FlowId) -> int:
        return sum(map(len, self.journal(flow_id)))

    def states_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeState]:
        found = list[NodeState]()
        with self._lock:
            for key, state in sorted(self._states.items()):
                charge = self._book.charge_of(("state", key))
                if charge is not None and charge.node == node and key > after:
                    glance = self._glances.get(key)
                    found.append(
                        NodeState(
                            state=state,
                            charge=charge,
                            started_at=None if glance is None else glance.started_at,
                            origin=self._origins.get(key),
                        )
                    )
        return found[:limit]

    def work_of_node(self, node: ShortHash, after: int, limit: int) -> Sequence[NodeWork]:
        with self._lock:
            found = [
                (record.position, record)
                for queue, records in self._work.items()
                for record in records
                if queue.node == node and record.position > after
            ]
            works = list[NodeWork]()
            for position, record in sorted(found, key=lambda each: each[0])[:limit]:
                charge = self._book.charge_of(("work", position))
                works.append(NodeWork(record=record, peer=None if charge is None else charge.peer))
            return works

    def journals_of_node(self, node: ShortHash, after: str, limit: int) -> Sequence[NodeJournal]:
        found = list[NodeJournal]()
        with self._lock:
            for flow_id in sorted(self._journals):
                charge = self._book.charge_of(("journal", flow_id))
                if charge is not None and charge.node == node and flow_id > after:
                    found.append(NodeJournal(flow_id=flow_id, charge=charge))
        return found[:limit]

    def logs_of_node(
        self, node: ShortHash, topic: str, after: RecordPlace | None, limit: int
    ) -> Sequence[Record]:
        with self._lock:
            found = [
                record
                for source, records in self._records.items()
                if source.topic == topic
                for record in records
                if (charge := self._book.charge_of(("log", source, record.offset))) is not None
                and charge.node == node
                and (after is None or record.place > after)
            ]
        return sorted(found, key=lambda record: record.place)[:limit]

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

    def members(self, group: str) -> Sequence[Membership]:
        with self._lock:
            roster = self._roster(group)
        return [roster.membership(member) for member in sorted(roster.pulses)]

    def _by_age(self, topic: str) -> list[Record]:
        """Newest first."""
        found = [r for s, records in self._records.items() if s.topic == topic for r in records]
        return sorted(found, key=lambda r: (r.written_at, r.source, r.offset), reverse=True)

    def _roster(self, group: str) -> GroupAssignment:
        empty = GroupAssignment(group=group, generation=0, pulses={}, owners={})
        return self._rosters.get(group, empty)
