"""Takes messages from the topic `p2p.out`, numbers and stores them, and settles them.

The owner of a partition does the work of its pairs. Numbers, messages and the deletion of the
records are one unit, and so is all that an acknowledgement changes: a process that dies loses only
time. What waits is known in memory, without payloads, and read from the store by the next owner.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from host.domain.errors import HostError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.x500 import InvalidX500NameError
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import IN_TOPIC, SessionFailure, decode_message, encode
from host.flow.core.session import refusal
from host.network.link import peers, told
from host.network.link.channel_out import DeliveryCode, TxHead, TxMessage, expired, head_key
from host.network.link.inbox import flow_record
from host.network.link.outgoing import (
    Pair,
    head_write,
    message_deletes,
    message_write,
    new_pair,
    payloads,
    read_pair,
    without_payload,
)
from host.network.link.pings import (
    PING_TTL_MS,
    PINGS_MAX,
    PingAnswer,
    answer_write,
)
from host.network.link.routes import NetworkRoutes
from host.network.link.sessions import GROUP
from host.network.link.unit_batch import BYTES_MAX, Applied, Failed, UnitBatch
from host.network.values import p2p_out
from host.network.values.p2p_out import P2P_OUT_TOPIC, P2pOut, Subsystem
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord, WorkQueue
from host.ports.clock import Entropy, TwoClocks
from host.ports.groups import Fence
from host.ports.routes import Here, Refused
from host.ports.state import StateWrite
from host.ports.units import StateStore, Unit
from host.ports.work import Done, Queues, WorkRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesGivenUp:
    """For metrics: messages of which their senders are told that they were not delivered."""

    code: str
    count: int


RECORDS_MAX = 500
PAIRS_MAX = 4096
"""Pairs without anything to send that are remembered, with their sessions."""
CHANNEL_BYTES = 16


@dataclass(slots=True)
class _Intake:
    """The unit of some records of one pair, as it grows."""

    pair: Pair
    head: TxHead
    added: dict[int, TxMessage] = field(default_factory=dict)
    records: list[NewRecord] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)

    def number(self, message: P2pOut, written_at: EpochMs) -> None:
        """Give a message the next number."""
        self.added[self.head.next] = TxMessage(
            subsystem=message.subsystem,
            filter=message.filter,
            message_id=message.message_id,
            # Holds that are over do not lengthen it.
            expires_at=EpochMs(written_at + message.ttl_ms - self.head.held_ms),
            payload=message.payload,
            sealed_for_mgm=message.sealed_for_mgm,
            written_at=written_at,
        )
        self.head = replace(self.head, next=self.head.next + 1)


@dataclass(slots=True, kw_only=True)
class Outbox:
    """The stored side of sending. Not thread-safe: the service serialises it."""

    store: StateStore
    queues: Queues
    routes: NetworkRoutes
    clock: TwoClocks
    entropy: Entropy
    damaged: Callable[[str, HostError], None]
    """Told of states that cannot be read, by their keys."""
    given_up: Callable[[MessagesGivenUp], None] = lambda _event: None
    pairs: dict[str, Pair] = field(default_factory=dict)
    _epochs: Mapping[int, int | None] = field(default_factory=dict)
    _batch: UnitBatch | None = None

    @contextmanager
    def together(self, failed: Failed | None = None) -> Iterator[None]:
        """Let what is changed within share commits; the changes are seen when the context ends.

        Args:
            failed: told of pairs whose change could not be stored; without it, that is raised.

        Raises:
            ConflictError: another process owns a partition: nothing of the last commit was done.
            StorageError: the store cannot be used.
        """
        self._batch = batch = UnitBatch(self.store, failed)
        try:
            yield
            batch.flush()
        finally:
            self._batch = None

    def ready(self, pair: Pair) -> None:
        """Have a pair's earlier change done before it is read for another one."""
        if self._batch is not None and self._batch.holds(pair):
            self._batch.flush()

    def adopt(self, epochs: Mapping[int, int | None]) -> None:
        """Continue with the partitions that this process owns now, and their epochs.

        A pair whose states are damaged is left out: its messages wait until they are mended.

        Raises:
            StorageError: the store cannot be read.
        """
        gained = {p for p, epoch in epochs.items() if self._epochs.get(p, -1) != epoch}
        self._epochs = dict(epochs)
        kept = epochs.keys() - gained
        self.pairs = {n: pair for n, pair in self.pairs.items() if pair.partition in kept}
        for stored in self.store.placed(GROUP, gained):
            if stored.place is None or not stored.key.startswith(head_key("")):
                continue
            try:
                pair = read_pair(self.store, stored, stored.place.partition)
            except FlowRecordDamagedError as exc:
                self.damaged(stored.key, exc)
            else:
                self.pairs[pair.name] = pair

    def owned(self) -> Collection[int]:
        return self._epochs.keys()

    def waiting(self) -> Sequence[WorkQueue]:
        """Queues with messages that this process takes."""
        found = self.queues.waiting([P2P_OUT_TOPIC])
        owned = [queue for queue in found if queue.partition in self._epochs]
        return [queue for queue in owned if not self.routes.is_frozen(queue.node)]

    def take(self, queue: WorkQueue) -> None:
        """Store the next messages of a queue, of one pair.

        Raises:
            FlowRecordDamagedError: the pair's states cannot be read.
            ConflictError: another process owns the partition.
            StorageError: the store cannot be used.
        """
        records = self.queues.take(queue, RECORDS_MAX, bytes_max=BYTES_MAX).records
        if not records:
            return
        intake: _Intake | None = None
        for record in records:
            intake = self._add(record, intake)
        done = Done(queue=queue, positions=tuple(record.position for record in records))
        if intake is None:
            self.store.commit(self._fenced(queue.partition, Unit(done=(done,))))
            return
        self._store(intake, done)

    def _store(self, intake: _Intake, done: Done) -> None:
        pair = intake.pair
        writes: list[StateWrite] = []
        if intake.added:
            writes = [message_write(pair, n, each) for n, each in intake.added.items()]
            writes.append(head_write(pair, intake.head, is_pending=True))
        unit = Unit(states=tuple(writes), records=tuple(intake.records), done=(done,))

        def applied() -> None:
            if intake.added:
                pair.version += 1
                pair.head = intake.head
                pair.pending |= {n: without_payload(each) for n, each in intake.added.items()}
                self.pairs[pair.name] = pair
            self._ask(pair, intake.pings)

        self._commit(pair, unit, applied)

    def settle(
        self,
        pair: Pair,
        head: TxHead,
        *,
        done: Collection[int] = (),
        failed: Mapping[int, str] | None = None,
    ) -> None:
        """Delete messages that need no sending any more, and tell the senders of failed ones.

        Args:
            pair: whose they are.
            head: the head from now on.
            done: numbers of messages that the peer has.
            failed: numbers of others, and why each failed.

        Raises:
            ConflictError: another process owns the partition.
            StorageError: the store cannot be used.
        """
        self.ready(pair)
        failed = failed or {}
        numbers = {*done, *failed}
        if not numbers and head == pair.head:
            return
        records = self._told(pair, numbers, failed)
        left = {n: each for n, each in pair.pending.items() if n not in numbers}
        write = head_write(pair, head, is_pending=bool(left))
        deletes = message_deletes(pair, numbers)

        def applied() -> None:
            pair.version += 1
            pair.head = head
            pair.pending = left
            for code, count in Counter(failed.values()).items():
                self.given_up(MessagesGivenUp(code=code, count=count))

        self._commit(pair, Unit(states=(write, *deletes), records=tuple(records)), applied)

    def expire(self, now: EpochMs) -> None:
        """Give up messages whose time is over; raises as `settle`."""
        if len(self.pairs) > PAIRS_MAX:
            busy = {n: p for n, p in self.pairs.items() if p.is_wanted or p.flight is not None}
            self.pairs = busy
        with self.together():
            for pair in list(self.pairs.values()):
                if self.routes.holds(pair.source):
                    continue  # what it has sent does not age while it is on its way
                over = expired(pair.head, pair.pending, now)
                if over:
                    failed = dict.fromkeys(over, DeliveryCode.UNREACHABLE)
                    self.settle(pair, pair.head, failed=failed)

    def write(self, pair: Pair, write: StateWrite, applied: Applied) -> None:
        """Write another state of a pair, then `applied`; raises as `settle`."""
        self._commit(pair, Unit(states=(write,)), applied)

    def answer_pings(self, pair: Pair, answer: PingAnswer) -> None:
        """Store the answer of the pings of a pair; raises as `settle`."""
        asked, pair.pings = tuple(pair.pings), {}
        now = self.clock.now_ms()
        writes = tuple(answer_write(pair.name, each, answer, now) for each in asked)
        if writes:
            self._commit(pair, Unit(states=writes), lambda: None)

    def _ask(self, pair: Pair, pings: Sequence[str]) -> None:
        """Try the peer at once; what is asked when it is too late, nobody waits for."""
        until = self.clock.steady_ms() + PING_TTL_MS
        for each in pings:
            if len(pair.pings) < PINGS_MAX:
                pair.pings[each] = until
        if pings:
            pair.peer = peers.tried_now(pair.peer)
            self.pairs[pair.name] = pair

    def _add(self, record: WorkRecord, intake: _Intake | None) -> _Intake | None:
        """Add a record to the unit; one that cannot be read is dropped: nobody can be told."""
        try:
            message = p2p_out.read(record.value)
            source, target = message.source_holding(), message.target_holding()
        except (FlowRecordDamagedError, InvalidX500NameError):
            return intake
        if intake is None:
            pair = self._pair(record.queue.partition, source, target)
            intake = _Intake(pair, pair.head)
        if (source, target) != (intake.pair.source, intake.pair.target):
            return intake
        if message.subsystem is Subsystem.PING:
            if record.written_at + message.ttl_ms > self.clock.now_ms():
                intake.pings.append(message.message_id)
            return intake
        route = self.routes.route_of(
            source, target, message.filter, is_for_other=message.is_for_other
        )
        match route:
            case Here():
                intake.records.extend(self._local(message, source, target))
            case Refused():
                intake.records.extend(self._answer(message, source, target, route.code))
            case _:
                intake.number(message, record.written_at)
        return intake

    def _pair(self, partition: int, source: HoldingIdentity, target: HoldingIdentity) -> Pair:
        name = pair_of(source, target)
        known = self.pairs.get(name)
        if known is not None:
            self.ready(known)
            return known
        stored = self.store.get(head_key(name))
        if stored is not None:
            return read_pair(self.store, stored, partition)
        channel = self.entropy.random_bytes(CHANNEL_BYTES)
        return new_pair(name, partition, source, target, channel)

    def _local(
        self, message: P2pOut, source: HoldingIdentity, target: HoldingIdentity
    ) -> list[NewRecord]:
        """A message to a member that is here (now): delivered as one that has arrived."""
        is_flow = message.subsystem is Subsystem.FLOW
        accepts = self.routes.accepts if is_flow else self.routes.admits
        refused = accepts(source, target)
        if refused is not None and not message.sealed_for_mgm:
            return self._answer(message, source, target, refused.code)
        if is_flow:
            record = flow_record(source, target, message.payload)
            return [] if record is None else [record]
        sender = None if message.sealed_for_mgm else source
        record = told.arrived(sender, target, message.message_id, message.payload)
        return [record, *self._answer(message, source, target, None)]

    def _told(
        self, pair: Pair, numbers: Collection[int], failed: Mapping[int, str]
    ) -> list[NewRecord]:
        """Records that tell senders what became of messages."""
        wanted = {
            n for n in numbers if n in failed or pair.pending[n].subsystem is Subsystem.MEMBERSHIP
        }
        records: list[NewRecord] = []
        for number, stored in payloads(self.store, pair.name, wanted) if wanted else ():
            message = P2pOut(
                group_id=pair.head.group_id,
                source=pair.head.source,
                target=pair.head.target,
                subsystem=stored.subsystem,
                ttl_ms=0,
                message_id=stored.message_id,
                payload=stored.payload,
            )
            records += self._answer(message, pair.source, pair.target, failed.get(number))
        return records

    def _answer(
        self,
        message: P2pOut,
        source: HoldingIdentity,
        target: HoldingIdentity,
        code: str | None,
    ) -> list[NewRecord]:
        """What the sender of a message gets to know: a session error, or an outcome."""
        if message.subsystem is Subsystem.MEMBERSHIP:
            return [told.outcome(source, target, message.message_id, code)]
        return [] if code is None else _session_error(message, source, target, code)

    def _commit(self, pair: Pair, unit: Unit, applied: Applied) -> None:
        """Commit a pair's unit, now or with others; refused if its partition has another owner."""
        fenced = self._fenced(pair.partition, unit)
        if self._batch is not None:
            self._batch.add(pair, fenced, applied)
            return
        self.store.commit(fenced)
        applied()

    def _fenced(self, partition: int, unit: Unit) -> Unit:
        epoch = self._epochs.get(partition)
        fences = () if epoch is None else (Fence(group=GROUP, partition=partition, epoch=epoch),)
        return Unit(states=unit.states, records=unit.records, done=unit.done, fences=fences)


def _session_error(
    message: P2pOut, source: HoldingIdentity, target: HoldingIdentity, code: str
) -> list[NewRecord]:
    """The error that the sending flow's session gets; errors themselves get no answer."""
    try:
        sent = decode_message(message.payload)
    except HostError:
        return []
    if isinstance(sent.payload, SessionFailure):
        return []
    text = f"message {sent.sequence} of session {sent.session_id} was not delivered"
    answer = refusal(sent, SessionFailure(code=code, message=f"{text} to {target.x500_name}"))
    return [
        NewRecord(
            topic=IN_TOPIC,
            key=answer.session_id,
            value=encode(answer),
            node=source.short_hash,
        )
    ]
