"""The flow engine: passes the next records of a key to their handler, and contains failures.

The host passes in all dependencies. Workers call `work`, one thread per key at a time; `drain`
works on the calling thread until nothing is ready. A record that fails is set aside in the store,
together with later records of its key: other keys never wait for it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from host.database.steady_view import steady_view
from host.domain.ids import EpochMs
from host.flow.core.aside import Cause, WorkKey
from host.flow.core.config import FIXED_DEFAULTS, FlowConfig
from host.flow.core.events import EventSink, FlowEngineEvent
from host.flow.core.messages import EVENT_TOPIC, START_TOPIC, WORK_TOPICS
from host.flow.core.taken import BYTES_MAX, RECORDS_MAX, Taken
from host.flow.engine.asides import Asides
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.giving_up import GivingUp
from host.flow.engine.guest_runs import GuestRuns
from host.flow.engine.kept_programs import KEPT_MAX, KeptPrograms
from host.flow.engine.local_delivery import LocalDelivery
from host.flow.engine.local_routes import LocalRoutes
from host.flow.engine.mapper_worker import Mapper
from host.flow.engine.programs import ProgramRuns
from host.flow.engine.setbacks import Outcome, Setbacks, fence_of
from host.flow.engine.steps import FlowSteps
from host.flow.engine.sticky_cache import StickyCache
from host.flow.engine.timers import Timers, all_partitions
from host.flow.records.history import FIXED_NO_HISTORY, HistoryLimits
from host.ports.audit_log import AuditLogs, Unaudited
from host.ports.bus import WorkQueue
from host.ports.capability import Capability
from host.ports.clock import Clock, Entropy
from host.ports.directory import Packages, VirtualNodes
from host.ports.groups import Fence
from host.ports.guest import FlowGuests
from host.ports.live import Live
from host.ports.programs import NoPrograms, Programs
from host.ports.quotas import Quotas, Unmetered
from host.ports.routes import Routes
from host.ports.tracing import Tracer
from host.ports.units import StateStore
from host.ports.work import Queues, WorkBatch, WorkRecord


class EngineStore(StateStore, Queues, Protocol):
    """The store of steps: flows, and the queues of their work."""


class FlowEngine:
    """Durable flows over a store. Thread-safe for distinct partitions.

    Args:
        units: states, journals and the queues of work.
        guests: runs guest code.
        capabilities: the platform services, by their `name`; `log`, `flow`, `sessions` and
            `external-messaging` are the engine's own.
        vnodes: virtual nodes of this host.
        packages: stored CPIs.
        clock: time of day.
        entropy: randomness of flow ids, session ids and `flow.random`.
        events: receives events after they are durable; its exceptions do not affect flows.
        routes: find counterparties; by default all are on this cluster.
        config: limits and times.
        history: limits of the histories of ended flows.
        quotas: quotas of the nodes' guests, to which their usage is charged.
        sticky: keeps suspended guests for their next step; by default none is kept.
        audit_logs: stores privileged calls.
        time_of_day: the clock shown to flows and people, if not `clock`.
        programs: platform flows; by default there are none.
        kept_programs: how many of them stay in memory between steps; 0 replays each.
    """

    def __init__(
        self,
        *,
        units: EngineStore,
        guests: FlowGuests,
        capabilities: Sequence[Capability],
        vnodes: VirtualNodes,
        packages: Packages,
        clock: Clock,
        entropy: Entropy,
        events: EventSink,
        routes: Routes | None = None,
        config: Live[FlowConfig] = FIXED_DEFAULTS,
        history: Live[HistoryLimits] = FIXED_NO_HISTORY,
        quotas: Quotas | None = None,
        sticky: StickyCache | None = None,
        audit_logs: AuditLogs | None = None,
        time_of_day: Clock | None = None,
        programs: Programs | None = None,
        kept_programs: int = KEPT_MAX,
        tracer: Tracer | None = None,
    ) -> None:
        self._store = units
        self._clock = clock
        events = _contained(events)
        services = FlowServices(
            capabilities={c.name: c for c in capabilities},
            vnodes=vnodes,
            routes=routes or LocalRoutes(vnodes),
            clock=clock,
            entropy=entropy,
            states=units,
            accounts=units,
            live_config=config,
            live_history=history,
            quotas=quotas or Unmetered(),
            audit_logs=audit_logs or Unaudited(),
            time_of_day=time_of_day,
            programs=programs or NoPrograms(),
            journals=units,
            tracer=tracer,
        )
        places = StickyCache(0) if sticky is None else sticky
        self._steps = FlowSteps(
            store=units,
            runs=GuestRuns(store=units, guests=guests, services=services, sticky=places),
            programs=ProgramRuns(store=units, services=services, kept=KeptPrograms(kept_programs)),
            packages=packages,
            services=services,
            events=events,
            delivery=_local_delivery(units, services),
        )
        self._mapper = _mapper(units, services, events)
        self.timers = Timers(store=units, clock=clock, config=config, is_paused=services.is_paused)
        self.asides = Asides(units)
        giving_up = GivingUp(store=units, steps=self._steps, clock=clock, config=config)
        self.setbacks = _setbacks(units, self.asides, giving_up, services, events)
        self._held: dict[WorkKey, EpochMs] = {}
        self._config = config
        self._services = services

    def ready(self) -> Sequence[WorkQueue]:
        """Queues with work."""
        return self._store.waiting(WORK_TOPICS)

    def adopt(self, epochs: Mapping[int, int | None] | None = None) -> None:
        """Become the owner of these partitions, or of all; call before any of their work is done.

        Raises:
            StorageError: the store cannot be read; nothing has changed.
        """
        self.asides.adopt(all_partitions(self._store) if epochs is None else epochs)

    def take(self, queue: WorkQueue, skip: Collection[str] = ()) -> WorkBatch:
        """The next records of one key, up to the limit of a step; start requests one by one.

        Raises:
            StorageError: the store cannot be read.
        """
        limit = 1 if queue.topic == START_TOPIC else RECORDS_MAX
        return self._store.take(queue, limit, skip, bytes_max=BYTES_MAX)

    def work(
        self,
        key: WorkKey,
        records: Sequence[WorkRecord] = (),
        epoch: int | None = None,
        committing: Callable[[], None] | None = None,
    ) -> Outcome:
        """Process records of a key, or set them aside; never raises for a record's own failure.

        One thread at a time works on a key.

        Args:
            key: the key of the records.
            records: the result of `take`; if empty, the records that are set aside.
            epoch: of the caller's ownership; commits with an old epoch are refused, and the work is
                left to the current owner.
            committing: called when the step of `records` has only its commit left to wait for.
        """
        try:
            with steady_view():
                worked = self._work(key, records, fence_of(key, epoch), committing)
        except Exception as exc:  # noqa: BLE001  # worker boundary: a record must not stop the rest
            return self.setbacks.failed(key, records, exc, epoch)
        if worked:
            self.setbacks.over(key)
        return Outcome(worked=worked, is_done=True)

    def resume(self) -> bool:
        """Let go the keys of nodes that are no longer paused; returns whether there are any."""
        return self.asides.resume(self._services.is_paused, self._clock.now_ms())

    def may_be_aside(self, key: WorkKey) -> bool:
        """Whether records of the key may be set aside, decided without reading the store."""
        return key in self.asides or key in self.setbacks

    def process(self, queue: WorkQueue, epoch: int | None = None) -> Outcome:
        """Process the next records of one queue on the calling thread."""
        held = [key.key for key in self._held if key.queue == queue]
        records = self.take(queue, held).records
        if not records:
            return Outcome(worked=False)
        return self._process(WorkKey(queue, records[0].key), records, epoch)

    def drain(self) -> int:
        """Process and fire due timers on this thread until nothing is due.

        Returns:
            The number of steps taken.
        """
        self.adopt()
        steps = 0
        while True:
            fired = self.timers.fire_due()
            self.resume()
            due = [key for key in self._released() if self.may_be_aside(key)]
            done = [self.process(queue) for queue in self.ready()]
            due += [key for key in self.asides.due(self._clock.now_ms()) if key not in self._held]
            done += [self._process(key, (), None) for key in dict.fromkeys(due)]
            worked = sum(outcome.worked for outcome in done)
            steps += worked
            if not fired and not worked:
                return steps

    def next_due(self) -> EpochMs | None:
        """When `drain` next has something to do; None if there is no due time.

        Raises:
            StorageError: the store cannot be used.
        """
        times = (self.timers.next_due(), self.asides.next_due(), *self._held.values())
        return min((at for at in times if at is not None), default=None)

    def _released(self) -> Sequence[WorkKey]:
        """Keys whose waiting time is over, or began before the clock was set back."""
        now = self._clock.now_ms()
        latest = now + self._config.get().max_retry_delay_ms
        found = [key for key, until in self._held.items() if not now < until <= latest]
        for key in found:
            del self._held[key]
        return found

    def _process(self, key: WorkKey, records: Sequence[WorkRecord], epoch: int | None) -> Outcome:
        outcome = self.work(key, records, epoch)
        if outcome.hold_ms is not None:
            self._held[key] = EpochMs(self._clock.now_ms() + outcome.hold_ms)
        return outcome

    def _work(
        self,
        key: WorkKey,
        records: Sequence[WorkRecord],
        fence: Fence | None,
        committing: Callable[[], None] | None,
    ) -> bool:
        """Process records of a key; returns whether there were any."""
        if self._services.is_paused(key.queue.node):
            return self._wait(key, records, fence)
        if not records:
            return self._work_on_aside(key, fence)
        if key not in self.asides and key not in self.setbacks:
            self._handle(Taken.of_queue(records, fence, committing))
        elif len(aside := self.asides.load(key, fence)):
            self.setbacks.queue_behind(aside, records, aside.head.failures, aside.due, fence)
        else:
            self._handle(Taken.of_queue(records, fence))
        return True

    def _wait(self, key: WorkKey, records: Sequence[WorkRecord], fence: Fence | None) -> bool:
        """Set records of a paused node aside; returns whether they have left their queue."""
        aside = self.asides.load(key, fence)
        if records:
            self.setbacks.queue_behind(
                aside, records, aside.head.failures, aside.due, fence, cause=Cause.PAUSED
            )
        self.asides.park(key, fence)
        return bool(records)

    def _work_on_aside(self, key: WorkKey, fence: Fence | None) -> bool:
        aside = self.asides.load(key, fence)
        if not len(aside):
            return False
        is_single = aside.head.failures is not None or key.queue.topic == START_TOPIC
        records = self.asides.records(aside, 1 if is_single else RECORDS_MAX)
        self._handle(self.asides.taken(aside, records, fence, self._clock.now_ms()))
        self.asides.left(aside, len(records), self._clock.now_ms(), fence)
        return True

    def _handle(self, taken: Taken) -> None:
        match taken.records[0].queue.topic:
            case topic if topic == START_TOPIC:
                self._mapper.start(taken)
            case topic if topic == EVENT_TOPIC:
                self._steps.handle(taken)
            case _:
                self._mapper.deliver(taken)


def _local_delivery(store: EngineStore, services: FlowServices) -> LocalDelivery:
    return LocalDelivery(
        store=store,
        routes=services.routes,
        entropy=services.entropy,
        quotas=services.quotas,
        config=services.live_config,
    )


def _setbacks(
    store: EngineStore,
    asides: Asides,
    giving_up: GivingUp,
    services: FlowServices,
    events: EventSink,
) -> Setbacks:
    return Setbacks(
        store=store,
        asides=asides,
        giving_up=giving_up,
        clock=services.clock,
        events=events,
        config=services.live_config,
    )


def _mapper(store: EngineStore, services: FlowServices, events: EventSink) -> Mapper:
    return Mapper(
        store=store,
        routes=services.routes,
        clock=services.clock,
        entropy=services.entropy,
        events=events,
        quotas=services.quotas,
        config=services.live_config,
    )


def _contained(sink: EventSink) -> EventSink:
    """Wraps `sink` so that its failure stops no flow: the reported change is already durable."""

    def tell(event: FlowEngineEvent) -> None:
        with suppress(Exception):
            sink(event)

    return tell
