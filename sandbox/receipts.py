"""Receipts: the input, the usage and the outcome of a run, in canonical JSON.

A receipt names nothing of the machine, the process, the thread or the time, so equal runs have
equal receipts wherever they take place.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

from sandbox.engine import engine_version, profile_digest
from sandbox.errors import SandboxError
from sandbox.host_calls import RunEndedError, SuspendRun
from sandbox.limits import Limits, Usage
from sandbox.outcome import Outcome, Returned, Suspended
from sandbox.runnable import RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Facts that are known before a run starts.

    Attributes:
        world: of the component.
        component: `SHA-256:HEX` of it, or of the image of Python code.
        runtime: digest of the pinned runtime of an image; None if it is self-contained.
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
    """The receipt as canonical JSON: sorted keys, no spaces, ASCII.

    The parts that many runs have in common are kept as text: a receipt costs about as much as a
    small contract's verification otherwise.
    """
    request = facts.request
    argument = _canonical(text_digest(request.argument))
    return (
        f'{_beginning(facts.world, facts.component, facts.runtime)},"input":'
        f'{{"argument":{argument},"export":{_canonical(request.export)}}},'
        f'"limits":{_limits(request.limits)},"outcome":{_canonical(outcome)},'
        f'"usage":{{"fuel":{usage.fuel},"host_calls":{usage.host_calls},'
        f'"log_bytes":{usage.log_bytes}}},"v":2}}'
    )


@lru_cache(maxsize=256)
def _beginning(world: str, component: str, runtime: str | None) -> str:
    value = {
        "code": {
            "component" if runtime is None else "image": component,
            "runtime": runtime,
            "world": world,
        },
        "engine": {"profile": profile_digest(), "wasmtime": engine_version()},
    }
    return _canonical(value)[:-1]


@lru_cache(maxsize=256)
def _limits(limits: Limits) -> str:
    return _canonical(asdict(limits))


_canonical: Callable[[object], str] = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
"""Shared, since `json.dumps` makes an encoder at each call that does not use the defaults."""


def text_digest(text: str | None) -> str | None:
    """`SHA-256:HEX` of a text's UTF-8; None for no text."""
    if text is None:
        return None
    raw = text.encode("utf-8", "surrogatepass")
    return f"SHA-256:{hashlib.sha256(raw).hexdigest().upper()}"
