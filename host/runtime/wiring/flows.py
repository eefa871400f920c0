"""The flow engine with its guests, and the threads that run it."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from host.adapters.os.machine import processors
from host.adapters.os.system import boot_id
from host.domain.errors import HostError
from host.domain.group_members import MemberName
from host.domain.packages import CpiRecord
from host.domain.workers import WorkerKind
from host.flow.core.config import FlowConfig
from host.flow.core.dispatch import rest_factor
from host.flow.core.events import EventSink
from host.flow.core.messages import GROUP
from host.flow.engine.cleanups import CleanupsDone
from host.flow.engine.engine import FlowEngine
from host.flow.engine.flow_time import FlowTime
from host.flow.engine.upkeep import KEEP_ALL, Upkeep
from host.flow.engine.workers import TICK_MS, FlowWorkers
from host.flow.records.history import HistoryLimits
from host.guests.flows import SandboxedFlows
from host.guests.sticky_flows import StickyFlows
from host.guests.warm_up import warm_up
from host.ledger.programs import PROGRAMS
from host.observe.flow_observer import FlowObserver
from host.ports.clock import Clock
from host.ports.groups import Groups
from host.ports.guest import FlowGuests
from host.ports.live import Derived, Live
from host.ports.topics import Retention
from host.runtime.wiring.base import own_host_name
from host.runtime.wiring.parts import Wiring
from host.settings import HostSettings
from host.settings.corda import CordaExternalMessaging, CordaFlow, CordaMessaging, CordaRest
from host.settings.flows import FlowValues
from host.settings.live import LiveConfig
from host.settings.sections import (
    CORDA_EXTERNAL_MESSAGING,
    CORDA_FLOW,
    CORDA_MESSAGING,
    CORDA_REST,
    FLOW,
    TOPIC,
)
from host.vault.idempotency_cleanup import IdempotencyCleanup
from sandbox.errors import SandboxError

_log = structlog.get_logger("cordbox.host")


STALL_MS = 10 * TICK_MS
"""A process that has not read its clock for this long was suspended; that time is not counted."""
RESCAN_MS = 1_000
"""How often a worker process looks for work of other processes without a notification."""


def start_flows(parts: Wiring, *, member: str | None = None) -> None:
    """Run flows until the parts of the process are closed.

    Args:
        parts: the parts of this process.
        member: its name among the processes that run flows; None if there is no other.
    """
    base = parts.base
    observer = FlowObserver(base.registry)
    sticky = parts.sticky
    is_cluster = base.settings.database_url is not None
    has_others = member is not None or is_cluster
    flow_time = FlowTime(
        parts.store.time,
        stall_ms=STALL_MS,
        # The steady clock of a cluster is its database's.
        boot="" if is_cluster else boot_id(),
        has_others=has_others,
    )
    engine = make_engine(parts, clock=flow_time, events=observer)
    threads = parts.config.section(FLOW).get().workers
    processes = base.settings.worker_plan.counts.get(WorkerKind.FLOW, 1)
    workers = FlowWorkers(
        engine=engine,
        units=parts.store,
        clock=flow_time,
        flow_time=flow_time,
        threads=threads,
        rest=rest_factor(threads * processes, processors()),
        member=member or _only_member(parts),
        # Without other processes, nothing is missed.
        rescan_ms=RESCAN_MS if has_others else None,
        upkeep=_upkeep(parts, observer),
    )
    base.stack.callback(sticky.close)
    base.stack.callback(_stop, workers, base.settings)
    workers.start()


def make_engine(parts: Wiring, *, clock: Clock, events: EventSink) -> FlowEngine:
    """The engine of a process, without the threads that run it.

    Args:
        parts: the parts of the process.
        clock: the clock for timers of flows.
        events: receives events after they are durable.
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
        events=CleanupsDone(
            parts.store, then=IdempotencyCleanup(parts.answers.forget, then=events)
        ),
        config=flow_config(parts.config, publishes_statuses=base.settings.has_relay),
        history=history_limits(parts.config),
        quotas=parts.quotas,
        sticky=parts.sticky,
        audit_logs=parts.audit_logs,
        programs=PROGRAMS,
        routes=parts.routes,
        tracer=parts.tracer,
    )


