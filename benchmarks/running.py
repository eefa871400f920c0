"""Runs the parts of benchmarks one after the other, each in a process, whatever becomes of others.

A part that raises, is killed, brings its process down or exceeds its time is a failure of its own;
its output is kept in a log. What other parts measured stays.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measure import Measurement
from benchmarks.suites import Part

PART_SECONDS_MAX = 7_200
_NO_BYTECODE = frozenset({"PYTHONDONTWRITEBYTECODE"})
_MESSAGE_CHARACTERS_MAX = 300

Words = Callable[[Part, Path], Sequence[str]]
"""The command that runs a part, and writes its figures to the given file."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a part has no figures, and the log of its process."""

    reason: str
    log: Path


@dataclass(slots=True)
class Results:
    """What parts came to, in the order in which they ran."""

    figures: dict[Part, list[Measurement]] = field(default_factory=dict)
    failures: dict[Part, Failure] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write all as JSON: `figures` and `failures`, with suite and part in each."""
        figures = [
            {"suite": part.suite, "part": part.name, **asdict(each)}
            for part, measured in self.figures.items()
            for each in measured
        ]
        failures = [
            {"suite": part.suite, "part": part.name, "reason": each.reason, "log": str(each.log)}
            for part, each in self.failures.items()
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"figures": figures, "failures": failures}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")


def words_of(part: Part, result: Path) -> Sequence[str]:
    """The command that runs a part in a process."""
    return [sys.executable, "-m", "benchmarks.part", part.suite, part.name, str(result)]


def run_parts(
    parts: Sequence[Part],
    results: Results,
    *,
    logs: Path,
    ended: Callable[[Part], None],
    words: Words = words_of,
    seconds_max: float = PART_SECONDS_MAX,
) -> None:
    """Run all parts, and note in `results` what each came to.

    Args:
        parts: in the order in which they run.
        results: receives figures and failures.
        logs: folder for the output of the parts' processes.
        ended: called after each part.
        words: the command of each part.
        seconds_max: a part that takes longer is killed, with the processes that it started.

    Raises:
        KeyboardInterrupt: the part that was running is killed first.
    """
    logs.mkdir(parents=True, exist_ok=True)
    for part in parts:
        log = logs / f"{part}.log"
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "figures.json"
            reason = _run(words(part, result), log, seconds_max)
            if reason is None:
                try:
                    rows = json.loads(result.read_text(encoding="utf-8"))
                    results.figures[part] = [Measurement(**row) for row in rows]
                except (OSError, ValueError, TypeError) as broken:
                    reason = f"no figures: {broken}"
        if reason is not None:
            results.failures[part] = Failure(reason, log)
        ended(part)


def _run(words: Sequence[str], log: Path, seconds_max: float) -> str | None:
    """Run a command with its output in a file; why it failed, None if it did not.

    Its processes write and read compiled modules, as those of an installed product read them:
    compiling the sources at each start would be measured otherwise.
    """
    environment = {name: os.environ[name] for name in os.environ if name not in _NO_BYTECODE}
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            return f"not ended after {seconds_max:g} s"
        finally:
            _kill_group(process)
    if code == 0:
        return None
    said = _last_line(log)
    return said if code == 1 and said else f"{_ending(code)}{': ' + said if said else ''}"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process and of those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[
        :_MESSAGE_CHARACTERS_MAX
    ]
