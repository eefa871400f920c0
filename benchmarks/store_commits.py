"""Units per second into the flow store, by threads and processes, against bare SQLite commits.

A unit is what a small step writes: it consumes a record, updates a state and publishes a record,
durable when the call returns. The floor is one row per commit on one thread, same settings: a
store beats it only by sharing commits.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import workshop
from benchmarks.flow_steps import commits_per_second
from benchmarks.measure import Measurement
from host.adapters.partitions import queue_of
from host.adapters.sqlite.store import SqliteStore
from host.domain.ids import ShortHash
from host.ports.bus import NewRecord
from host.ports.state import StateWrite
from host.ports.units import Unit
from host.ports.work import Done

_SECONDS = 2.0
_CROWDS = ((1, 1), (1, 2), (1, 8), (1, 32), (2, 1), (2, 8))
"""Processes, and threads in each."""


def crowds() -> list[Measurement]:
    """Rates by processes and threads."""
    floors, rates = [], []
    for processes, threads in _CROWDS:
        # In turn, so that a drifting disk touches both.
        floors.append(commits_per_second())
        rates.append(_rate(processes, threads))
    floor = statistics.median(floors)
    return [
        Measurement(
            name=f"units of {processes} x {threads} threads",
            value=rate,
            unit="units/s",
            against=f"bare commits, synchronous=FULL ({floor:,.0f}/s)",
            ratio=rate / floor,
        )
        for (processes, threads), rate in zip(_CROWDS, rates, strict=True)
    ]


def _rate(processes: int, threads: int) -> float:
    with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
        path = Path(folder) / "flows.sqlite"
        SqliteStore(path).close()
        words = [sys.executable, "-m", "benchmarks.store_commits", str(path), str(threads)]
        begun = [
            subprocess.Popen([*words, str(number)], stdout=subprocess.PIPE, text=True)
            for number in range(processes)
        ]
        return sum(int(one.communicate()[0]) for one in begun) / _SECONDS


def _commit_units(path: Path, threads: int, name: str) -> int:
    """Commit on `threads` threads for a while; how many units there were."""
    store = SqliteStore(path)
    counts = [0] * threads
    until = time.monotonic() + _SECONDS

    def work(thread: int) -> None:
        while time.monotonic() < until:
            store.commit(_unit(store, f"{name}-{thread}", counts[thread]))
            counts[thread] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    store.close()
    return sum(counts)


def _unit(store: SqliteStore, name: str, number: int) -> Unit:
    """A step as flows make it: it does a record, and publishes the next one."""
    record = NewRecord(topic="bench", key=name, value=b"v" * 300, node=ShortHash(name))
    taken = store.take(queue_of(record), 1).records
    return Unit(
        states=(StateWrite(key=name, value=b"x" * 500, expected=number),),
        records=(record,),
        done=tuple(Done(queue=r.queue, positions=(r.position,)) for r in taken),
    )


if __name__ == "__main__":
    sys.stdout.write(str(_commit_units(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
