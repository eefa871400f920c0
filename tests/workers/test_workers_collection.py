"""What a worker has made when it is ready is not searched for cycles any more."""

import subprocess
import sys

_READY = """
import gc
from host.runtime.workers.process import Employment

before = len(gc.get_objects())
Employment.ready(None)  # it needs nothing of the job
left, often = len(gc.get_objects()), gc.get_threshold()[2]
print(before, left, often)
"""


def test_a_worker_that_is_ready_spares_its_objects_from_collection() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _READY], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    before, left, often = map(int, told[-1].split())
    assert before > 20_000
    assert left < before / 20
    assert often > 10, "all objects are searched less often than by default"
