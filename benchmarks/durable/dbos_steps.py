"""Durable steps of DBOS over SQLite: `dbos_steps.py FOLDER STEPS FLOWS`, JSON out."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dbos import DBOS

_CLIENTS = 32

_CONFIG = {
    "name": "cordbox-bench",
    "system_database_url": f"sqlite:///{Path(sys.argv[1]) / 'dbos.sqlite'}",
    "run_admin_server": False,
    "log_level": "ERROR",
}


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def steps(count: int) -> int:
    for number in range(count):
        step(number)
    return count


def main() -> None:
    count, flows = int(sys.argv[2]), int(sys.argv[3])
    DBOS(config=_CONFIG)
    DBOS.launch()
    steps(count)
    begun = time.perf_counter()
    steps(count)
    alone = time.perf_counter() - begun
    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(_seconds, range(_CLIENTS)))
        begun = time.perf_counter()
        ended = list(pool.map(_seconds, range(flows)))
        together = time.perf_counter() - begun
    result = {"sequential": count / alone, "concurrent": flows / together, "seconds": ended}
    sys.stdout.write(json.dumps(result) + "\n")
    DBOS.destroy()


def _seconds(_number: int) -> float:
    begun = time.perf_counter()
    DBOS.start_workflow(steps, 1).get_result()
    return time.perf_counter() - begun


main()
