"""A host whose guests' process is in the middle of a run: tells its process id, and waits to die."""

import sys
from pathlib import Path

from sandbox.isolation.pool import ProcessPool
from sandbox.limits import Limits
from sandbox.runtime import Sandbox
from tests.isolation.conftest import PLAN, Guests


def main(cache_dir: str, *components: str) -> None:
    sandbox = Sandbox(cache_dir=Path(cache_dir))
    pool = ProcessPool(most=1, idle_seconds=600, plan=PLAN)
    found = [sandbox._recall(digest) for digest in components]
    guests = Guests(sandbox, found, pool)

    def host(*_call: str) -> str:
        sys.stdout.write(f"{guests.process().pid}\n")
        sys.stdout.flush()
        return "1"

    busy = "host('flow', 'now', '{}')\nwhile True: pass"
    limits = Limits(fuel_max=2**62, wall_ms_max=600_000)
    guests.workflow().call("run", busy, limits=limits, host=host)


main(*sys.argv[1:])
