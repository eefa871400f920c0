"""The flow engine: takes the next records of a partition to their handler, and bounds failure.

Composed by the host: everything it touches is given. `process` is called by workers, one thread
per partition at a time; `drain` works on the calling thread until nothing is ready.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from host.domain.errors import HostError, UnavailableError
from host.domain.flow import FlowError, FlowStatusName
from host.domain.ids import EpochMs, FlowId
from host.flow.config import CORDA_DEFAULTS, FlowConfig
from host.flow.delivery import Delivery, LocalRouter, Router, refusal_record
from host.flow.errors import FlowRecordDamagedError
from host.flow.events import EventSink, FlowEngineEvent, RecordDeadLettered, RecordRetried
from host.flow.guest_runs import GuestRuns
from host.flow.history import NO_HISTORY, HistoryLimits
from host.flow.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    GROUP,
    START_TOPIC,
    WORK_TOPICS,
    KillFlow,
    Respond,
    SessionFailure,
    SessionMessage,
    decode_event,
    decode_start,
)
from host.flow.parking import ParkingLot
from host.flow.retry import Failures, kind_of, next_failures, retry_at
from host.flow.ruins import clearance
from host.flow.statuses import StoredStatus, status_key, write_status
from host.flow.steps import FlowSteps
from host.flow.surroundings import Surroundings
from host.flow.taken import Taken
from host.flow.timers import Timers
from host.ports.audit_log import AuditLogs, Unaudited
from host.ports.bus import NewRecord, WorkQueue
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.directory import Packages, VirtualNodes
from host.ports.groups import Fence, FencedError
from host.ports.guest import FlowGuests
from host.ports.quotas import Quotas, Unmetered
from host.ports.state import StateWrite
from host.ports.units import FlowStore, Unit
from host.ports.work import WorkRecord

_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What came of one `process`: whether records were done, and when to come back if not."""

    worked: bool
    retry_at: EpochMs | None = None


