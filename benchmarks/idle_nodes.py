"""What idle virtual nodes cost: making them, memory with few and with many, files, the first flow.

Afterwards: how a host starts with all of them, and how fast it lists them.

`CORDBOX_IDLE_NODES` sets how many there are, 1,000 by default; the goal is 10,000 with flat memory,
a first flow in under 50 ms when the CPI's code is compiled, and a host that is ready in under 3 s.
"""

import gc
import os
import statistics
import time
from functools import partial
from pathlib import Path

from benchmarks import workshop
from benchmarks.engine import Bench, data_directory, running_engine
from benchmarks.measure import Measurement, latencies, median_seconds, seconds_of
from benchmarks.processor import below
from host.domain.ids import short_hash_of
from host.domain.json import JsonObject
from host.domain.vnode import AsyncStatus, VirtualNode

_NODES_DEFAULT = 1_000
_FEW = 200
"""More than are open at once."""
_PROBES = 20
_LISTED = 5
_FLOW = "steps_flows.Steps"
_BODY: JsonObject = {"count": 0}
_POLL_SECONDS = 0.05


def nodes() -> list[Measurement]:
    """An engine with many nodes, then a host with them."""
    count = max(_FEW, int(os.environ.get("CORDBOX_IDLE_NODES", _NODES_DEFAULT)))
    with running_engine(data_directory(), parked=0) as bench:
        _first_flow(bench, bench.node)
        made = _make(bench, 0, _FEW)
        few = _resident_mib()
        made += _make(bench, _FEW, count)
        many = _resident_mib()
        files = _files(bench)
        fresh = [n for n in bench.parts.nodes.all() if n != bench.node][-_PROBES:]
        first = [_first_flow(bench, node) for node in fresh]
        later = [_first_flow(bench, bench.node) for _ in range(_PROBES)]
    return [*_of_engine(count, made, few, many, files, first, later), *_of_host(count)]


def _of_engine(
    count: int,
    made: float,
    few: float,
    many: float,
    files: int,
    first: list[float],
    later: list[float],
) -> list[Measurement]:
    return [
        Measurement(name=f"{count:,} nodes made", value=count / made, unit="nodes/s"),
        Measurement(
            name=f"memory with {count:,} nodes",
            value=many,
            unit="MiB",
            against=f"{_FEW} nodes ({few:.0f} MiB)",
            ratio=few / many,
        ),
        Measurement(name=f"files of {count:,} idle nodes", value=files, unit="files"),
        Measurement(
            name="first flow of an idle node",
            value=statistics.median(first) * 1000,
            unit="ms",
            against="any flow of a busy node",
            ratio=statistics.median(later) / statistics.median(first),
            note=latencies(first),
        ),
    ]


def _of_host(count: int) -> list[Measurement]:
    """Measure a host on the data directory, which has the nodes by now."""
    folder = data_directory().parent.name
    seconds = {}
    started = time.perf_counter()
    with workshop.running_host(folder) as (rest, _host):
        ready = time.perf_counter() - started
        idle = _children_mib(os.getpid())
        for path in ("/virtualnode", "/cpi"):
            get = partial(rest.get, path, show=False)
            seconds[path] = median_seconds(get, repeats=_LISTED)
        listed = _children_mib(os.getpid())
    return [
        Measurement(
            name=f"host ready with {count:,} nodes", value=ready, unit="s", note="goal: under 3 s"
        ),
        *(
            Measurement(name=f"GET {path} with {count:,} nodes", value=taken * 1000, unit="ms")
            for path, taken in seconds.items()
        ),
        Measurement(
            name="memory of the host's processes after lists",
            value=listed,
            unit="MiB",
            against=f"before ({idle:.0f} MiB)",
            ratio=idle / listed,
        ),
    ]


def _make(bench: Bench, start: int, stop: int) -> float:
    """Make nodes with numbers from `start` to before `stop`; seconds until all exist."""
    nodes = bench.parts.nodes
    cpi = short_hash_of(bench.node.cpi_checksum)

    def make() -> None:
        accepted = [
            nodes.create(cpi, f"O=Idle {number}, L=London, C=GB") for number in range(start, stop)
        ]
        for request_id in accepted:
            while nodes.operation(request_id).status is not AsyncStatus.SUCCEEDED:
                time.sleep(_POLL_SECONDS)

    return seconds_of(make)


def _first_flow(bench: Bench, node: VirtualNode) -> float:
    """Seconds from the request to the end of a flow, its node's vault made and opened meanwhile."""

    def run_flow() -> None:
        request_id = bench.start(_FLOW, _BODY, node=node)
        with bench.parts.vaults.read(node.holding.short_hash):
            bench.wait(request_id)

    return seconds_of(run_flow)


def _files(bench: Bench) -> int:
    """Files of nodes, of which none has run but the benchmark's own."""
    return sum(path.is_file() for path in bench.parts.base.directory.virtual_nodes.rglob("*"))


def _resident_mib(pid: int | str = "self") -> float:
    gc.collect()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def _children_mib(parent: int) -> float:
    """Resident memory of all processes below a process."""
    return sum(_resident_mib(pid) for pid in below(parent))
