"""The demonstration as a new user sees it: with empty caches, and once more with what it left."""

import os
import subprocess
import sys

from benchmarks import workshop
from benchmarks.measure import BenchmarkError, Measurement, seconds_of

_CACHE = "CORDBOX_CACHE_DIR"


def first() -> list[Measurement]:
    """Seconds of the first run and of the second one."""
    cold = seconds_of(_run)
    warm = seconds_of(_run)
    return [
        Measurement(
            name="demonstration, first run with empty caches",
            value=cold,
            unit="s",
            against=f"the next run ({warm:.1f} s)",
            ratio=warm / cold,
            note="goal: at most 25 s",
        )
    ]


def _run() -> None:
    folder = workshop.folder()
    words = [sys.executable, "-m", "sample_cordapps.demo", "--folder", str(folder / "demo")]
    # The host of the demonstration finds its cache below the home directory.
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home)}
    environment.pop(_CACHE, None)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"the demonstration failed: {done.stdout[-2000:]}{done.stderr[-500:]}")
