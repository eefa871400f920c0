"""The neighbour: an honest tenant's verifications, one after the other, while attacks run."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

SAMPLES_MIN = 20
"""With fewer runs, nothing is said of the slowest ones."""


def p99(seconds: Sequence[float], samples_min: int = SAMPLES_MIN) -> float | None:
    """The 99th percentile by nearest rank (the slowest of up to 100); None for too few samples."""
    if len(seconds) < samples_min:
        return None
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


class Neighbour:
    """Runs `work` in a thread, again and again, between `with` and its end.

    Args:
        work: what is timed.
        aside: seconds that are not counted, in total up to now, of the thread that calls it.

    Attributes:
        failure: the error that ended the work early; None if there was none.
    """

    def __init__(
        self, work: Callable[[], None], *, aside: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._work = work
        self._aside = aside
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="neighbour", daemon=True)
        self._runs: list[tuple[float, float]] = []
        self._has_run = threading.Condition()
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.is_set():
            started, aside = time.perf_counter(), self._aside()
            try:
                self._work()
            except Exception as failed:  # noqa: BLE001  # reported, whatever it is
                with self._has_run:
                    self.failure = failed
                    self._has_run.notify_all()
                return
            with self._has_run:
                took = time.perf_counter() - started
                self._runs.append((started, took - min(self._aside() - aside, took)))
                self._has_run.notify_all()

    def wait(self, seconds: float) -> None:
        """Let the neighbour work for some time; returns earlier if it stops."""
        self._thread.join(seconds)

    def wait_for(self, runs: int) -> None:
        """Let the neighbour work until it has ended that many runs, or failed."""
        with self._has_run:
            self._has_run.wait_for(lambda: len(self._runs) >= runs or self.failure is not None)

    def between(self, start: float, end: float) -> list[float]:
        """Seconds of the runs that overlap the time from `start` to `end` (`perf_counter`)."""
        found = []
        for started, seconds in reversed(self._runs[:]):
            if started + seconds < start:
                break
            if started <= end:
                found.append(seconds)
        return found
