"""Steps of flows: events in, guest runs, one commit out.

A step's checkpoint, journal rows, outgoing records, status and deletion of processed records are
one transaction; messages are only sent with it. A step that is interrupted at any point is executed
again.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from host.domain.flow import FlowError, FlowStatusName
from host.domain.ids import EpochMs, FlowId, HoldingIdentity
from host.domain.vnode import OperationalStatus, VirtualNode
from host.flow.core import machine
from host.flow.core.checkpoint import Checkpoint, decode_checkpoint
from host.flow.core.endings import ORPHAN_REASON
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.events import EventSink, FlowEnded, StepCommitted
from host.flow.core.machine import (
    Arrived,
    Broken,
    End,
    Event,
    Killed,
    Started,
    Woken,
)
from host.flow.core.messages import (
    FlowEvent,
    KillFlow,
    Respond,
    Sent,
    SessionMessage,
    StartFlow,
    Wake,
    decode_event,
    flow_state_key,
)
from host.flow.core.offloaded_payloads import offloaded_keys, result_apart
from host.flow.core.pauses import with_held_sessions
from host.flow.core.remembered import cleanup_writes
from host.flow.core.room import NodeBalances
from host.flow.core.system_flows import is_system
from host.flow.core.taken import Taken
from host.flow.core.timer_state import timer_key
from host.flow.engine.births import Births, killed_key_of, read_at_start
from host.flow.engine.ended_flow_replies import late_replies
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.guest_runs import GuestRuns, NodeCode
from host.flow.engine.local_delivery import LocalDelivery
from host.flow.engine.programs import ProgramRuns
from host.flow.engine.step_state import StepState, status_of_step
from host.flow.engine.step_traces import StepTraces
from host.flow.records.history import NO_HISTORY
from host.ports.bus import NewRecord
from host.ports.directory import Packages
from host.ports.groups import Fence
from host.ports.state import StateRecord
from host.ports.units import StateStore, Unit
from host.ports.work import WorkRecord


class FlowSteps:
    """Handles the flow topic. Thread-safe: a step keeps its state on its own stack."""

    def __init__(
        self,
        *,
        store: StateStore,
        runs: GuestRuns,
        programs: ProgramRuns,
        packages: Packages,
        services: FlowServices,
        events: EventSink,
        delivery: LocalDelivery,
    ) -> None:
        self._store = store
        self._runs = runs
        self._programs = programs
        self._births = Births(packages=packages, services=services, delivery=delivery)
        self._services = services
        self._events = events
        self._delivery = delivery
        self._traces = None if services.tracer is None else StepTraces(services.tracer)

    def handle(
        self,
        taken: Taken,
        *,
        broken: FlowError | None = None,
        letter: tuple[NewRecord, ...] = (),
    ) -> None:
        """Apply records of one flow in order, and commit.

        Args:
            taken: the records.
            broken: set if the records became dead letters: the flow ends with this error.
            letter: records for the dead letter topic, published in any case.
        """
        flow_id, begun = FlowId(taken.records[0].key), time.time_ns() if self._traces else 0
        fence = taken.fence
        events = [_decoded(record, broken) for record in taken.records]
        known = self._store.get_many(
            (flow_state_key(flow_id), timer_key(flow_id), *read_at_start(events[0]))
        )
        flow = self._loaded(flow_id, known, fence)
        outgoing: list[NewRecord] = list(letter)
        try:
            for event in events:
                if flow is None and isinstance(event, StartFlow | Respond):
                    flow = self._births.create(flow_id, event, outgoing, known, fence)
                if flow is not None and self._traces is not None and flow.traced is None:
                    flow.traced = []
                if flow is None or flow.ended:
                    held = {} if flow is None else flow.checkpoint.sessions
                    outgoing += late_replies(event, held, self._store)
                else:
                    self._react(flow, event, broken)
            self._commit(flow, outgoing, taken)
            if flow is not None and self._traces is not None:
                self._traces.committed(flow, begun)
        except BaseException:
            if flow is not None:
                self._runs.abandon(flow)
            raise

    def _commit(self, flow: StepState | None, outgoing: list[NewRecord], taken: Taken) -> None:
        if flow is None:
            taken.commit(self._store, Unit(records=tuple(outgoing)))
            return
        flow.records += outgoing
        started = time.perf_counter()
        flow.write(self._store, self._services.clock.now_ms(), taken)
        seconds = time.perf_counter() - started
        self._runs.settle(flow)
        self._programs.settle(flow)
        for event in flow.events:
            self._events(event)
        self._events(
            StepCommitted(flow_id=flow.flow_id, holding_id=flow.holding_id, seconds=seconds)
        )

    def _loaded(
        self, flow_id: FlowId, known: Mapping[str, StateRecord], fence: Fence | None
    ) -> StepState | None:
        """The flow, if it has begun and not ended."""
        stored = known.get(flow_state_key(flow_id))
        if stored is None:
            return None
        checkpoint = decode_checkpoint(stored.value)
        node = checkpoint.holding.holding().short_hash
        return StepState(
            checkpoint=checkpoint,
            holding_id=node,
            version=stored.version,
            checkpoint_bytes=len(stored.value),
            timer=known.get(timer_key(flow_id)),
            apart=offloaded_keys(checkpoint),
            config=self._services.config,
            history=NO_HISTORY if is_system(checkpoint.flow_class) else self._services.history,
            fence=fence,
            delivery=self._delivery,
            quota=self._services.quotas.quota(node),
            balances=NodeBalances(self._services.accounts, node),
            shift_ms=self._services.shift_ms(node),
        )

    def _react(self, flow: StepState, event: FlowEvent, broken: FlowError | None) -> None:
        holding = flow.checkpoint.holding.holding()
        vnode = self._services.vnodes.find(holding)
        reason = _kill_reason(vnode, holding, starting=flow.version == 0)
        if isinstance(event, KillFlow):
            reason = event.reason
        if reason is None and self._is_orphan(flow):
            reason = ORPHAN_REASON
        if reason is not None or vnode is None:
            self._apply(flow, Killed(reason or ""), None)
        elif broken is not None:
            self._apply(flow, Broken(broken), None)
        else:
            cpi = flow.cpi or self._births.cpi(flow.checkpoint.cpi_checksum)
            home = NodeCode(vnode=vnode, cpi=cpi)
            self._apply(flow, _machine_event(event), home)

    def _is_orphan(self, flow: StepState) -> bool:
        """Whether a responder descends from a flow of the same node that was killed."""
        if not flow.is_responder:
            return False
        key = killed_key_of(flow.checkpoint)
        found = flow.known[key] if key in flow.known else self._store.get(key)
        return found is not None

    def _apply(self, flow: StepState, event: Event, home: NodeCode | None) -> None:
        """Run the machine until it issues no more commands."""
        following: Event | None = event
        while following is not None:
            now = self._services.node_time(flow.shift_ms)
            if isinstance(following, Arrived):
                flow.arrived(following.message, self._services.clock.now_ms())
            elif isinstance(following, Woken):
                flow.checkpoint = self._held(flow, now)
            transition = machine.step(flow.checkpoint, following, now, self._services.config)
            following = None
            flow.checkpoint = transition.checkpoint
            for command in transition.commands:
                match command:
                    case machine.Send(messages=messages):
                        flow.send(Sent.all(messages), now)
                    case End():
                        self._end(flow, command)
                    case machine.RunGuest():
                        assert home is not None  # noqa: S101  # only ends are applied without
                        following = self._run(flow, home)
                    case machine.RunProgram():
                        assert home is not None  # noqa: S101  # as above
                        following = self._programs.run(flow, home.cpi)

    def _held(self, flow: StepState, now: EpochMs) -> Checkpoint:
        """The checkpoint of a flow that is woken: what waits for a paused node does not expire."""
        return with_held_sessions(
            flow.checkpoint,
            now,
            flow.shift_ms,
            self._services.config.max_idle_ms,
            self._services.pauses_of,
        )

    def _run(self, flow: StepState, home: NodeCode) -> Event | None:
        if is_system(flow.checkpoint.flow_class):
            return self._programs.ended(flow)
        return self._runs.run(flow, home)

    def _end(self, flow: StepState, end: End) -> None:
        if end.status is FlowStatusName.COMPLETED and end.result is None:
            end = replace(end, result=result_apart(flow.flow_id, self._store))
        flow.ended = True
        cleanups = cleanup_writes(flow.checkpoint, self._services.clock.now_ms())
        flow.later |= cleanups
        flow.status = status_of_step(flow, end, self._services.wall.now_ms())
        flow.events.append(
            FlowEnded(
                flow_id=flow.flow_id,
                holding_id=flow.holding_id,
                flow_class=flow.checkpoint.flow_class,
                request_id=flow.checkpoint.request_id,
                status=end.status,
                error=end.error,
                trace=flow.trace,
                cleanups=tuple(cleanups),
            )
        )


def _decoded(record: WorkRecord, broken: FlowError | None) -> FlowEvent:
    """The record's event; for a dead letter, any event that its flow accepts."""
    try:
        return decode_event(record.value)
    except FlowRecordDamagedError:
        if broken is None:
            raise
        return Wake()


def _machine_event(event: FlowEvent) -> Event:
    match event:
        case StartFlow():
            return Started()
        case Respond(message=message):
            return Arrived(message)
        case SessionMessage():
            return Arrived(event)
        case Wake():
            return Woken()
        case KillFlow(reason=reason):
            return Killed(reason)


def _kill_reason(
    vnode: VirtualNode | None, holding: HoldingIdentity, *, starting: bool
) -> str | None:
    if vnode is None:
        return f"virtual node {holding.short_hash} is not on this host"
    inactive = OperationalStatus.INACTIVE
    if vnode.flow_status is inactive or (starting and vnode.flow_start_status is inactive):
        return f"flow operations of virtual node {holding.short_hash} are not operational"
    return None
