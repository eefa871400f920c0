"""`FlowGuests` over the sandbox: a flow's run in a fresh instance, errors in the port's words."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import assert_never

from host.domain.errors import HostError, StorageError, UnavailableError
from host.domain.guest_text import (
    GuestTextError,
    check_result,
    checked_json,
    cut_trace,
    mended_json,
)
from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord, CpkRecord
from host.domain.quotas import Quota, RunUsage
from host.guests.library import told_to_tenants
from host.guests.limits import limits_of, limits_of_quota, run_usage
from host.guests.source import GuestSource
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    GuestCallError,
    GuestKilledError,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    SuspendFlow,
    WaitingHandler,
)
from host.thread_priority import Computing
from sandbox.errors import CapabilityNotGrantedError, HostMemoryError, SandboxError
from sandbox.host_calls import GuestError, RunControl, Suspend
from sandbox.outcome import Returned, Suspended
from sandbox.world import ALWAYS_GRANTED


class SandboxedFlows:
    """Runs flows of stored CPIs. Safe to use from several threads."""

    def __init__(self, *, library: GuestSource) -> None:
        """Take the library of guests."""
        self._library = library
        self._computing = Computing()

    def run(
        self,
        cpi: CpiRecord,
        flow_class: str,
        start: str,
        host: HostCallHandler,
        granted: frozenset[str],
        *,
        quota: Quota,
        node: ShortHash | None = None,
    ) -> GuestOutcome:
        """Run a flow; see `host.ports.guest.FlowGuests.run`."""
        cpk = _cpk_of(cpi, flow_class)
        try:
            # Compiling takes seconds when the cache was lost: not within a host call of the run.
            self._library.prepare(cpi)
            guest = self._library.guest(cpi, cpk, node=node)
        except (StorageError, UnavailableError) as failed:
            # The code of one CPI, no outage of the whole store: tried again, but not for ever.
            raise UnavailableError(failed.message, **failed.details) from failed
        except (SandboxError, HostError) as refused:
            raise GuestKilledError(refused.code, told_to_tenants(refused)) from refused
        try:
            with self._computing.run():
                outcome = guest.call(
                    "run",
                    start,
                    limits=limits_of(cpk, limits_of_quota(quota)),
                    host=_Translated(host),
                    granted=ALWAYS_GRANTED | (granted & frozenset(cpk.capabilities)),
                    attach=_attaching(host),
                )
        except _HostEndedRunError as ended:
            if isinstance(ended.cause, GuestKilledError):
                ended.cause.usage = run_usage(ended.usage)
            raise ended.cause from None
        except HostMemoryError as refused:
            raise UnavailableError(refused.message) from refused
        except SandboxError as refused:  # what the platform's services raise is not the guest's
            usage = run_usage(refused.usage)
            denied = refused.function if isinstance(refused, CapabilityNotGrantedError) else None
            raise GuestKilledError(
                refused.code, refused.message, usage=usage, denied=denied
            ) from refused
        usage = run_usage(outcome.usage)
        match outcome:
            case Suspended():
                return SuspendedRun(usage=usage)
            case Returned(is_error=True, value=value):
                return _failure(value or "", usage)
            case Returned(value=value):
                return _finished(value or "", usage)
            case _:
                assert_never(outcome)


class _Control:
    """A sandbox's run, in the port's words."""

    def __init__(self, run: RunControl) -> None:
        self._run = run

    def usage(self) -> RunUsage:
        return run_usage(self._run.usage())

    def memory_bytes(self) -> int:
        return self._run.memory_bytes()

    def paused(self) -> AbstractContextManager[None]:
        return self._run.paused()


def _attaching(host: HostCallHandler) -> Callable[[RunControl], None] | None:
    if not isinstance(host, WaitingHandler):
        return None
    return lambda run: host.attach(_Control(run))


class _HostEndedRunError(SandboxError):
    """Carries what the host raised through the sandbox, which adds what the run used."""

    code = "host-ended-run"

    def __init__(self, cause: Exception) -> None:
        super().__init__("the host ended the run")
        self.cause = cause


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
        except SandboxError:
            raise
        except Exception as failure:
            raise _HostEndedRunError(failure) from failure


def _cpk_of(cpi: CpiRecord, flow_class: str) -> CpkRecord:
    for cpk in cpi.workflow_cpks():
        if any(flow.name == flow_class for flow in cpk.flows):
            return cpk
    raise GuestKilledError(
        "flow-class-unknown",
        f"CPI {cpi.identity.name} {cpi.identity.version} declares no flow {flow_class!r}",
    )


def _finished(result: str, usage: RunUsage) -> Finished:
    """The port's result.

    Raises:
        GuestKilledError: `flow-result-invalid`, the result is JSON that breaks a rule.
    """
    try:
        check_result(result)
    except GuestTextError as exc:
        raise GuestKilledError(
            "flow-result-invalid", f"the flow's result: {exc.message}", usage=usage
        ) from exc
    return Finished(result=result, usage=usage)


def _failure(payload: str, usage: RunUsage) -> FlowFailedInGuest:
    """The port's failure out of the guest's `err`; a guest may answer any text."""
    try:
        values = checked_json(mended_json(payload))
    except GuestTextError:
        values = None
    if not isinstance(values, dict):
        return FlowFailedInGuest(type="flow-failed", message=payload, trace=(), usage=usage)
    frames = values.get("trace")
    return FlowFailedInGuest(
        type=str(values.get("type", "flow-failed")),
        message=str(values.get("message", "")),
        trace=cut_trace(frames, _frame) if isinstance(frames, list) else (),
        usage=usage,
    )


def _frame(frame: object) -> str:
    if not isinstance(frame, dict):
        return str(frame)
    return f"{frame.get('file')}:{frame.get('line')} {frame.get('function')}"
