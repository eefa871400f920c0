"""Durable steps of Cordbox: `cordbox_steps DATA STEPS FLOWS PARKED`, JSON on standard output.

The same program as those of the peers in `benchmarks/peers`, with a sandbox around every flow.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.engine import Bench, running_engine

_CLIENTS = 32
_FLOW = "steps_flows.Steps"


def main() -> None:
    count, flows, parked = (int(word) for word in sys.argv[2:5])
    with running_engine(Path(sys.argv[1]), parked=parked) as bench:
        _run(bench, 1)
        alone = _run(bench, count) if count else 1.0
        with ThreadPoolExecutor(_CLIENTS) as pool:
            list(pool.map(lambda _: _run(bench, 1), range(min(_CLIENTS, flows))))
            begun = time.perf_counter()
            ended = list(pool.map(lambda _: _run(bench, 1), range(flows)))
            together = time.perf_counter() - begun
    result = {"sequential": count / alone, "concurrent": flows / together, "seconds": ended}
    sys.stdout.write(json.dumps(result) + "\n")


def _run(bench: Bench, steps: int) -> float:
    return bench.wait(bench.start(_FLOW, {"count": steps}))


if __name__ == "__main__":
    main()
