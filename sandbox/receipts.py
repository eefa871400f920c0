"""Receipts: the input, the usage and the outcome of a run, in canonical JSON.

A receipt names nothing of the machine, the process, the thread or the time, so equal runs have
equal receipts wherever they take place.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from sandbox.engine import engine_version, profile_digest
from sandbox.errors import SandboxError
from sandbox.host_calls import RunEndedError, SuspendRun
from sandbox.limits import Usage
from sandbox.outcome import Outcome, Returned, Suspended
from sandbox.runnable import RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Facts that are known before a run starts.

    Attributes:
        world: of the component.
        component: `SHA-256:HEX` of it.
        runtime: digest of the pinned runtime it was derived from, if it was.
        request: the export, its argument and its limits.
    """

    world: str
    component: str
    runtime: str | None
    request: RunRequest


def concluded(
    facts: RunFacts, usage: Callable[[], Usage], perform: Callable[[], tuple[bool, str | None]]
) -> Outcome:
    """Perform a run, and attach its receipt and usage to the outcome or error.

    Args:
        facts: of the run.
        usage: returns what the run has used so far.
        perform: runs it; whether the export answered `ok`, and its text.

    Raises:
        SandboxError, RunEndedError, BaseException: as of `sandbox.runnable.Runnable.run`.
    """
    try:
        is_ok, value = perform()
    except SuspendRun:
        return suspended(facts, usage())
    except SandboxError as exc:
        note_stopped(facts, usage(), exc)
        raise
    except RunEndedError as exc:
        exc.usage = usage()
        raise
    return returned(facts, usage(), value, is_error=not is_ok)


def returned(facts: RunFacts, usage: Usage, value: str | None, *, is_error: bool) -> Returned:
    """The outcome of a run that returned, with its receipt."""
    ending = {"kind": "error" if is_error else "ok", "value": text_digest(value)}
    receipt = receipt_of(facts, usage, ending)
    return Returned(value=value, is_error=is_error, usage=usage, receipt=receipt)


def suspended(facts: RunFacts, usage: Usage) -> Suspended:
    """The outcome of a run that was suspended, with its receipt."""
    return Suspended(usage=usage, receipt=receipt_of(facts, usage, {"kind": "suspended"}))


def note_stopped(facts: RunFacts, usage: Usage, error: SandboxError) -> None:
    """Attach the run's usage and receipt to the error that ended it."""
    error.usage = usage
    error.receipt = receipt_of(facts, usage, {"kind": "stopped", "code": error.code})


def receipt_of(facts: RunFacts, usage: Usage, outcome: Mapping[str, str | None]) -> str:
    """The receipt as canonical JSON: sorted keys, no spaces, ASCII."""
    value = {
        "v": 1,
        "code": {"component": facts.component, "runtime": facts.runtime, "world": facts.world},
        "engine": {"profile": profile_digest(), "wasmtime": engine_version()},
        "input": {
            "export": facts.request.export,
            "argument": text_digest(facts.request.argument),
        },
        "limits": asdict(facts.request.limits),
        "outcome": dict(outcome),
        "usage": asdict(usage),
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def text_digest(text: str | None) -> str | None:
    """`SHA-256:HEX` of a text's UTF-8; None for no text."""
    if text is None:
        return None
    raw = text.encode("utf-8", "surrogatepass")
    return f"SHA-256:{hashlib.sha256(raw).hexdigest().upper()}"
