"""`python -m benchmarks [NAME ...]`: run benchmarks, print a table, write build/benchmarks.json."""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measurement

_SUITES = (
    "package_size",
    "package_sign",
    "package_verify",
    "parsers",
    "verification",
    "tenants",
    "boundary",
    "neighbour",
    "flow_steps",
    "durable_steps",
    "store_commits",
    "idle_nodes",
    "host_start",
)
_RESULTS = Path("build/benchmarks.json")


def main(names: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(_SUITES))
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(_SUITES)}")
    console = Console()
    results: dict[str, list[Measurement]] = {}
    for name in names or _SUITES:
        console.print(f"[cyan]{name}[/] …")
        suite: Callable[[], list[Measurement]] = import_module(f"benchmarks.{name}").run
        results[name] = suite()
    console.print(_table(results))
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "suite": s,
            "name": m.name,
            "value": m.value,
            "unit": m.unit,
            "against": m.against,
            "ratio": m.ratio,
            "note": m.note,
        }
        for s, measured in results.items()
        for m in measured
    ]
    _RESULTS.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    console.print(f"written: {_RESULTS}")


def _table(results: dict[str, list[Measurement]]) -> Table:
    table = Table(title="Benchmarks", title_justify="left")
    for heading in ("suite", "what", "figure", "ratio", "against", "note"):
        table.add_column(heading)
    for suite, measured in results.items():
        for m in measured:
            ratio = "" if m.ratio is None else f"{m.ratio:.1f}x"
            table.add_row(suite, m.name, f"{m.value:,.4g} {m.unit}", ratio, m.against or "", m.note)
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
