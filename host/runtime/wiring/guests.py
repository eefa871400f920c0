"""Where the guests of this process run, and the log of the walls around them."""

import structlog

from host.domain.errors import HostError
from host.guests.isolated import IsolatedGuests
from host.guests.library import GuestLibrary
from host.guests.source import GuestSource
from host.runtime.wiring.base import ProcessContext
from host.settings import HostSettings, SettingsInvalidError
from host.settings.live import LiveConfig
from host.settings.sections import FLOW, ISOLATION
from sandbox.errors import SandboxError
from sandbox.isolation.pool import ProcessPool
from sandbox.isolation.process import ProcessPlan
from sandbox.isolation.seal import WALLS, Walls
from sandbox.runtime import Sandbox

_WAITING_MAX = 16
"""Maximum number of flows of one virtual node that stay suspended in their sandboxes."""

_log = structlog.get_logger("cordbox.host")


class IsolationMissingError(HostError):
    """A wall that `isolation_required` names is not available on this machine."""

    code = "isolation-missing"


def make_guests(
    base: ProcessContext, config: LiveConfig, sandbox: Sandbox, library: GuestLibrary
) -> GuestSource:
    """The guests according to the setting `isolation`.

    Raises:
        SettingsInvalidError: `isolation_required` names an unknown wall.
        IsolationMissingError: a required wall is not in place.
    """
    settings = base.settings
    unknown = sorted(set(settings.isolation_required) - set(WALLS))
    if unknown:
        raise SettingsInvalidError(
            f"isolation_required: {unknown[0]!r} is none of {', '.join(WALLS)}"
        )
    if settings.isolation == "shared":
        _report("shared", dict.fromkeys(WALLS, "isolation is shared"), settings)
        return library
    pool = guest_processes(config, restored_instances=settings.restored_instances)
    base.stack.callback(pool.close)
    try:
        walls = pool.probe()
    except SandboxError as failed:
        raise IsolationMissingError(f"isolation = process: {failed.message}") from failed
    _report("process", walls, settings)
    return IsolatedGuests(library=library, sandbox=sandbox, pool=pool)


def guest_processes(config: LiveConfig, *, restored_instances: bool = True) -> ProcessPool:
    """The processes of `isolation = process`; the caller closes them."""
    isolation = config.section(ISOLATION).get()
    return ProcessPool(
        most=isolation.processes_max,
        idle_seconds=isolation.idle_seconds,
        plan=_plan(config, restored_instances=restored_instances),
    )


def _plan(config: LiveConfig, *, restored_instances: bool) -> ProcessPlan:
    """Enough slots that neither a flow nor a contract that it calls waits for one."""
    flow = config.section(FLOW).get()
    waiting = min(flow.parked_max, _WAITING_MAX)
    return ProcessPlan(
        flows=flow.workers + waiting,
        waiting=waiting,
        contracts=flow.workers,
        memory_bytes_max=config.section(ISOLATION).get().memory_bytes_max,
        restored_instances=restored_instances,
    )


def _report(mode: str, walls: Walls, settings: HostSettings) -> None:
    """Log which walls are in place and which are not.

    Raises:
        IsolationMissingError: a required wall is not in place.
    """
    missing = {wall: reason for wall, reason in walls.items() if reason}
    _log.info(
        "isolation",
        mode=mode,
        in_force=[wall for wall in walls if wall not in missing],
        missing=missing if mode == "process" else {},
    )
    for wall in settings.isolation_required:
        if wall in missing:
            raise IsolationMissingError(f"isolation_required: {wall}: {missing[wall]}")
