"""From an edited source to its code running in the sandbox: processor and wall-clock time.

Each edit is new, so nothing of it is in any cache; the runtimes are compiled. Against the same
tests of the same sources as plain Python.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks import workshop
from benchmarks.contracts import SAMPLES
from benchmarks.measure import BenchmarkError, Measurement
from benchmarks.processor import used_with_children
from sample_cordapps.demo.processes import cordbox_path

_ROUNDS = 4
_SECONDS_MAX = 300.0
_GOAL = "goal: at most 2 s of processor time"
_MEASURE = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
seconds = time.perf_counter() - begun
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode:
    sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
print(json.dumps([used.ru_utime + used.ru_stime, seconds]))
"""
_numbers = count(1)


def tests() -> list[Measurement]:
    """One test of the new project, by pytest, in the sandbox and natively, in turn."""
    project = workshop.folder() / "hello"
    shutil.copytree(SAMPLES / "hello", project)
    (project / "pytest.ini").write_text("[pytest]\naddopts = -p cordapp_testkit.pytest_plugin\n")
    (source,) = project.glob("workflows/*.py")
    found: dict[str, list[tuple[float, float]]] = {"sandbox": [], "native": []}
    for number in range(_ROUNDS + 1):
        for way, measured in found.items():
            _edit(source)
            taken = _pytest(project, way)
            if number:  # the first compiles the runtimes, if they are not in the cache
                measured.append(taken)
    (cpu, wall), (bare, _) = (_medians(measured) for measured in found.values())
    return [
        Measurement(
            name="edit to a passed test in the sandbox, processor time",
            value=cpu,
            unit="s",
            against=f"the same test natively ({bare:.2f} s)",
            ratio=bare / cpu,
            note=f"{wall:.2f} s by the clock; {_GOAL}",
        )
    ]


def reload() -> list[Measurement]:
    """`cordbox dev`: from the change of a file to the line that the code runs."""
    project = workshop.folder() / "hello-dev"
    shutil.copytree(SAMPLES / "hello", project)
    (source,) = project.glob("workflows/*.py")
    found: list[tuple[float, float]] = []
    with _dev(project) as (process, runs):
        runs()
        for _ in range(_ROUNDS):
            before, begun = used_with_children(process), time.perf_counter()
            _edit(source)
            runs()
            seconds = time.perf_counter() - begun
            after = used_with_children(process)
            found.append((after.cpu_seconds - before.cpu_seconds, seconds))
    cpu, wall = _medians(found)
    return [
        Measurement(
            name="edit to running with `cordbox dev`, processor time",
            value=cpu,
            unit="s",
            note=f"{wall:.2f} s by the clock, host and command together; {_GOAL}",
        )
    ]


def _edit(source: Path) -> None:
    text = source.read_text(encoding="utf-8").partition("\n_EDIT = ")[0]
    source.write_text(f"{text.rstrip()}\n_EDIT = {next(_numbers)}\n", encoding="utf-8")


def _pytest(project: Path, way: str) -> tuple[float, float]:
    """Seconds of processor and of the clock."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", way]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _MEASURE, *words],
        cwd=project,
        # Plugins of this environment are not the product's.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"the test of the project failed: {done.stderr[-2000:]}")
    cpu, wall = json.loads(done.stdout)
    return cpu, wall


@contextmanager
def _dev(project: Path) -> Iterator[tuple[int, "Runs"]]:
    """`cordbox dev` on a project: its process id, and what waits until the code runs."""
    words = [cordbox_path(), "dev", str(project), "--listen", "127.0.0.1:0"]
    log = (workshop.folder() / "dev.log").open("w", encoding="utf-8")
    with log, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            yield process.pid, Runs(process)
        finally:
            process.send_signal(signal.SIGTERM)


class Runs:
    """Waits for the line of `cordbox dev` that tells that the newest code runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self) -> None:
        """Wait for the next such line.

        Raises:
            BenchmarkError: the command told an error, ended, or was silent for too long.
        """
        killer = threading.Timer(_SECONDS_MAX, self._process.kill)
        killer.start()
        try:
            for line in self._process.stdout or ():
                if " runs as CPI " in line:
                    return
                if line.startswith("error["):
                    raise BenchmarkError(line.strip())
        finally:
            killer.cancel()
        raise BenchmarkError("cordbox dev has ended")


def _medians(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    cpu, wall = (statistics.median(values) for values in zip(*found, strict=True))
    return cpu, wall
