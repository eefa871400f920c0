"""The thread behind the wall-clock limits of runs outlives what waiting raises."""

import errno
import threading

import pytest

from sandbox import deadline
from sandbox.deadline import Ticker

SECONDS_MAX = 30


class Engine:
    """Counts epochs; `advanced` is set at each."""

    def __init__(self):
        self.epochs = 0
        self.advanced = threading.Event()

    def increment_epoch(self):
        self.epochs += 1
        self.advanced.set()


def fails(_seconds):
    raise OSError(errno.EINVAL, "Invalid argument")


@pytest.fixture
def engine():
    return Engine()


def test_a_clock_that_fails_stops_no_epoch(engine, monkeypatch):
    monkeypatch.setattr(deadline.time, "sleep", fails)
    with Ticker(engine).running():
        for _ in range(2):
            assert engine.advanced.wait(SECONDS_MAX)
            engine.advanced.clear()


def test_a_thread_that_is_gone_is_started_again_by_the_next_run(engine, monkeypatch):
    ticker = Ticker(engine)
    with monkeypatch.context() as patch:
        patch.setattr(deadline, "_tick", lambda *_: None)
        with ticker.running():
            ticker._thread.join(SECONDS_MAX)
    assert engine.epochs == 0
    with ticker.running():
        assert engine.advanced.wait(SECONDS_MAX)


class Rested(Exception):
    """The thread waits for a run."""


class Busy(threading.Event):
    """Raises where the thread would wait."""

    def wait(self, timeout=None):
        if not self.is_set():
            raise Rested
        return True


def test_the_thread_goes_on_for_some_ticks_after_a_run_and_then_waits(engine, monkeypatch):
    monkeypatch.setattr(deadline, "_pause", lambda: None)
    ticker = Ticker(engine)
    ticker._busy = Busy()
    ticker._busy.set()
    with pytest.raises(Rested):
        deadline._tick(lambda: ticker, ticker._busy)
    assert engine.epochs == deadline._IDLE_TICKS


def test_the_thread_does_not_wait_while_a_run_is_in_progress(engine, monkeypatch):
    ticks = iter(range(3 * deadline._IDLE_TICKS))
    ticker = Ticker(engine)
    ticker._busy, ticker._runs = Busy(), 1
    ticker._busy.set()
    monkeypatch.setattr(deadline, "_pause", lambda: next(ticks))
    with pytest.raises(StopIteration):
        deadline._tick(lambda: ticker, ticker._busy)
    assert engine.epochs == 3 * deadline._IDLE_TICKS
