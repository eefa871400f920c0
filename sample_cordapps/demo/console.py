"""What the demonstration prints, and the record that becomes summary.json."""

import json
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_SHOWN_CHARACTERS_MAX = 700


class StepFailedError(Exception):
    """A step did something else than it should."""


@dataclass(slots=True)
class StepRecord:
    """One numbered step: what it showed, how long it took, whether it did what it should."""

    number: int
    title: str
    seconds: float = 0.0
    ok: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class DemoConsole:
    """Prints commands and answers, and keeps the table of steps."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = Console(highlight=False, soft_wrap=True, quiet=quiet)
        self.steps: list[StepRecord] = []

    @contextmanager
    def step(self, title: str) -> Iterator[StepRecord]:
        """Time one step; an exception marks it failed and ends the demonstration."""
        record = StepRecord(number=len(self.steps) + 1, title=title)
        self.steps.append(record)
        self._out.print(f"\n[bold cyan]{record.number}. {title}[/]")
        started = time.monotonic()
        try:
            yield record
            record.ok = True
        finally:
            record.seconds = time.monotonic() - started

    def command(self, words: Sequence[str], *, comment: str | None = None) -> None:
        line = shlex.join(words).replace("'$(cat", '"$(cat').replace(")'", ')"')
        self.shell_line(line, comment=comment)

    def shell_line(self, line: str, *, comment: str | None = None) -> None:
        suffix = f"   [dim]# {comment}[/]" if comment else ""
        self._out.print(f"[green]$[/] [bold]{_escaped(line)}[/]{suffix}")

    def answer(self, text: str) -> None:
        """Show what came back, indented and cut to a readable length."""
        shown = text.strip()
        if len(shown) > _SHOWN_CHARACTERS_MAX:
            shown = f"{shown[:_SHOWN_CHARACTERS_MAX]} … ({len(shown)} characters)"
        for line in shown.splitlines() or ["(nothing)"]:
            self._out.print(f"  [dim]{_escaped(line)}[/]")

    def note(self, text: str) -> None:
        self._out.print(f"  {_escaped(text)}")

    def failure(self, text: str) -> None:
        self._out.print(f"[bold red]{_escaped(text)}[/]")

    def summary(self, path: Path, identifiers: dict[str, Any]) -> bool:
        """Print the table of steps, write summary.json; True when every step did what it should."""
        table = Table(title="What was done", title_justify="left")
        table.add_column("#", justify="right")
        table.add_column("step")
        table.add_column("seconds", justify="right")
        table.add_column("")
        for record in self.steps:
            mark = "[green]ok[/]" if record.ok else "[red]FAILED[/]"
            table.add_row(str(record.number), record.title, f"{record.seconds:.2f}", mark)
        total = sum(record.seconds for record in self.steps)
        table.add_row("", "total", f"{total:.2f}", "")
        self._out.print()
        self._out.print(table)
        everything_ok = all(record.ok for record in self.steps) and bool(self.steps)
        document = {
            "ok": everything_ok,
            "seconds": round(total, 3),
            "steps": [
                {
                    "number": r.number,
                    "title": r.title,
                    "seconds": round(r.seconds, 3),
                    "ok": r.ok,
                    "facts": r.facts,
                }
                for r in self.steps
            ],
            "identifiers": identifiers,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        self._out.print(f"written: {path}")
        return everything_ok

    def verdict(self, text: str, *, good: bool) -> None:
        self._out.print(f"[bold {'green' if good else 'red'}]{text}[/]")


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
