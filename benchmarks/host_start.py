"""Time from starting the host's process to its ready line, against importing what it is made of."""

import statistics
import subprocess
import sys
import time

from benchmarks import workshop
from benchmarks.measure import Measurement, median_seconds

_IMPORTS = "import fastapi, uvicorn, sqlalchemy, wasmtime.component, cryptography.x509"


def ready() -> list[Measurement]:
    """Start a host on a new data directory."""
    seconds = []
    for number in range(4):
        started = time.perf_counter()
        with workshop.running_host(f"start-{number}"):
            seconds.append(time.perf_counter() - started)
    floor = median_seconds(
        lambda: subprocess.run([sys.executable, "-c", _IMPORTS], check=True), repeats=3
    )
    ready = statistics.median(seconds[1:])
    return [
        Measurement(
            name="host ready, new data directory",
            value=ready,
            unit="s",
            against=f"importing its libraries ({floor:.2f} s)",
            ratio=floor / ready,
            note="goal: at most 1.2 s",
        )
    ]
