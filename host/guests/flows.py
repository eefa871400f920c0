"""`FlowGuests` over the sandbox: a flow's run in a fresh instance, errors in the port's words."""

import json
from typing import assert_never

from host.domain.errors import HostError
from host.domain.packages import CpiRecord, CpkRecord
from host.guests.library import GuestLibrary
from host.guests.limits import limits_of
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    GuestCallError,
    GuestKilledError,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    SuspendFlow,
)
from sandbox.errors import SandboxError
from sandbox.host_calls import GuestError, Suspend
from sandbox.limits import Limits
from sandbox.outcome import Returned, Suspended
from sandbox.world import ALWAYS_GRANTED

_TRACE_LINES_MAX = 50


class SandboxedFlows:
    """Runs flows of stored CPIs. Safe to use from several threads."""

    def __init__(self, *, library: GuestLibrary, limits: Limits) -> None:
        """Take the library of guests and the limits that the host allows a run."""
        self._library = library
        self._limits = limits

    def run(
        self,
        cpi: CpiRecord,
        flow_class: str,
        start: str,
        host: HostCallHandler,
        granted: frozenset[str],
    ) -> GuestOutcome:
        """Run a flow; see `host.ports.guest.FlowGuests.run`."""
        cpk = _cpk_of(cpi, flow_class)
        try:
            # Compiling takes seconds when the cache was lost: not within a host call of the run.
            self._library.prepare(cpi)
            guest = self._library.guest(cpi, cpk)
        except (SandboxError, HostError) as refused:
            raise GuestKilledError(refused.code, refused.message) from refused
        try:
            outcome = guest.call(
                "run",
                start,
                limits=limits_of(cpk, self._limits),
                host=_Translated(host),
                granted=ALWAYS_GRANTED | (granted & frozenset(cpk.capabilities)),
            )
        except SandboxError as refused:  # what the platform's services raise is not the guest's
            raise GuestKilledError(refused.code, refused.message) from refused
        match outcome:
            case Suspended():
                return SuspendedRun()
            case Returned(is_error=True, value=value):
                return _failure(value or "")
            case Returned(value=value):
                return Finished(result=value or "")
            case _:
                assert_never(outcome)


class _Translated:
    """A host call handler of the port, as the sandbox calls it."""

    def __init__(self, host: HostCallHandler) -> None:
        self._host = host

    def __call__(self, interface: str, function: str, request: str) -> str:
        try:
            return self._host(interface, function, request)
        except GuestCallError as refused:
            raise GuestError(refused.payload) from refused
        except SuspendFlow as suspended:
            raise Suspend from suspended


def _cpk_of(cpi: CpiRecord, flow_class: str) -> CpkRecord:
    for cpk in cpi.workflow_cpks():
        if any(flow.name == flow_class for flow in cpk.flows):
            return cpk
    raise GuestKilledError(
        "flow-class-unknown",
        f"CPI {cpi.identity.name} {cpi.identity.version} declares no flow {flow_class!r}",
    )


def _failure(payload: str) -> FlowFailedInGuest:
    """The port's failure out of the guest's `err`; a guest may answer any text."""
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return FlowFailedInGuest(type="flow-failed", message=payload, trace=())
    frames = values.get("trace")
    return FlowFailedInGuest(
        type=str(values.get("type", "flow-failed")),
        message=str(values.get("message", "")),
        trace=tuple(_frame(f) for f in frames[:_TRACE_LINES_MAX])
        if isinstance(frames, list)
        else (),
    )


def _frame(frame: object) -> str:
    if not isinstance(frame, dict):
        return str(frame)
    return f"{frame.get('file')}:{frame.get('line')} {frame.get('function')}"
