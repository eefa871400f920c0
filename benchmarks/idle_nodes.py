"""What idle virtual nodes cost: making them, memory with few and with many, the first flow of one.

`CORDBOX_IDLE_NODES` sets how many there are, 1,000 by default; the goal is 10,000 with flat memory
and a first flow in under 50 ms when the CPI's code is compiled.
"""

import gc
import os
import statistics
import time
from pathlib import Path

from benchmarks.engine import Bench, data_directory, running_engine
from benchmarks.measure import Measurement, latencies, seconds_of
from host.domain.ids import short_hash_of
from host.domain.json import JsonObject
from host.domain.vnode import VirtualNode

_NODES_DEFAULT = 1_000
_FEW = 200
"""More than are open at once."""
_PROBES = 20
_FLOW = "steps_flows.Steps"
_BODY: JsonObject = {"count": 0}
_POLL_SECONDS = 0.05


def run() -> list[Measurement]:
    count = max(_FEW, int(os.environ.get("CORDBOX_IDLE_NODES", _NODES_DEFAULT)))
    with running_engine(data_directory(), parked=0) as bench:
        _first_flow(bench, bench.node)
        made = _make(bench, 0, _FEW)
        few = _resident_mib()
        made += _make(bench, _FEW, count)
        many = _resident_mib()
        fresh = [n for n in bench.parts.nodes.all() if n != bench.node][-_PROBES:]
        first = [_first_flow(bench, node) for node in fresh]
        later = [_first_flow(bench, bench.node) for _ in range(_PROBES)]
    return [
        Measurement(name=f"{count:,} nodes made", value=count / made, unit="nodes/s"),
        Measurement(
            name=f"memory with {count:,} nodes",
            value=many,
            unit="MiB",
            against=f"{_FEW} nodes ({few:.0f} MiB)",
            ratio=few / many,
        ),
        Measurement(
            name="first flow of an idle node",
            value=statistics.median(first) * 1000,
            unit="ms",
            against="any flow of a busy node",
            ratio=statistics.median(later) / statistics.median(first),
            note=latencies(first),
        ),
    ]


def _make(bench: Bench, start: int, stop: int) -> float:
    """Make nodes with numbers from `start` to before `stop`; seconds until all exist."""
    nodes = bench.parts.nodes
    cpi = short_hash_of(bench.node.cpi_checksum)
    awaited = len(nodes.all()) + stop - start

    def make() -> None:
        for number in range(start, stop):
            nodes.create(cpi, f"O=Idle {number}, L=London, C=GB")
        while len(nodes.all()) < awaited:
            time.sleep(_POLL_SECONDS)

    return seconds_of(make)


def _first_flow(bench: Bench, node: VirtualNode) -> float:
    """Seconds from the request to the end of a flow, its node's vault opened on the way."""

    def run_flow() -> None:
        request_id = bench.start(_FLOW, _BODY, node=node)
        bench.parts.vaults.used_bytes(node.holding.short_hash)
        bench.wait(request_id)

    return seconds_of(run_flow)


def _resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20
