"""Audit logs of nodes as text and as JSON."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.nodes.audit_log.problems import Problem
    from host.nodes.audit_log.verification import Verification

_YEAR_10000_MS = 253_402_300_800_000


def line_of(found: "Verification") -> str:
    name = found.holding or "-"
    if found.problem is not None:
        problem = found.problem
        place = f"entry {problem.seq}"
        word = "CUT   " if problem in found.cuts else "BAD   "
        more = f" and {len(found.cuts) - 1} more" if len(found.cuts) > 1 else ""
        return f"{word}{name}  {place}: [{problem.code}] {problem.message}{more} ({found.file})"
    parts = f" in {found.parts} files" if found.parts > 1 else ""
    recovered = f", {found.recovered} recoveries" if found.recovered else ""
    if found.acknowledged:
        recovered += f", {len(found.acknowledged)} cuts acknowledged"
    counted = f", {found.counted} refusals counted beside it" if found.counted else ""
    origins = "".join(f", continues {each.seq}:{each.hash}" for each in found.origins)
    end = "no entry" if found.last is None else f"{found.last.seq}:{found.last.hash}"
    return f"good  {name}  {found.entries} entries{parts}{recovered}{counted}{origins}, ends {end}"


def document_of(found: "Verification") -> Mapping[str, Any]:
    problem = found.problem
    return {
        "file": str(found.file),
        "holding": found.holding,
        "good": problem is None,
        "entries": found.entries,
        "parts": found.parts,
        "recovered": found.recovered,
        "counted": found.counted,
        "authenticated": found.authenticated,
        "anchor": None if found.last is None else f"{found.last.seq}:{found.last.hash}",
        "problem": None if problem is None else problem_of(problem),
        "cuts": [problem_of(cut) for cut in found.cuts],
        "acknowledged": [problem_of(cut) for cut in found.acknowledged],
        "continues": [f"{each.seq}:{each.hash}" for each in found.origins],
    }


def problem_of(problem: "Problem") -> Mapping[str, Any]:
    return {"entry": problem.seq, "code": problem.code, "message": problem.message}


def entry_line(node: str | None, entry: Mapping[str, Any]) -> str:
    head = f"{_time(entry.get('at'))}  {node or '-'}  {entry.get('seq')!s:>6}"
    if entry.get("kind") == "call":
        call = f"{entry.get('flow')}-{entry.get('call')}"
        call += f".{entry['step']}" if "step" in entry else ""
        function = str(entry.get("function"))
        function += f":{entry['operation']}" if "operation" in entry else ""
        return (
            f"{head}  {function}  {entry.get('outcome')}  {entry.get('flowClass')}"
            f"  {call}  {entry.get('request')}"
        )
    return f"{head}  {_text_of(entry)}"


def _time(at: object) -> str:
    """The instant of an entry; what is none as it stands there, since entries are not verified."""
    from datetime import UTC, datetime

    if not isinstance(at, int) or not 0 <= at < _YEAR_10000_MS:
        return str(at)
    moment = datetime.fromtimestamp(at / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text_of(entry: Mapping[str, Any]) -> str:
    """The text of an entry that is not a call."""
    kind = entry.get("kind")
    if kind == "recovery":
        return _recovered(entry)
    calls = f"calls {entry.get('firstCall')} to {entry.get('lastCall')}"
    return {
        "genesis": f"log of {entry.get('x500Name')} in group {entry.get('groupId')} begins",
        "segment": f"log goes on after the entry of hash {entry.get('previous')}",
        "repeats": f"{entry.get('function')}  {entry.get('outcome')}  {entry.get('flow')}"
        f"  {entry.get('count')} more, as in entry {entry.get('of')}: {calls}",
        "archived": f"entries {entry.get('firstSeq')} to {entry.get('lastSeq')} were moved to an"
        f" archive ({entry.get('digest')})",
        "arrived": f"the node came from a cluster where its log ends with"
        f" {entry.get('of')}:{entry.get('ofHash')}",
        "acknowledged": f"{entry.get('user')} acknowledged what entry {entry.get('of')} tells:"
        f" {entry.get('reason')}",
    }.get(str(kind), str(kind))


def _recovered(entry: Mapping[str, Any]) -> str:
    cause = entry.get("cause")
    if cause in {None, "torn-line"}:
        return f"a torn line of {entry.get('bytes')} bytes was cut off ({entry.get('digest')})"
    if cause == "restored":
        return f"the host was restored from a backup ({entry.get('backup')})"
    known = f"audit.head knew {entry.get('headSeq')}:{entry.get('headHash')}"
    if cause == "log-cut":
        return f"the log was cut before this: {known}; explanation: {entry.get('explanation')}"
    return f"the log was replaced: {known}" if cause == "log-replaced" else str(cause)
