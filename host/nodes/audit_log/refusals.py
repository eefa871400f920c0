"""Equal refusals in a row: the first has an entry, the others are counted. Pure.

The counts are in a file of one page beside the log, `audit.repeats`, which is overwritten with each
refusal: a page that was written to the operating system survives the death of the process. An entry
`repeats` adds them to the log once a minute and when the log is closed. So a minute of refusals
takes a bounded number of entries, however many and however mixed they are: after
`BEGUN_PER_MINUTE_MAX` first ones, all further ones are counted together.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.nodes.audit_log.chain import REPEATS, canonical
from host.ports.audit_log import SUCCEEDED, PrivilegedCall

PAGE_BYTES = 4096
RUNS_MAX = 7
BEGUN_PER_MINUTE_MAX = 100
FLUSH_MS = 60_000
ANY = "*"
"""Key of the run that counts all refusals without a run of their own."""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refusals like that of entry `of`, counted since the last entry that reported them.

    `digest` is a hash chain over the calls and their requests, so that histories can prove them.
    """

    key: str
    of: int
    flow: str
    function: str
    outcome: str
    last_call: int
    count: int = 0
    first_at: int = 0
    last_at: int = 0
    first_call: int = 0
    digest: str = ""


class Runs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The open runs, the least recently used first. `begun`: first refusals since `minute_at`."""

    v: int = 1
    minute_at: int = 0
    begun: int = 0
    runs: tuple[Run, ...] = ()
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """`runs` after a refusal that needs no entry; `is_new` is False for a repeated one."""

    runs: Runs
    is_new: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """`runs` after the entry of a refusal; the counts of `ended` must be reported before it."""

    runs: Runs
    ended: Sequence[Run]


def is_refusal(call: PrivilegedCall) -> bool:
    return call.outcome != SUCCEEDED


def counted(runs: Runs, call: PrivilegedCall, now: EpochMs) -> Counted | None:
    """Count a refusal on an open run; None when it needs an entry of its own."""
    key = _key_of(call)
    found = next((r for r in runs.runs if r.key == key), None)
    if found is None:
        found = next((r for r in runs.runs if r.key == ANY), None)
    elif call.call <= found.last_call:
        return Counted(runs, is_new=False)
    if found is None:
        return None
    more = replace(
        found,
        last_call=call.call,
        count=found.count + 1,
        first_at=found.first_at if found.count else now,
        last_at=now,
        first_call=found.first_call if found.count else call.call,
        digest=_digest(found.digest, call),
    )
    return Counted(replace(runs, runs=(*_without(runs, found), more)), is_new=True)


def begun(
    runs: Runs, call: PrivilegedCall, seq: int, now: EpochMs, *, has_room: bool = True
) -> Begun:
    """Open a run for a refusal that gets entry `seq`.

    Args:
        runs: the open ones.
        call: the refusal.
        seq: number of its entry, after those of `Begun.ended`.
        now: the time.
        has_room: False when the log has reached its limit: all refusals are counted together.
    """
    is_new_minute = not 0 <= now - runs.minute_at < FLUSH_MS
    count = 1 if is_new_minute else runs.begun + 1
    is_flood = count > BEGUN_PER_MINUTE_MAX or not has_room
    kept, ended = list(runs.runs), []
    while len(kept) >= RUNS_MAX:
        ended.append(kept.pop(0))
    ended = [run for run in ended if run.count]
    run = Run(
        key=ANY if is_flood else _key_of(call),
        of=seq + len(ended),
        flow=ANY if is_flood else call.flow_id,
        function=ANY if is_flood else call.function,
        outcome=ANY if is_flood else call.outcome,
        last_call=call.call,
    )
    minute = now if is_new_minute else runs.minute_at
    return Begun(replace(runs, minute_at=minute, begun=count, runs=(*kept, run)), ended)


def due(runs: Runs, now: EpochMs) -> Sequence[Run]:
    """Runs whose counts are at least a minute old."""
    return [r for r in runs.runs if r.count and not 0 <= now - r.first_at < FLUSH_MS]


def reported(runs: Runs, run: Run) -> Runs:
    """`runs` after the entry of `run`. The run continues, except that of a flood, which ends."""
    rest = _without(runs, run)
    if run.key == ANY:
        return replace(runs, runs=rest)
    again = replace(run, count=0, first_at=0, last_at=0, first_call=0, digest="")
    return replace(runs, runs=(*rest, again))


def content(run: Run, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the entry that reports counted refusals."""
    return {
        "kind": REPEATS,
        "at": at,
        "of": run.of,
        "flow": run.flow,
        "function": run.function,
        "outcome": run.outcome,
        "count": run.count,
        "firstAt": run.first_at,
        "lastAt": run.last_at,
        "firstCall": run.first_call,
        "lastCall": run.last_call,
        "digest": run.digest,
    }


def page_bytes(runs: Runs, key: bytes) -> bytes | None:
    """The content of the file; None if its names are too long for a page."""
    signed = replace(runs, mac=_mac(runs, key))
    text = msgspec.json.encode(signed)
    return None if len(text) >= PAGE_BYTES else text.ljust(PAGE_BYTES - 1) + b"\n"


def parse_page(data: bytes, key: bytes) -> Runs | None:
    """The runs of a file; None for one that the host did not make."""
    try:
        runs = msgspec.json.decode(data, type=Runs)
    except (ValueError, RecursionError):
        return None
    return runs if hmac.compare_digest(_mac(runs, key).encode(), runs.mac.encode()) else None


def _without(runs: Runs, run: Run) -> tuple[Run, ...]:
    return tuple(other for other in runs.runs if other.key != run.key)


def _key_of(call: PrivilegedCall) -> str:
    names = (call.cpi, call.flow_class, call.flow_id, call.function, call.outcome)
    return hashlib.sha256("\0".join(names).encode()).hexdigest()


def _digest(before: str, call: PrivilegedCall) -> str:
    text = canonical(
        {
            "before": before,
            "cpi": call.cpi,
            "flow": call.flow_id,
            "flowClass": call.flow_class,
            "call": call.call,
            "function": call.function,
            "request": call.request_digest,
            "outcome": call.outcome,
        }
    )
    return hashlib.sha256(text).hexdigest()


def _mac(runs: Runs, key: bytes) -> str:
    text = b"cordbox audit repeats " + msgspec.json.encode(replace(runs, mac=""))
    return hmac.new(key, text, "sha256").hexdigest()
