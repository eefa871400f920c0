"""Timing that can be compared: alternating repeats, medians, and ratios of medians."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure of one benchmark. `ratio` is relative to `against`, larger is better for us."""

    name: str
    value: float
    unit: str
    against: str | None = None
    ratio: float | None = None
    note: str = ""


def seconds_of(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def median_seconds(action: Callable[[], object], *, repeats: int, warm_ups: int = 1) -> float:
    """Median wall time of `action` over `repeats` runs, after `warm_ups` that do not count."""
    for _ in range(warm_ups):
        action()
    return statistics.median(seconds_of(action) for _ in range(repeats))


def latencies(seconds: Sequence[float]) -> str:
    """p50 and p99, as a note."""
    ordered = sorted(seconds)
    middle, late = (1000 * ordered[int(p * (len(ordered) - 1))] for p in (0.5, 0.99))
    return f"p50 {middle:.1f} ms, p99 {late:.1f} ms"


def paired_medians(
    ours: Callable[[], object], theirs: Callable[[], object], *, repeats: int
) -> tuple[float, float]:
    """Medians of two actions run in turn, so that a drifting machine touches both alike."""
    ours()
    theirs()
    pairs = [(seconds_of(ours), seconds_of(theirs)) for _ in range(repeats)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
