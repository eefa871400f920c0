"""Callers on threads of their own that share one service for a while."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.measure import BenchmarkError


class Rate(NamedTuple):
    """How fast calls were.

    Attributes:
        per_second: calls, by the clock.
        seconds: that each call took.
        cpu: seconds of processor time of this process for each call: what other processes of a busy
            machine do changes it little.
    """

    per_second: float
    seconds: list[float]
    cpu: float


def rate(threads: int, work: Callable[[int, int], object], *, seconds: float) -> Rate:
    """How fast callers are.

    Args:
        threads: how many callers there are.
        work: called with the caller's number and the number of its call.
        seconds: for so long.

    Raises:
        BenchmarkError: a call failed.
    """
    taken: list[list[float]] = [[] for _ in range(threads)]
    failures: list[Exception] = []
    begun, begun_cpu = time.perf_counter(), time.process_time()

    def call(thread: int) -> None:
        try:
            while (now := time.perf_counter()) - begun < seconds and not failures:
                work(thread, len(taken[thread]))
                taken[thread].append(time.perf_counter() - now)
        except Exception as failed:  # noqa: BLE001  # told to the thread that waits
            failures.append(failed)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    ended, cpu = time.perf_counter(), time.process_time() - begun_cpu
    if failures:
        raise BenchmarkError(f"a call failed: {failures[0]!r}") from failures[0]
    calls = [each for one in taken for each in one]
    return Rate(len(calls) / (ended - begun), calls, cpu / max(1, len(calls)))