def only_member(groups: Groups, group: str, run: str, *, host: str) -> str:
    """A name for the only process of this `host` in a group; removes members of earlier runs."""
    own = MemberName(host=host, worker="host", pid=os.getpid(), run=run)
    for left in groups.members(group):
        name = MemberName.parse(left.member)
        if name is not None and name.host == own.host:
            groups.leave(group, left.member)
    return str(own)


def _only_member(parts: Wiring) -> str:
    run = parts.base.entropy.random_bytes(8).hex()
    return only_member(parts.store, GROUP, run, host=own_host_name(parts.base.settings))


def _guests(parts: Wiring) -> FlowGuests:
    guests = SandboxedFlows(library=parts.guests)
    if not parts.config.section(FLOW).get().parked_max:
        return guests
    parking = StickyFlows(guests)
    parts.base.stack.callback(parking.close)
    return parking


def flow_config(live: LiveConfig, *, publishes_statuses: bool = False) -> Live[FlowConfig]:
    """The flow configuration from the sections of settings."""
    return Derived(
        partial(_flow_config, publishes_statuses=publishes_statuses),
        live.section(CORDA_FLOW),
        live.section(FLOW),
        live.section(CORDA_EXTERNAL_MESSAGING),
        live.section(CORDA_MESSAGING),
        live.section(CORDA_REST),
    )


def _flow_config(
    corda: CordaFlow,
    own: FlowValues,
    external: CordaExternalMessaging,
    messaging: CordaMessaging,
    rest: CordaRest,
    *,
    publishes_statuses: bool,
) -> FlowConfig:
    return FlowConfig(
        max_retry_attempts=corda.processing_max_retry_attempts,
        max_retry_window_ms=corda.processing_max_retry_window_duration,
        max_retry_delay_ms=corda.processing_max_retry_delay,
        max_sleep_ms=corda.processing_max_flow_sleep_duration,
        max_idle_ms=corda.processing_max_idle_time,
        cleanup_ms=corda.processing_cleanup_time,
        session_timeout_ms=corda.session_timeout,
        max_payload_bytes=corda.session_max_payload_size,
        max_message_bytes=messaging.max_allowed_message_size,
        max_result_bytes=own.result_bytes_max,
        status_retention_ms=rest.flow_status_cleanup_time_ms,
        hops_max=own.hops_max,
        descendants_max=own.descendants_max,
        external_topic=external.receive_topic_pattern,
        external_active=external.active,
        external_inactive=external.inactive_response_type,
        publishes_statuses=publishes_statuses,
    )


def history_limits(live: LiveConfig) -> Live[HistoryLimits]:
    """The limits of the history of ended flows."""
    return Derived(
        lambda flow: HistoryLimits(
            retention_ms=flow.history_seconds * 1000,
            flows_max=flow.history_flows_max,
            bytes_max=flow.history_bytes_max,
        ),
        live.section(FLOW),
    )


def _upkeep(parts: Wiring, observer: FlowObserver) -> Upkeep:
    topic = parts.config.section(TOPIC)
    return Upkeep(
        parts.store,
        parts.store.time,
        Derived(
            lambda kept: Retention(
                age_ms=kept.retention_seconds * 1000, bytes_max=kept.retention_bytes_max
            ),
            topic,
        ),
        # What a relay has not sent is never deleted; it deletes what it has sent.
        outward=KEEP_ALL
        if parts.base.settings.has_relay
        else Derived(
            lambda kept: Retention(age_ms=kept.retention_external_seconds * 1000 or None), topic
        ),
        events=observer,
    )


def warm_up_code(parts: Wiring) -> None:
    """Compile the code of all stored CPIs in the background, before a flow needs it."""
    executor = ThreadPoolExecutor(1, "warm-up")
    parts.base.stack.callback(executor.shutdown, wait=True, cancel_futures=True)
    warm_up(parts.guests, parts.catalogue.all(), executor=executor, report=_log_missing_code)


def _stop(workers: FlowWorkers, settings: HostSettings) -> None:
    """Wait for running steps; an interrupted step is executed again at the next start."""
    seconds = settings.stop_seconds_max
    if not workers.stop(seconds):
        _log.warning("flow-steps-cut-off", seconds=seconds)


def _log_missing_code(stored: CpiRecord, refused: HostError | SandboxError) -> None:
    name = f"{stored.identity.name} {stored.identity.version}"
    _log.warning("code-unavailable", cpi=name, code=refused.code, reason=refused.message)
