"""The report of a host's gauntlet: a line for each attack, a summary, or everything as JSON."""

from collections.abc import Iterator

from host.domain.json import JsonObject
from host.domain.printable import printable
from host.tools.audit.gauntlet.host_contest import LEAD, WARM_UP, Beside, HostReport
from host.tools.audit.gauntlet.model import CONTAINED
from host.tools.audit.gauntlet.report import milliseconds
from sandbox.engine import engine_version, profile_digest

HEAD = (
    f"{'attack':<26} {'outcome':<9} {'ended by':<28} {'neighbour p50':>13} {'p99':>10} {'flows':>6}"
    f" {'quiet p99':>10} {'ratio':>6} {'memory':>9} {'disk':>9}"
)
_QUIET = "(a quiet host)"
_MIB = 1024 * 1024


def line_of(row: Beside) -> str:
    """One attack as a line of the table."""
    ordered = sorted(row.seconds)
    middle = ordered[len(ordered) // 2] if ordered else None
    return printable(
        f"{row.attack.name if row.attack else _QUIET:<26} {_outcome(row):<9}"
        f" {_codes(row):<28} {milliseconds(middle):>13} {milliseconds(row.p99):>10}"
        f" {len(ordered):>6} {milliseconds(row.quiet_p99):>10} {_ratio(row):>6}"
        f" {row.memory // _MIB:>5} MiB {row.disk // _MIB:>5} MiB"
    )


def summary_of(report: HostReport) -> str:
    """The lines behind the table."""
    return "\n".join(printable(line) for line in _summary(report)) + "\n"


def _outcome(row: Beside) -> str:
    if row.failure is not None:
        return "DISTURBED"
    if row.escaped:
        return "ESCAPED"
    if not row.has_taken_place:
        return "NOT TRIED"
    return "contained" if row.endings.keys() <= {CONTAINED} else "stopped"


def _ratio(row: Beside) -> str:
    return "-" if row.ratio is None else f"{row.ratio:.2f}x"


def _codes(row: Beside) -> str:
    return ", ".join(sorted(row.endings)) or "-"


def _summary(report: HostReport) -> Iterator[str]:
    good = [row for row in report.rows if row.is_good]
    yield f"{len(good)} of {len(report.rows)} attacks stopped in {report.seconds:.0f} s"
    yield (
        f"warm-up: {WARM_UP} flows of each node before, and the neighbour's first {LEAD} flows of"
        " each window, quiet or attacked, are not counted"
    )
    measured = [row for row in report.rows if row.ratio is not None]
    worst = max(measured, key=lambda row: row.ratio or 0.0, default=None)
    if worst is not None and worst.attack is not None:
        yield (
            f"neighbour: p99 {milliseconds(report.quiet.p99)} beside a quiet host; worst beside"
            f" {worst.attack.name}, {_ratio(worst)}"
        )
    for row in (report.quiet, *report.rows):
        name = row.attack.name if row.attack else _QUIET
        if row.failure is not None:
            yield f"DISTURBED beside {name}: {row.failure}"
        elif not row.has_taken_place:
            yield f"NOT TRIED {name}: no flow of it has run ({_codes(row)})"
        for ending in row.escaped:
            yield f"ESCAPED {name}: [{ending.code}] {ending.message}"


def document_of(report: HostReport) -> JsonObject:
    """Everything as JSON; times in seconds, sizes in bytes."""
    return {
        "gauntletVersion": 1,
        "held": report.held,
        "engine": {"wasmtime": engine_version(), "profile": profile_digest()},
        "attacks": len(report.rows),
        "seconds": round(report.seconds, 3),
        "warmUpFlows": {"before": WARM_UP, "eachWindow": LEAD},
        "neighbourP99": report.quiet.p99,
        "results": [_row(row) for row in report.rows],
    }


def _row(row: Beside) -> JsonObject:
    return {
        "name": row.attack.name if row.attack else _QUIET,
        "about": row.attack.about if row.attack else "",
        "stopped": row.is_good,
        "codes": sorted(row.endings),
        "escaped": [f"{ending.code}: {ending.message}" for ending in row.escaped],
        "failure": row.failure,
        "neighbourP99": row.p99,
        "neighbourFlows": len(row.seconds),
        "quietP99": row.quiet_p99,
        "quietFlows": len(row.quiet),
        "ratio": row.ratio,
        "memoryBytes": row.memory,
        "diskBytes": row.disk,
    }
