"""The flow engine with its guests, and the threads that run it."""

from concurrent.futures import ThreadPoolExecutor

import structlog

from host.composition.parts import Parts
from host.domain.errors import HostError
from host.domain.packages import CpiRecord
from host.flow.config import FlowConfig
from host.flow.engine import FlowEngine
from host.flow.events import EventSink
from host.flow.flow_time import FlowTime
from host.flow.history import HistoryLimits
from host.flow.messages import GROUP
from host.flow.upkeep import Upkeep
from host.flow.workers import TICK_MS, FlowWorkers
from host.flow_observer import FlowObserver
from host.guests.flows import SandboxedFlows
from host.guests.parking import ParkingFlows
from host.guests.warm_up import warm_up
from host.ports.clock import Clock
from host.ports.guest import FlowGuests
from host.ports.topics import Retention
from host.settings import HostSettings
from host.settings.sections import (
    CORDA_EXTERNAL_MESSAGING,
    CORDA_FLOW,
    CORDA_MESSAGING,
    CORDA_REST,
    FLOW,
    TOPIC,
    WORKERS,
)
from host.spent_answers import SpentAnswers
from host.system import boot_id
from sandbox.errors import SandboxError

_log = structlog.get_logger("cordbox.host")


STALL_MS = 10 * TICK_MS
"""A process that has not looked at its clock for so long was stopped; time did not pass for it."""
RESCAN_MS = 1_000
"""How soon a worker process finds work of another one that no bell told of."""


def start_flows(parts: Parts, *, member: str | None = None) -> None:
    """Run flows until the parts are closed.

    Args:
        parts: of this process.
        member: its name among the processes that run flows; None when there is no other.
    """
    base = parts.base
    topic = base.settings.section(TOPIC)
    observer = FlowObserver(base.registry)
    lot = parts.lot
    flow_time = FlowTime(base.clock, stall_ms=STALL_MS, boot=boot_id())
    engine = make_engine(parts, clock=flow_time, events=observer)
    workers = FlowWorkers(
        engine=engine,
        units=parts.store,
        clock=flow_time,
        flow_time=flow_time,
        threads=base.settings.section(FLOW).workers,
        member=_only_member(parts) if member is None else member,
        rescan_ms=None if member is None else RESCAN_MS,
        upkeep=Upkeep(
            parts.store,
            base.clock,
            Retention(
                age_ms=topic.retention_seconds * 1000,
                bytes_max=topic.retention_bytes_max,
            ),
            outward=Retention(age_ms=topic.retention_external_seconds * 1000 or None),
            events=observer,
        ),
    )
    base.stack.callback(lot.close)
    base.stack.callback(_stop, workers, base.settings)
    workers.start()


def make_engine(parts: Parts, *, clock: Clock, events: EventSink) -> FlowEngine:
    """The engine of a process, without the threads that run it.

    Args:
        parts: of the process.
        clock: by which flows wait.
        events: told what happened, after it is durable.
    """
    base = parts.base
    return FlowEngine(
        units=parts.store,
        guests=_guests(parts),
        capabilities=parts.capabilities,
        vnodes=parts.nodes,
        packages=parts.catalogue,
        clock=clock,
        time_of_day=base.clock,
        entropy=base.entropy,
        events=SpentAnswers(parts.answers.forget, then=events),
        config=flow_config(base.settings),
        history=history_limits(base.settings),
        quotas=parts.quotas,
        lot=parts.lot,
        audit_logs=parts.audit_logs,
    )


def _only_member(parts: Parts) -> str:
    """A name for the one process that runs flows; whoever still is a member has died."""
    for left in parts.store.members(GROUP):
        parts.store.leave(GROUP, left.member)
    return f"host.{parts.base.entropy.random_bytes(8).hex()}"


def _guests(parts: Parts) -> FlowGuests:
    guests = SandboxedFlows(library=parts.guests)
    if not parts.base.settings.section(FLOW).parked_max:
        return guests
    parking = ParkingFlows(guests)
    parts.base.stack.callback(parking.close)
    return parking


def flow_config(settings: HostSettings) -> FlowConfig:
    """What the settings say about flows."""
    corda, own = settings.section(CORDA_FLOW), settings.section(FLOW)
    external = settings.section(CORDA_EXTERNAL_MESSAGING)
    return FlowConfig(
        max_retry_attempts=corda.processing_max_retry_attempts,
        max_retry_window_ms=corda.processing_max_retry_window_duration,
        max_retry_delay_ms=corda.processing_max_retry_delay,
        max_sleep_ms=corda.processing_max_flow_sleep_duration,
        max_idle_ms=corda.processing_max_idle_time,
        cleanup_ms=corda.processing_cleanup_time,
        session_timeout_ms=corda.session_timeout,
        max_payload_bytes=corda.session_max_payload_size,
        max_message_bytes=settings.section(CORDA_MESSAGING).max_allowed_message_size,
        max_result_bytes=own.result_bytes_max,
        status_retention_ms=settings.section(CORDA_REST).flow_status_cleanup_time_ms,
        hops_max=own.hops_max,
        descendants_max=own.descendants_max,
        external_topic=external.receive_topic_pattern,
        external_active=external.active,
        external_inactive=external.inactive_response_type,
    )


def history_limits(settings: HostSettings) -> HistoryLimits:
    """How much the settings keep of ended flows."""
    flow = settings.section(FLOW)
    return HistoryLimits(
        retention_ms=flow.history_seconds * 1000,
        flows_max=flow.history_flows_max,
        bytes_max=flow.history_bytes_max,
    )


def warm_up_code(parts: Parts) -> None:
    """Have the code of all stored CPIs compiled in the background, before a flow needs it."""
    executor = ThreadPoolExecutor(1, "warm-up")
    parts.base.stack.callback(executor.shutdown, wait=True, cancel_futures=True)
    warm_up(parts.guests, parts.catalogue.all(), executor=executor, report=_log_missing_code)


def _stop(workers: FlowWorkers, settings: HostSettings) -> None:
    """Wait for running steps; one that is cut off is executed again at the next start."""
    seconds = settings.section(WORKERS).stop_seconds_max
    if not workers.stop(seconds):
        _log.warning("flow-steps-cut-off", seconds=seconds)


def _log_missing_code(stored: CpiRecord, refused: HostError | SandboxError) -> None:
    name = f"{stored.identity.name} {stored.identity.version}"
    _log.warning("code-unavailable", cpi=name, code=refused.code, reason=refused.message)
