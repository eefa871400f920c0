"""The one thread that advances engines' epochs while runs are in progress."""

import select
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from wasmtime import Engine

TICK_MS = 10
_IDLE_TICKS = 20
"""Ticks without a run before the thread waits for one: waking it would cost each short run more."""


class Ticker:
    """Advances engines' epochs every `TICK_MS` while a run is in progress, and shortly after.

    The thread has only a weak reference to the ticker between ticks, and ends with it. Guests'
    wall-clock limits depend on the thread: errors while waiting do not end it, and a run restarts
    it if it is gone.
    """

    def __init__(self, *engines: Engine) -> None:
        self._engines = engines
        self._lock = threading.Lock()
        self._runs = 0
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None

    @staticmethod
    def ticks(milliseconds: int) -> int:
        """Epochs until `milliseconds` have certainly passed."""
        return milliseconds // TICK_MS + 1

    def running(self) -> AbstractContextManager[None]:
        """Keep the epoch advancing for the duration of a run."""
        return _Running(self)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Release this run's claim on the advancing epoch, inside a `running` block."""
        self.end()
        try:
            yield
        finally:
            self.begin()

    def begin(self) -> None:
        """A run begins."""
        with self._lock:
            self._runs += 1
            if not self._busy.is_set():
                self._busy.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=_tick, args=(weakref.ref(self), self._busy), daemon=True,
                    name="sandbox-ticker",
                )  # fmt: skip
                self._thread.start()

    def end(self) -> None:
        """A run ends."""
        with self._lock:
            self._runs -= 1

    def rest(self) -> None:
        """Let the thread wait for the next run, unless there is one."""
        with self._lock:
            if self._runs == 0:
                self._busy.clear()

    def has_runs(self) -> bool:
        """Whether a run is in progress."""
        return self._runs > 0

    def advance(self) -> None:
        """Advance each engine's epoch once."""
        for engine in self._engines:
            engine.increment_epoch()


class _Running(AbstractContextManager[None]):
    """A block in which a run is in progress; cheaper than a generator, for every run has one."""

    __slots__ = ("_ticker",)

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker

    def __enter__(self) -> None:
        self._ticker.begin()

    def __exit__(self, *_: object) -> None:
        self._ticker.end()


def _tick(ticker: "weakref.ref[Ticker]", busy: threading.Event) -> None:
    idle = 0
    while True:
        if not busy.wait(timeout=60) and ticker() is None:
            return
        _pause()
        alive = ticker()
        if alive is None:
            return
        alive.advance()
        idle = 0 if alive.has_runs() else idle + 1
        if idle >= _IDLE_TICKS:
            alive.rest()
            idle = 0
        del alive


def _pause() -> None:
    """Wait for a tick, by a second method if the first fails: some clocks make `sleep` fail."""
    try:
        time.sleep(TICK_MS / 1000)
    except OSError:
        with suppress(OSError):
            select.select((), (), (), TICK_MS / 1000)
