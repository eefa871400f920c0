"""Runs of a flow's guest: replayed from its start by the journal, or resumed if parked."""

import dataclasses
from collections import Counter
from dataclasses import dataclass

from host.domain.flow import FLOW_FAILED, FlowError
from host.domain.packages import CpiRecord
from host.domain.quotas import QuotaCode, RunCharge
from host.domain.vnode import VirtualNode
from host.flow.core.bodies import read_body
from host.flow.core.events import GuestRan
from host.flow.core.initial_checkpoint import start_argument
from host.flow.core.journal import Entries, decode_journal
from host.flow.core.machine import Broken, Event, GuestReturned, GuestSuspended
from host.flow.core.pauses import run_at
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.host_calls import HostCalls
from host.flow.engine.step_state import StepState
from host.flow.engine.sticky_cache import Parked, StickyCache
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    FlowGuests,
    FlowRun,
    GuestKilledError,
    GuestOutcome,
    SuspendedRun,
    Usage,
)
from host.ports.units import StateStore
from sandbox.host_api import ALWAYS_GRANTED


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCode:
    """The virtual node and the code of a flow."""

    vnode: VirtualNode
    cpi: CpiRecord


class GuestRuns:
    """Runs guests for the steps of flows. Thread-safe, one thread per flow at a time."""

    def __init__(
        self, *, store: StateStore, guests: FlowGuests, services: FlowServices, sticky: StickyCache
    ) -> None:
        self._store = store
        self._guests = guests
        self._services = services
        self._sticky = sticky

    def run(self, flow: StepState, home: NodeCode) -> Event | None:
        """Run the guest; None if the flow's timer will run it later.

        This is the case if its node has exceeded its rate, or if the run reached its wall-clock
        limit only because a part of the platform was unavailable.
        """
        later = self._services.quotas.may_run_at(flow.holding_id)
        if later is not None:
            flow.checkpoint = run_at(flow.checkpoint, later, flow.shift_ms)
            return None
        facts = self._facts(flow, home)
        parked = self._take(flow, facts)
        if parked is not None:
            flow.journal = parked.journal
        elif flow.journal is None:
            flow.journal = decode_journal(self._store.journal(flow.flow_id))
            flow.written = len(flow.journal)

        def persist() -> None:
            flow.write(self._store, self._services.clock.now_ms(), None)

        handler = HostCalls(
            flow,
            home.cpi,
            self._services,
            persist=persist,
            quota=facts.quota,
            granted=facts.granted & home.cpi.capabilities_of(facts.flow_class),
            parked=parked is not None,
        )
        begun, recorded = self._services.clock.now_ms(), len(flow.journal)
        usage, stopped_by = Usage(), None
        try:
            outcome = self._perform(flow, facts, handler, parked)
            usage = _used(outcome)
            handler.check_complete()
        except GuestKilledError as exc:
            usage = exc.usage or usage
            if handler.failure is not None:
                raise handler.failure from exc
            now = self._services.clock.now_ms()
            if exc.code == QuotaCode.WALL and handler.outage_ms:
                flow.checkpoint = run_at(flow.checkpoint, now, flow.shift_ms)
                return None
            stopped_by = exc.code
            if exc.denied is not None:
                handler.audit(exc.denied, None, exc.code)
            return Broken(FlowError(type=exc.code, message=exc.message))
        finally:
            spent = RunCharge(
                usage=usage,
                wall_ms=self._services.clock.now_ms() - begun,
                host_call_ms=handler.host_call_ms,
                calls=Counter(entry.function for entry in flow.journal[recorded:]),
                code=stopped_by,
            )
            self._account(flow, handler, spent)
        if handler.failure is not None:
            raise handler.failure
        return _event(flow, handler, outcome, self._services.config.max_result_bytes)

    def settle(self, flow: StepState) -> None:
        """Park the guest of a flow whose step is committed; drop that of an ended flow."""
        parked, flow.parked = flow.parked, None
        if flow.ended:
            self._sticky.drop(flow.flow_id)
        if parked is None:
            return
        if flow.ended:
            parked.run.drop()
        else:
            self._sticky.park(flow.flow_id, parked)

    def abandon(self, flow: StepState) -> None:
        """Drop the guest of a flow whose step was not committed: its calls may not be stored."""
        if flow.parked is not None:
            flow.parked.run.drop()
            flow.parked = None

    def _facts(self, flow: StepState, home: NodeCode) -> FlowRun:
        """The inputs of the run; a large request body, which never changes, is read later."""
        return FlowRun(
            cpi=home.cpi,
            flow_class=flow.checkpoint.flow_class,
            start=start_argument(flow.checkpoint, flow.checkpoint.body),
            granted=ALWAYS_GRANTED | set(home.vnode.granted_capabilities),
            quota=self._services.quotas.quota(flow.holding_id),
            node=flow.holding_id,
        )

    def _take(self, flow: StepState, facts: FlowRun) -> Parked | None:
        """The flow's guest, if it was suspended in this step, or is parked."""
        parked, flow.parked = flow.parked, None
        if parked is None and flow.version > 0:
            parked = self._sticky.take(flow.flow_id, flow.checkpoint.calls)
            if parked is not None:
                flow.written = len(parked.journal)
        if parked is not None and parked.facts != facts:
            parked.run.drop()
            return None
        return parked

    def _perform(
        self, flow: StepState, facts: FlowRun, handler: HostCalls, parked: Parked | None
    ) -> GuestOutcome:
        if parked is not None:
            outcome = parked.run.resume(handler)
        elif flow.checkpoint.body_bytes:
            body = read_body(flow.checkpoint, self._store)
            start = start_argument(flow.checkpoint, body)
            outcome = self._guests.run(dataclasses.replace(facts, start=start), handler)
        else:
            outcome = self._guests.run(facts, handler)
        if isinstance(outcome, SuspendedRun) and outcome.parked is not None:
            # At once: whatever fails from here on, the step's commit or its end drops the guest.
            journal = flow.journal or Entries()
            flow.parked = Parked(run=outcome.parked, facts=facts, journal=journal)
        return outcome

    def _account(self, flow: StepState, handler: HostCalls, spent: RunCharge) -> None:
        self._services.quotas.spent(flow.holding_id, spent)
        flow.events.append(
            GuestRan(
                flow_id=flow.flow_id,
                holding_id=flow.holding_id,
                replayed=handler.replayed,
                made=handler.made,
                duration_ms=spent.wall_ms,
            )
        )


