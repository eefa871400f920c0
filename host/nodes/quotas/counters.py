"""Usage of nodes since the last flush, added up in memory. Thread-safe."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from host.domain.ids import EpochMs, ShortHash
from host.domain.quotas import QUOTA_CODES, Hit, NodeUsage, RunCharge

CALL, HIT = "call:", "hit:"


@dataclass(slots=True, kw_only=True)
class Increment:
    """The increment of a counter between two times. Mutable while counting."""

    value: int
    first_at: EpochMs
    last_at: EpochMs


class Counters:
    """Increments by node and counter name since they were last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grown: dict[tuple[ShortHash, str], Increment] = {}

    def add(self, node: ShortHash, values: Mapping[str, int], now: EpochMs) -> None:
        """Add `values`, by counter name; zeros are left out."""
        with self._lock:
            for name, value in values.items():
                if value:
                    self._add(node, name, value, now, now)

    def take(self) -> Mapping[tuple[ShortHash, str], Increment]:
        """All increments since the last `take`; counting restarts from zero."""
        with self._lock:
            taken, self._grown = self._grown, {}
            return taken

    def give_back(self, taken: Mapping[tuple[ShortHash, str], Increment]) -> None:
        """Undo a `take` whose increments could not be stored."""
        with self._lock:
            for (node, name), increment in taken.items():
                self._add(node, name, increment.value, increment.first_at, increment.last_at)

    def _add(
        self, node: ShortHash, name: str, value: int, first_at: EpochMs, last_at: EpochMs
    ) -> None:
        grown = self._grown.get((node, name))
        if grown is None:
            self._grown[node, name] = Increment(value=value, first_at=first_at, last_at=last_at)
            return
        grown.value += value
        grown.first_at = min(grown.first_at, first_at)
        grown.last_at = max(grown.last_at, last_at)


def counters_of(spent: RunCharge) -> Mapping[str, int]:
    """The counters that a run increments."""
    values = {
        "runs": 1,
        "fuel": spent.usage.fuel,
        "wall_ms": spent.wall_ms,
        "host_calls": spent.usage.host_calls,
        "host_call_ms": spent.host_call_ms,
        "log_bytes": spent.usage.log_bytes,
        **{CALL + name: count for name, count in spent.calls.items()},
    }
    if spent.code in QUOTA_CODES:
        values[f"{HIT}{spent.code}"] = 1
    return values


def usage_of(rows: Mapping[str, Increment]) -> NodeUsage:
    """A node's usage, from its counters by name."""
    return NodeUsage(
        **{name: rows[name].value for name in _PLAIN if name in rows},
        calls={
            name.removeprefix(CALL): row.value
            for name, row in sorted(rows.items())
            if name.startswith(CALL)
        },
        hits={
            name.removeprefix(HIT): Hit(count=row.value, last_at=row.last_at)
            for name, row in sorted(rows.items())
            if name.startswith(HIT)
        },
        since=min((row.first_at for row in rows.values()), default=None),
    )


_PLAIN = ("runs", "fuel", "wall_ms", "host_calls", "host_call_ms", "log_bytes")
