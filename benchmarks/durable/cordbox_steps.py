"""Durable steps of Cordbox: `cordbox_steps DATA STEPS FLOWS PARKED`, JSON on standard output.

The same program as those of the peers, with a sandbox around every flow. Two processes run flows
over the one store, as a host on two cores does; this one starts the flows.
"""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.engine import Client, Ends, opened
from benchmarks.processor import used
from host.adapters.files.data_directory import DataDirectory

_CLIENTS = 32
_FLOW = "steps_flows.Steps"
_PROCESSES = 2
READY = "ready"


def main() -> None:
    count, flows = int(sys.argv[2]), int(sys.argv[3])
    ends = Ends()
    with ExitStack() as stack:
        held = DataDirectory.hold(Path(sys.argv[1]))
        stack.callback(held.release)
        workers = [_start_worker(held, sys.argv[4], ends, stack) for _ in range(_PROCESSES)]
        client = Client(stack.enter_context(opened(held)), ends)
        alone = [_run(client, count) for _ in range(2)][-1]
        with ThreadPoolExecutor(_CLIENTS) as pool:
            list(pool.map(lambda _: _run(client, 1), range(min(_CLIENTS, flows))))
            before = used(os.getpid(), *workers)
            begun = time.perf_counter()
            ended = list(pool.map(lambda _: _run(client, 1), range(flows)))
            together = time.perf_counter() - begun
        after = used(os.getpid(), *workers)
    result = {
        "sequential": count / alone,
        "concurrent": flows / together,
        "seconds": ended,
        "cpu_ms": 1000 * (after.cpu_seconds - before.cpu_seconds) / flows,
        "faults": (after.faults - before.faults) / flows,
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _run(client: Client, steps: int) -> float:
    return client.wait(client.start(_FLOW, {"count": steps}))


def _start_worker(held: DataDirectory, parked: str, ends: Ends, stack: ExitStack) -> int:
    """Start a process that runs flows, and have it stopped at the end; its id."""
    lock = held.lock_descriptor
    words = [sys.executable, "-m", "benchmarks.durable.cordbox_worker"]
    process = subprocess.Popen(
        [*words, str(held.path), str(lock), parked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[lock],
    )
    stack.enter_context(process)
    assert process.stdin is not None  # asked for above
    stack.callback(process.stdin.close)
    lines = process.stdout
    assert lines is not None  # asked for above
    if lines.readline().strip() != READY:
        raise RuntimeError("a worker process has not started")

    def read() -> None:
        for line in lines:
            ends.tell(*line.split())

    threading.Thread(target=read, daemon=True).start()
    return process.pid


if __name__ == "__main__":
    main()
