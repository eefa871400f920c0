"""Timing that can be compared: alternating repeats, medians, and ratios of medians."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


class BenchmarkError(Exception):
    """What was measured did not do what it has to do, so there is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure of one benchmark. `ratio` is relative to `against`, larger is better for us."""

    name: str
    value: float
    unit: str
    against: str | None = None
    ratio: float | None = None
    note: str = ""


def seconds_of(
    action: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Time of one run, by the wall or by another `clock`."""
    started = clock()
    action()
    return clock() - started


def median_seconds(
    action: Callable[[], object],
    *,
    repeats: int,
    warm_ups: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Median time of `action` over `repeats` runs, after `warm_ups` that do not count."""
    for _ in range(warm_ups):
        action()
    return statistics.median(seconds_of(action, clock) for _ in range(repeats))


def medians_in_turn(
    actions: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    each: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """Median wall time of each action, in rounds, so that a drifting machine touches all alike.

    Args:
        actions: what is measured; each is run once before, which does not count.
        rounds: how often all are run.
        each: how often an action is run within a round, if not once.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(rounds):
        for name, action in actions.items():
            seconds[name] += [seconds_of(action) for _ in range((each or {}).get(name, 1))]
    return {name: statistics.median(found) for name, found in seconds.items()}


def latencies(seconds: Sequence[float]) -> str:
    """p50 and p99, as a note."""
    ordered = sorted(seconds)
    middle, late = (1000 * ordered[int(p * (len(ordered) - 1))] for p in (0.5, 0.99))
    return f"p50 {middle:.1f} ms, p99 {late:.1f} ms"


def paired_medians(
    ours: Callable[[], object], theirs: Callable[[], object], *, repeats: int
) -> tuple[float, float]:
    """Medians of two actions run in turn."""
    found = medians_in_turn({"ours": ours, "theirs": theirs}, rounds=repeats)
    return found["ours"], found["theirs"]
