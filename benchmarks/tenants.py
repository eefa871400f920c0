"""Many tenants at once: 10 to 1,000 live sandboxes in one process, and what each one costs.

Each tenant is a Python contract that has been loaded and called once; all stay alive. The contract
has run before, as on a host in use, so the pages that its runs usually write are known. Against
what the operating system would need instead: a Python process per tenant.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks import contracts, workshop
from benchmarks.contracts import KeptInstance
from benchmarks.measure import Measurement, median_seconds

_GOALS = {10: "0.01 s", 250: "0.2 s", 1_000: "0.8 s"}
_PRIVATE_GOAL = "1,500 KiB"
_RUNS_BEFORE = 3
_MEMORY = Path("/proc/self/smaps_rollup")
_PROCESS = """
import sys
sys.path[:0] = ["sandbox/sdk", "sample_cordapps/iou/contracts"]
import iou_contracts
"""


def live() -> list[Measurement]:
    """Time and memory by the number of tenants."""
    figures: list[Measurement] = []
    for _ in range(_RUNS_BEFORE):
        contracts.verify(contracts.contracts()["Python"], contracts.transaction())
    for count in _GOALS:
        figures += _load(count, median_seconds(_start_process, repeats=5))
    return figures


def _load(count: int, process: float) -> list[Measurement]:
    guest, transaction = contracts.contracts()["Python"], contracts.transaction().encode()
    before = private_bytes()
    started, cpu_before = time.perf_counter(), time.process_time()
    tenants = [KeptInstance(guest) for _ in range(count)]
    for tenant in tenants:
        tenant.verify(transaction)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    after = private_bytes()
    for tenant in tenants:
        tenant.close()
    loaded = Measurement(
        name=f"{count} tenants loaded and called",
        value=seconds,
        unit="s",
        against=f"a Python process per tenant ({process * 1000:.0f} ms each)",
        ratio=process * count / seconds,
        note=f"{cpu:.2f} s of processor time; goal: {_GOALS[count]}",
    )
    if before is None or after is None:
        return [loaded]
    memory = Measurement(
        name=f"private memory of each of {count} tenants",
        value=(after - before) / count / 1024,
        unit="KiB",
        note=f"dirty pages of /proc/self/smaps_rollup; goal: {_PRIVATE_GOAL}",
    )
    return [loaded, memory]


def private_bytes() -> int | None:
    """Dirty memory that this process alone has; None where the system does not tell."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    (line,) = [line for line in lines if line.startswith("Private_Dirty:")]
    return int(line.split()[1]) * 1024


def _start_process() -> None:
    words = [sys.executable, "-I", "-c", _PROCESS]
    subprocess.run(words, check=True, env=workshop.child_environment())
