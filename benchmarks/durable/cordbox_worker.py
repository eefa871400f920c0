"""A process that runs flows of a data directory that its parent holds, until its input ends.

`cordbox_worker DATA LOCK PARKED`; a line on standard output for each flow that has ended.
"""

import sys
from pathlib import Path

from benchmarks.durable.cordbox_steps import READY
from benchmarks.engine import running_engine
from host.adapters.files.data_directory import DataDirectory


def _tell(request_id: str, status: str) -> None:
    sys.stdout.write(f"{request_id} {status}\n")
    sys.stdout.flush()


def main() -> None:
    held = DataDirectory.inherited(Path(sys.argv[1]), int(sys.argv[2]))
    with running_engine(held, parked=int(sys.argv[3]), tell=_tell):
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
