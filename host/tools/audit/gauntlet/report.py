"""The gauntlet's report: a line for each attack, a summary, or everything as JSON."""

from collections.abc import Iterator

from host.domain.json import JsonObject
from host.domain.printable import printable
from host.guests.limits import LIMITS
from host.tools.audit.gauntlet.model import CONTAINED, Result
from host.tools.audit.gauntlet.runner import Report
from host.tools.audit.model import plain_of
from sandbox.engine import engine_version, profile_digest

HEAD = (
    f"{'stage':<10} {'attack':<22} {'outcome':<9} {'stopped by':<24} {'time':>9} "
    f"{'neighbour p99':>14}"
)
_UNKNOWN = "-"


def line_of(result: Result) -> str:
    """One result as a line of the table."""
    return printable(
        f"{result.stage:<10} {result.name:<22} {_outcome(result):<9} {result.code:<24} "
        f"{milliseconds(result.seconds):>9} {milliseconds(result.neighbour_p99):>14}"
    )


def summary_of(report: Report) -> str:
    """The lines behind the table."""
    return "\n".join(printable(line) for line in _summary(report)) + "\n"


def _outcome(result: Result) -> str:
    if not result.stopped:
        return "ESCAPED"
    return "contained" if result.code == CONTAINED else "stopped"


def _summary(report: Report) -> Iterator[str]:
    stopped = len(report.results) - len(report.escaped)
    yield f"{stopped} of {len(report.results)} attacks stopped in {report.seconds:.1f} s"
    slowest = max(report.results, key=lambda result: result.seconds, default=None)
    if slowest:
        yield f"slowest to stop: {slowest.name}, {milliseconds(slowest.seconds)}"
    yield (
        f"neighbour ({report.neighbour}): p99 {milliseconds(report.neighbour_alone)} alone, "
        f"{milliseconds(report.neighbour_honest)} beside an honest tenant, "
        f"{milliseconds(report.neighbour_beside)} beside the attacks{_ratio(report)}; "
        f"{report.neighbour_runs} runs, "
        f"{'none disturbed' if report.neighbour_failure is None else 'DISTURBED'}"
    )
    if report.neighbour_failure:
        yield f"the neighbour was stopped: {report.neighbour_failure}"
    for result in report.escaped:
        yield f"ESCAPED {result.name} ({result.about}): [{result.code}] {result.message}"


def _ratio(report: Report) -> str:
    """How much worse an attacker is for a neighbour than an honest tenant that works as much."""
    if not report.neighbour_honest or not report.neighbour_beside:
        return ""
    return f" ({report.neighbour_beside / report.neighbour_honest:.2f}x the honest tenant's)"


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds; a dash if there are none."""
    return _UNKNOWN if seconds is None else f"{seconds * 1000:.1f} ms"


def document_of(report: Report) -> JsonObject:
    """Everything as JSON; times in seconds."""
    return {
        "gauntletVersion": 1,
        "held": report.held,
        "engine": {"wasmtime": engine_version(), "profile": profile_digest()},
        "limits": {name: getattr(report.limits, field) for name, field in LIMITS.items()},
        "attacks": len(report.results),
        "stopped": len(report.results) - len(report.escaped),
        "seconds": round(report.seconds, 3),
        "preparationSeconds": round(report.preparation, 3),
        "neighbour": {
            "work": report.neighbour,
            "runs": report.neighbour_runs,
            "p99Alone": report.neighbour_alone,
            "p99BesideHonestTenant": report.neighbour_honest,
            "p99Beside": report.neighbour_beside,
            "failure": report.neighbour_failure,
        },
        "results": plain_of(report.results),
    }
