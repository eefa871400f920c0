"""What the demonstration prints, and the record that becomes summary.json."""

import io
import json
import resource
import shlex
import threading
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
    """One numbered step: what it showed, how long it took, whether it did what it should.

    Attributes:
        began: seconds of the monotonic clock.
    """

    number: int
    title: str
    began: float
    seconds: float = 0.0
    ok: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class DemoConsole:
    """Prints commands and answers, and keeps the table of steps."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        out: Console | None = None,
        beside: "DemoConsole | None" = None,
    ) -> None:
        self._out = out or Console(highlight=False, soft_wrap=True, quiet=quiet)
        self.lock = threading.Lock() if beside is None else beside.lock
        self.steps: list[StepRecord] = [] if beside is None else beside.steps

    @contextmanager
    def apart(self) -> Iterator["DemoConsole"]:
        """A console for what happens at the same time as other things: it is printed at its end."""
        text = io.StringIO()
        out = Console(
            file=text,
            highlight=False,
            soft_wrap=True,
            force_terminal=self._out.is_terminal,
            width=self._out.width,
        )
        try:
            yield DemoConsole(out=out, beside=self)
        finally:
            with self.lock:
                self._out.file.write("" if self._out.quiet else text.getvalue())

    @contextmanager
    def step(self, title: str) -> Iterator[StepRecord]:
        """Time one step; an exception marks it failed and ends the demonstration."""
        with self.lock:
            record = StepRecord(len(self.steps) + 1, title, began=time.monotonic())
            self.steps.append(record)
        self._out.print(f"\n[bold cyan]{record.number}. {title}[/]")
        try:
            yield record
            record.ok = True
        finally:
            record.seconds = time.monotonic() - record.began

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
        began = min((record.began for record in self.steps), default=0.0)
        total = max((r.began + r.seconds for r in self.steps), default=0.0) - began
        table.add_row("", "from the first to the last; some run together", f"{total:.2f}", "")
        used = processor_seconds()
        table.add_row("", "of processors, by all processes that have ended", f"{used:.2f}", "")
        self._out.print()
        self._out.print(table)
        everything_ok = all(record.ok for record in self.steps) and bool(self.steps)
        document = {
            "ok": everything_ok,
            "seconds": round(total, 3),
            "processorSeconds": round(used, 3),
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


def processor_seconds() -> float:
    """Of this process and of all below it that have ended, which their parents have waited for."""
    both = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
