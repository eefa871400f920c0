"""Joins of a dynamic network: what the tenth costs, and what the thousandth.

Two clusters with databases on disk, key stores and all the code of membership, joined by a medium
in memory: links and gateways are measured apart (`benchmarks/links.py`).
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import workshop
from benchmarks.measure import BenchmarkError, Measurement
from host.network.values.p2p_out import P2pOut
from tests.network.dynamic_networks import Cluster, Network, member_name

_FEW, _MANY = 10, 1_000
_AT_ONCE = 100
"""Members that join together until there are so many."""
_MEASURED = 3
_PACKAGES = "package/"


@dataclass(frozen=True, slots=True)
class Join:
    """Seconds of processor time until the member had the list, and until everybody had its own."""

    member: float
    everybody: float
    bytes_each: float


class _Counted(Network):
    """Counts the bytes of packages to others than the newcomer, and keeps no messages."""

    package_bytes = 0
    newcomer = ""

    def _carry(self, source: Cluster, message: P2pOut) -> None:
        super()._carry(source, message)
        self.recorded.clear()
        if message.message_id.startswith(_PACKAGES) and message.target != self.newcomer:
            self.package_bytes += len(message.payload)


def joins() -> list[Measurement]:
    """The 10th join and the 1,000th: of a member whose cluster has the list, and its peers."""
    with tempfile.TemporaryDirectory(dir=workshop.folder()) as folder:
        network = _Counted(Path(folder))
        try:
            few = _measured(network, _FEW)
            many = _measured(network, _MANY)
        finally:
            network.close()
    return [
        Measurement(
            name=f"join number {_MANY:,}, until the member has the list",
            value=1000 * many.member,
            unit="ms",
            against=f"join number {_FEW} ({1000 * few.member:.0f} ms)",
            ratio=few.member / many.member,
            note=f"{many.member / few.member:.1f} times, goal: 2, and at most 5 s; of processor"
            " time, both clusters",
        ),
        Measurement(
            name=f"join number {_MANY:,}, until all {_MANY:,} members have it",
            value=1000 * many.everybody,
            unit="ms",
            against=f"join number {_FEW} ({1000 * few.everybody:.0f} ms)",
            ratio=few.everybody / many.everybody,
            note=f"{1000 * many.everybody / _MANY:.2f} ms and {many.bytes_each:,.0f} bytes for each"
            f" recipient (goal: 2,048 bytes), {1000 * few.everybody / _FEW:.2f} ms and"
            f" {few.bytes_each:,.0f} bytes of few; at most 5 s",
        ),
    ]


def _measured(network: _Counted, count: int) -> Join:
    """The median of joins, of which the last one is number `count`."""
    _grow(network, count - _MEASURED)
    found = [_join(network, number) for number in range(count - _MEASURED, count)]
    return Join(
        statistics.median(each.member for each in found),
        statistics.median(each.everybody for each in found),
        statistics.median(each.bytes_each for each in found),
    )


def _grow(network: _Counted, count: int) -> None:
    """Let members join, many at once, until there are so many."""
    begun = len(network.places) - 1
    for start in range(begun, count, _AT_ONCE):
        for number in range(start, min(count, start + _AT_ONCE)):
            network.join(member_name(number), number % 2)
        network.settle()


def _join(network: _Counted, number: int) -> Join:
    network.newcomer, network.package_bytes = member_name(number), 0
    begun = time.process_time()
    network.join(network.newcomer, number % 2)
    while network.newcomer not in network.members(network.newcomer):
        if not network.step():
            raise BenchmarkError(f"{network.newcomer} did not become a member")
    member = time.process_time() - begun
    network.settle()
    everybody = time.process_time() - begun
    return Join(member, everybody, network.package_bytes / max(1, number))