class FlowEngine:
    """Durable flows over a store. Thread-safe for distinct partitions.

    Args:
        units: bus, states and journals.
        guests: runs guest code.
        capabilities: the platform services, by their `name`; `log`, `flow`, `sessions` and
            `external-messaging` are the engine's own.
        vnodes: virtual nodes of this host.
        packages: stored CPIs.
        clock: time of day.
        entropy: randomness of flow ids, session ids and `flow.random`.
        events: told what happened, after it is durable; its failures are its own affair.
        router: decides where counterparties are; by default all are on this host.
        config: limits and times.
        history: how much is kept of ended flows.
        quotas: what the nodes' guests may use, and where it is charged.
        lot: keeps suspended guests for their next step; without it none is kept.
        audit_logs: where privileged calls are kept.
    """

    def __init__(
        self,
        *,
        units: FlowStore,
        guests: FlowGuests,
        capabilities: Sequence[Capability],
        vnodes: VirtualNodes,
        packages: Packages,
        clock: Clock,
        entropy: Entropy,
        events: EventSink,
        router: Router | None = None,
        config: FlowConfig = CORDA_DEFAULTS,
        history: HistoryLimits = NO_HISTORY,
        quotas: Quotas | None = None,
        lot: ParkingLot | None = None,
        audit_logs: AuditLogs | None = None,
    ) -> None:
        self._store = units
        self._clock = clock
        self._config = config
        events = _contained(events)
        self._events = events
        around = Surroundings(
            capabilities={c.name: c for c in capabilities},
            vnodes=vnodes,
            clock=clock,
            entropy=entropy,
            states=units,
            config=config,
            history=history,
            quotas=quotas or Unmetered(),
            audit_logs=audit_logs or Unaudited(),
        )
        places = ParkingLot(0) if lot is None else lot
        runs = GuestRuns(store=units, guests=guests, around=around, lot=places)
        self._steps = FlowSteps(
            store=units, runs=runs, packages=packages, around=around, events=events
        )
        self._delivery = Delivery(
            store=units,
            router=router or LocalRouter(vnodes),
            clock=clock,
            entropy=entropy,
            events=events,
            config=config,
        )
        self.timers = Timers(store=units, clock=clock, config=config)
        self._failures: dict[WorkQueue, Failures] = {}
        self._epochs: dict[WorkQueue, int | None] = {}

    def ready(self) -> Sequence[WorkQueue]:
        """Queues with work; retries that are not due yet are among them."""
        return self._store.waiting(WORK_TOPICS)

    def process(self, source: WorkQueue, epoch: int | None = None) -> Progress:
        """Process the next records of one queue; never raises for a record's own failure.

        Args:
            source: the queue.
            epoch: of the caller's ownership; what is committed under an old one is refused, and
                the work is left to the present owner.
        """
        self._epochs[source] = epoch
        before = self._failures.get(source)
        if before is not None:
            again = retry_at(before, self._config)
            # A failure that lies ahead was before the clock was put back: its delay is over.
            if again is not None and before.last <= self._clock.now_ms() < again:
                return Progress(worked=False, retry_at=again)
        batch: Sequence[WorkRecord] = ()
        try:
            batch = self._next(source, 1 if before else _BATCH)
            if batch:
                self._handle(batch)
        except Exception as exc:  # noqa: BLE001  # worker boundary: a record must not stop the rest
            return self._failed(source, batch, exc)
        if before is not None and batch:
            del self._failures[source]
        return Progress(worked=bool(batch))

    def drain(self) -> int:
        """Process and fire due timers on this thread until nothing is due.

        Returns:
            The number of steps taken.
        """
        steps = 0
        while True:
            fired = self.timers.fire_due()
            done = [self.process(source) for source in self.ready()]
            now = self._clock.now_ms()
            steps += sum(p.worked for p in done)
            if not fired and not any(p.worked or (p.retry_at or now + 1) <= now for p in done):
                return steps

    def _next(self, source: WorkQueue, limit: int) -> Sequence[WorkRecord]:
        """Records of one key; start requests singly."""
        return self._store.take(source, 1 if source.topic == START_TOPIC else limit)

    def _taken(self, batch: Sequence[WorkRecord]) -> Taken:
        queue = batch[0].queue
        epoch = self._epochs.get(queue)
        fence = None
        if epoch is not None:
            fence = Fence(group=GROUP, partition=queue.partition, epoch=epoch)
        return Taken.of_queue(batch, fence)

    def _handle(self, batch: Sequence[WorkRecord]) -> None:
        taken = self._taken(batch)
        match batch[0].queue.topic:
            case topic if topic == START_TOPIC:
                self._delivery.start(taken)
            case topic if topic == EVENT_TOPIC:
                self._steps.handle(taken)
            case _:
                self._delivery.deliver(taken)

    def _failed(self, source: WorkQueue, batch: Sequence[WorkRecord], exc: Exception) -> Progress:
        """Count the failure; give the record up when its attempts are spent."""
        if isinstance(exc, FencedError):
            self._failures.pop(source, None)
            return Progress(worked=False)
        position = batch[0].position if batch else -1
        failures = next_failures(
            self._failures.get(source),
            position=position,
            kind=kind_of(exc),
            now=self._clock.now_ms(),
        )
        self._failures[source] = failures
        again = retry_at(failures, self._config)
        reason = f"{type(exc).__name__}: {exc}"
        if again is None and batch:
            return self._give_up(batch[0], exc, reason)
        self._events(
            RecordRetried(
                topic=source.topic,
                partition=source.partition,
                position=position,
                attempt=failures.count,
                reason=reason,
            )
        )
        return Progress(worked=False, retry_at=again)

    def _give_up(self, record: WorkRecord, exc: Exception, reason: str) -> Progress:
        source = record.queue
        del self._failures[source]
        try:
            self._dead_letter(record, _fatal(exc))
        except Exception as again:  # noqa: BLE001  # worker boundary: even giving up may fail
            return self._failed(source, [record], again)
        self._events(
            RecordDeadLettered(
                topic=source.topic,
                partition=source.partition,
                position=record.position,
                reason=reason,
            )
        )
        return Progress(worked=True)

    def _dead_letter(self, record: WorkRecord, error: FlowError) -> None:
        """Move the record to the dead letter topic and end its flow, if it can be read at all."""
        letter = NewRecord(topic=DEAD_LETTER_TOPIC, key=record.key, value=record.value)
        taken = self._taken([record])
        if record.queue.topic == EVENT_TOPIC:
            try:
                self._steps.handle(taken, broken=error, letter=(letter,))
            except FlowRecordDamagedError as damaged:
                self._clear(record, error, damaged, letter, taken)
                return
            except HostError:
                pass  # what a flow needs to start cannot be had
            else:
                return
        status = self._failed_status(record, error)
        unit = Unit(
            states=() if status is None else (status,),
            records=(letter, *_refusals(record, error)),
        )
        self._store.commit(taken.unit(unit))

    def _clear(
        self,
        record: WorkRecord,
        error: FlowError,
        damaged: FlowRecordDamagedError,
        letter: NewRecord,
        taken: Taken,
    ) -> None:
        """End a flow whose checkpoint cannot be read."""
        unit = clearance(
            self._store,
            FlowId(record.key),
            FlowError(type=error.type, message=damaged.message),
            self._clock.now_ms(),
            letter=letter,
            taken=taken,
            retention_ms=self._config.status_retention_ms,
        )
        self._store.commit(unit)

    def _failed_status(self, record: WorkRecord, error: FlowError) -> StateWrite | None:
        """The status of a flow that could not even start."""
        try:
            start = decode_start(record.value)
        except FlowRecordDamagedError:
            return None
        if isinstance(start, KillFlow):
            return None
        holding = start.holding.holding().short_hash
        status = StoredStatus(
            holding=holding,
            request_id=start.client_request_id,
            flow_id=None,
            flow_class=start.flow_class,
            status=FlowStatusName.FAILED,
            error_type=error.type,
            error_message=error.message,
            updated_at=self._clock.now_ms(),
        )
        return write_status(
            self._store.get(status_key(holding, start.client_request_id)),
            status,
            retention_ms=self._config.status_retention_ms,
        )


def _contained(sink: EventSink) -> EventSink:
    """`sink`, whose failure stops no flow: what it should have told is durable already."""

    def tell(event: FlowEngineEvent) -> None:
        with suppress(Exception):
            sink(event)

    return tell


def _refusals(record: WorkRecord, error: FlowError) -> tuple[NewRecord, ...]:
    """Tells the sender of a session message that it could not be delivered."""
    try:
        event = decode_event(record.value)
    except FlowRecordDamagedError:
        return ()
    message = event.message if isinstance(event, Respond) else event
    if not isinstance(message, SessionMessage) or isinstance(message.payload, SessionFailure):
        return ()
    failure = SessionFailure(code=error.type, message=error.message)
    return (refusal_record(message, failure),)


def _fatal(exc: Exception) -> FlowError:
    if isinstance(exc, UnavailableError):
        return FlowError(type="platform-unavailable", message=exc.public_message)
    if isinstance(exc, FlowRecordDamagedError):
        return FlowError(type=exc.code, message=exc.message)
    # What else the platform tells of itself is for its log, not for tenants.
    return FlowError(type="platform-failure", message="the platform failed; its log tells why")
