"""`FlowGuests` over the sandbox: each run in an instance to itself, errors mapped to the port's."""

import re
from contextlib import suppress
from functools import partial
from typing import assert_never

from host.domain.errors import HostError, StorageError, UnavailableError
from host.domain.failure_lines import lines_of
from host.domain.flow import NO_CODE, stable_code
from host.domain.guest_text import (
    GuestTextError,
    check_result,
    checked_json,
    cut_trace,
    mended_json,
)
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord, CpkRecord
from host.flow.engine.thread_priority import Computing
from host.guests.library import shown_to_tenants
from host.guests.limits import limits_of, limits_of_quota
from host.guests.source import GuestSource
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    FlowRun,
    GuestKilledError,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    Usage,
    carried,
)
from sandbox.errors import CapabilityNotGrantedError, HostMemoryError, SandboxError
from sandbox.host_api import ALWAYS_GRANTED
from sandbox.outcome import Returned, Suspended

_KEBAB = re.compile(r"[a-z][a-z0-9]{0,49}(?:-[a-z0-9]{1,49}){1,8}")
"""A code as guests of other languages write it in `type`; never the name of a class."""
_FAILURE_CHARACTERS_MAX = 256 * 1024


class SandboxedFlows:
    """Runs flows of stored CPIs. Safe to use from several threads."""

    def __init__(self, *, library: GuestSource) -> None:
        """Take the library of guests."""
        self._library = library
        self._computing = Computing()

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        """Run a flow; see `host.ports.guest.FlowGuests.run`."""
        cpi, cpk = run.cpi, _cpk_of(run.cpi, run.flow_class)
        try:
            # Compiling takes seconds if code is not cached: all CPKs are compiled before the run,
            # not during its host calls.
            self._library.prepare(cpi)
            guest = self._library.guest(cpi, cpk, node=run.node)
        except (StorageError, UnavailableError) as failed:
            # Only one CPI's code is affected, not the whole store: a bounded number of retries.
            raise UnavailableError(failed.message, **failed.details) from failed
        except (SandboxError, HostError) as refused:
            raise GuestKilledError(refused.code, shown_to_tenants(refused)) from refused
        try:
            with self._computing.run():
                outcome = guest.call(
                    "run",
                    run.start,
                    limits=limits_of(cpk, limits_of_quota(run.quota)),
                    host=host,
                    granted=ALWAYS_GRANTED | (run.granted & frozenset(cpk.capabilities)),
                )
        except HostMemoryError as refused:
            raise UnavailableError(refused.message) from refused
        except SandboxError as refused:  # not from the platform's services
            denied = refused.function if isinstance(refused, CapabilityNotGrantedError) else None
            raise GuestKilledError(
                refused.code, refused.message, usage=refused.usage, denied=denied
            ) from refused
        usage = outcome.usage
        match outcome:
            case Suspended():
                return SuspendedRun(usage=usage)
            case Returned():
                text = outcome.value or ""
                read = partial(_read, text, usage, is_error=outcome.is_error)
                return carried(host, read, size=len(text))
            case _:
                assert_never(outcome)


def _cpk_of(cpi: CpiRecord, flow_class: str) -> CpkRecord:
    cpk = cpi.flow_cpk(flow_class)
    if cpk is not None:
        return cpk
    raise GuestKilledError(
        "flow-class-unknown",
        f"CPI {cpi.identity.name} {cpi.identity.version} declares no flow {flow_class!r}",
    )


def _read(text: str, usage: Usage, *, is_error: bool) -> GuestOutcome:
    return _failure(text, usage) if is_error else _finished(text, usage)


def _finished(result: str, usage: Usage) -> Finished:
    """The port's result.

    Raises:
        GuestKilledError: `flow-result-invalid`, the result is JSON that breaks a rule.
    """
    try:
        is_json = check_result(result)
    except GuestTextError as exc:
        raise GuestKilledError(
            "flow-result-invalid", f"the flow's result: {exc.message}", usage=usage
        ) from exc
    return Finished(result=result, is_json=is_json, usage=usage)


def _failure(payload: str, usage: Usage) -> FlowFailedInGuest:
    """The port's failure, from the guest's `err`, which may be any text.

    A longer one than the SDK writes is not parsed: only its beginning is kept anyway.
    """
    values = None
    if len(payload) <= _FAILURE_CHARACTERS_MAX:
        with suppress(GuestTextError):
            values = checked_json(mended_json(payload))
    if not isinstance(values, dict):
        return FlowFailedInGuest(type=NO_CODE, message=payload, trace=(), usage=usage)
    return FlowFailedInGuest(
        type=str(values.get("type", NO_CODE)),
        message=str(values.get("message", "")),
        trace=cut_trace(lines_of(values)),
        code=_code(values),
        usage=usage,
    )


def _code(failure: JsonObject) -> str:
    """The failure's code: its member `code`; without that member, a `type` that looks like one."""
    if "code" in failure:
        return stable_code(failure["code"]) or NO_CODE
    kind = failure.get("type")
    return kind if isinstance(kind, str) and _KEBAB.fullmatch(kind) else NO_CODE
