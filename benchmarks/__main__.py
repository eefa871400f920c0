"""`python -m benchmarks [SUITE | SUITE.PART ...]`: run, print a table, write build/benchmarks.json.

Exit code 0 if every part gave figures, 1 if one failed, 2 for an unknown name.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measurement
from benchmarks.running import Results, Words, run_parts, words_of
from benchmarks.suites import Part, UnknownPartError, parts

_RESULTS = Path("build/benchmarks.json")
_LOGS = Path("build/benchmarks/logs")
_INTERRUPTED = 130


def main(
    names: Sequence[str], *, words: Words = words_of, written: Path = _RESULTS, logs: Path = _LOGS
) -> int:
    """Run what is named; the exit code."""
    console, results = Console(), Results()
    try:
        wanted = parts(names)
    except UnknownPartError as unknown:
        console.print(str(unknown))
        return 2

    def ended(part: Part) -> None:
        results.write(written)
        failure = results.failures.get(part)
        ending = "done" if failure is None else f"FAILED: {failure.reason} ({failure.log})"
        console.print(f"{part}: {ending}", markup=False, highlight=False)

    code = 0
    try:
        run_parts(wanted, results, logs=logs, ended=ended, words=words)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    console.print(_table(results.figures))
    for part, failure in results.failures.items():
        console.print(f"{part} failed: {failure.reason}", markup=False, highlight=False)
    console.print(f"written: {written}")
    return code or (1 if results.failures else 0)


def _table(figures: dict[Part, list[Measurement]]) -> Table:
    table = Table(title="Benchmarks", title_justify="left")
    for heading in ("suite", "what", "figure", "ratio", "against", "note"):
        table.add_column(heading)
    for part, measured in figures.items():
        for m in measured:
            ratio = "" if m.ratio is None else f"{m.ratio:.1f}x"
            figure = f"{m.value:,.4g} {m.unit}"
            table.add_row(part.suite, m.name, figure, ratio, m.against or "", m.note)
    return table


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