def _used(outcome: GuestOutcome) -> Usage:
    """The usage of a run; like its log lines, its failure is written to the host's log."""
    if not isinstance(outcome, FlowFailedInGuest):
        return outcome.usage
    texts = (outcome.type, outcome.message, *outcome.trace)
    size = sum(len(text.encode()) for text in texts)
    return dataclasses.replace(outcome.usage, log_bytes=outcome.usage.log_bytes + size)


def _event(
    flow: StepState, handler: HostCalls, outcome: GuestOutcome, result_bytes_max: int
) -> Event:
    """The flow machine's event for the outcome of a run."""
    if handler.waiting is not None:
        return GuestSuspended(handler.waiting)
    if isinstance(outcome, Finished):
        size = len(outcome.result.encode())
        if size > result_bytes_max:
            message = f"the flow's result has {size} bytes, at most {result_bytes_max}"
            return Broken(FlowError(type="flow-result-too-large", message=message))
        if outcome.is_json is not None:
            flow.seen_result = (outcome.result, outcome.is_json)
        return GuestReturned(outcome.result)
    if isinstance(outcome, FlowFailedInGuest):
        flow.trace = outcome.trace
        return Broken(
            FlowError(
                type=FLOW_FAILED,
                code=outcome.code,
                message=outcome.message,
                trace=outcome.trace,
            )
        )
    raise AssertionError("the guest was suspended by a call that the engine did not suspend")
