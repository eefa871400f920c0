"""The flow engine with its guests, and the threads that run it."""

import structlog

from host.composition.base import Base
from host.composition.capabilities import make_capabilities
from host.composition.nodes import Nodes
from host.composition.storage import Storage
from host.flow.config import FlowConfig
from host.flow.engine import FlowEngine
from host.flow.workers import FlowWorkers
from host.flow_observer import FlowObserver
from host.guests.contracts import SandboxedContracts
from host.guests.flows import SandboxedFlows
from host.settings import HostSettings
from host.spent_answers import SpentAnswers
from sandbox.limits import Limits

_log = structlog.get_logger("cordbox.host")


def start_flows(base: Base, storage: Storage, nodes: Nodes) -> None:
    """Run flows until the host's parts are closed."""
    limits = guest_limits(base.settings)
    contracts = SandboxedContracts(library=nodes.library, limits=limits)
    engine = FlowEngine(
        units=storage.store,
        guests=SandboxedFlows(library=nodes.library, limits=limits),
        capabilities=make_capabilities(base, storage, nodes, contracts),
        vnodes=nodes.nodes,
        packages=nodes.packages,
        clock=base.clock,
        entropy=base.entropy,
        events=SpentAnswers(storage.vaults, then=FlowObserver(base.registry)),
        config=flow_config(base.settings),
    )
    workers = FlowWorkers(
        engine=engine, units=storage.store, clock=base.clock, threads=base.settings.flow_workers
    )
    base.stack.callback(_stop, workers, base.settings)
    workers.start()


def guest_limits(settings: HostSettings) -> Limits:
    """What one sandbox run may use."""
    return Limits(
        fuel_max=settings.guest_fuel_max,
        memory_bytes_max=settings.guest_memory_bytes_max,
        wall_ms_max=settings.guest_wall_ms_max,
    )


def flow_config(settings: HostSettings) -> FlowConfig:
    """What the settings say about flows."""
    return FlowConfig(
        max_retry_attempts=settings.flow_processing_max_retry_attempts,
        max_retry_window_ms=settings.flow_processing_max_retry_window_duration,
        max_retry_delay_ms=settings.flow_processing_max_retry_delay,
        max_sleep_ms=settings.flow_processing_max_flow_sleep_duration,
        max_idle_ms=settings.flow_processing_max_idle_time,
        cleanup_ms=settings.flow_processing_cleanup_time,
        session_timeout_ms=settings.flow_session_timeout,
        max_payload_bytes=settings.flow_session_max_payload_size,
        max_message_bytes=settings.messaging_max_allowed_message_size,
        status_retention_ms=settings.rest_flow_status_cleanup_time_ms,
    )


def _stop(workers: FlowWorkers, settings: HostSettings) -> None:
    """Wait for running steps; one that is cut off is executed again at the next start."""
    if not workers.stop(settings.stop_seconds_max):
        _log.warning("flow-steps-cut-off", seconds=settings.stop_seconds_max)
