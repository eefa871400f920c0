"""Guests' processes give way: to their host from the start, to each other as they compute."""

import os
import sys
import threading
from pathlib import Path

import pytest

from sandbox.isolation import priority
from sandbox.isolation.priority import (
    COMPUTED_S_MAX,
    LOWERED_BY,
    MAY_COMPUTE,
    REST_S,
    START_LOWER_BY,
    Use,
    session_nice,
)
from sandbox.limits import Limits
from tests.isolation.conftest import await_death

LIMITS = Limits(fuel_max=10**12, wall_ms_max=110_000, host_calls_max=10**6)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority there")
COMPUTES = """
while host('flow', 'now', '{}') == '1':
    sum(range(20000))
result = 'over'
"""


def threads_of(process):
    """Seconds computed and nice value of each thread, as the kernel tells them."""
    found = []
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        found.append((ticks / os.sysconf("SC_CLK_TCK"), int(fields[16])))
    return found


def nice_values(process):
    return [nice for _, nice in threads_of(process)]


def usual():
    return os.getpriority(os.PRIO_PROCESS, os.getpid())


class Lowered:
    """Has a node's guest compute until the thread that computes it was lowered."""

    def __init__(self, guests, key):
        self.guests, self.key = guests, key
        self.threads = []

    def __call__(self, *_call):
        process = self.guests.process(self.key)
        self.threads = threads_of(process)
        # On a busy machine the thread that loaded the code may have been lowered before.
        _, nice = max(self.threads)
        return "0" if process.is_lowered and nice > usual() + START_LOWER_BY else "1"

    def run(self):
        run = self.guests.workflow(self.key).call("run", COMPUTES, limits=LIMITS, host=self)
        assert run.value == "over"


@LINUX
@pytest.mark.slow
def test_a_process_begins_below_its_host_and_in_a_session_of_its_own(guests_of):
    guests = guests_of()
    guests.contract().call("verify", "pass", limits=LIMITS)
    process = guests.process()
    assert set(nice_values(process)) == {usual() + START_LOWER_BY}
    assert os.getsid(process.pid) == process.pid


@LINUX
@pytest.mark.slow
def test_only_the_thread_that_computes_is_lowered(guests_of):
    guests = guests_of()
    guests.contract("neighbour").call("verify", "pass", limits=LIMITS)
    heavy = Lowered(guests, "heavy")
    heavy.run()
    started, lowest = usual() + START_LOWER_BY, usual() + START_LOWER_BY + LOWERED_BY
    assert max(heavy.threads)[1] == lowest
    if Path("/proc/self/autogroup").exists():
        ours = session_nice(os.getpid())
        assert session_nice(guests.process("neighbour").pid) == min(19, ours + START_LOWER_BY)
        lowered = min(19, ours + START_LOWER_BY + LOWERED_BY)
        assert session_nice(guests.process("heavy").pid) == lowered
    for computed, nice in (*heavy.threads, *threads_of(guests.process("neighbour"))):
        assert nice == started or (nice == lowest and computed >= COMPUTED_S_MAX)
    assert started in [nice for _, nice in heavy.threads]


@pytest.mark.parametrize(
    ("told", "nice"), [("/autogroup-7 nice -5\n", -5), ("/autogroup-1 nice 10\n", 10), ("", 0)]
)
def test_a_process_outside_of_every_session_has_the_usual_nice_value(
    monkeypatch, tmp_path, told, nice
):
    path = tmp_path / "autogroup"
    path.write_text(told, encoding="ascii")
    monkeypatch.setattr(priority, "_session", lambda _: path)
    assert session_nice(1) == nice


@LINUX
@pytest.mark.slow
def test_a_process_that_was_lowered_is_replaced_when_it_has_rested(guests_of):
    now = [0.0]
    guests = guests_of(monotonic=lambda: now[0])
    Lowered(guests, "node").run()
    lowered = guests.process("node").pid
    guests.contract("node").call("verify", "pass", limits=LIMITS)
    assert guests.process("node").pid == lowered
    now[0] = REST_S
    guests.contract("node").call("verify", "pass", limits=LIMITS)
    assert guests.process("node").pid != lowered
    assert not guests.process("node").is_lowered
    assert set(nice_values(guests.process("node"))) == {usual() + START_LOWER_BY}
    await_death(lowered)


@LINUX
@pytest.mark.slow
def test_a_lowered_process_with_a_run_is_not_taken_from_it(guests_of):
    now = [0.0]
    guests = guests_of(monotonic=lambda: now[0])
    Lowered(guests, "node").run()
    lowered = guests.process("node").pid
    begun, go_on = threading.Event(), threading.Event()
    found = []

    def host(*_call):
        begun.set()
        go_on.wait()
        return "1"

    def run():
        code = "result = host('flow', 'now', '{}')"
        found.append(guests.workflow("node").call("run", code, limits=LIMITS, host=host).value)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    now[0] = 2 * REST_S
    guests.contract("node").call("verify", "pass", limits=LIMITS)
    assert guests.process("node").pid == lowered
    go_on.set()
    thread.join()
    assert found == ["1"]


def test_a_thread_that_goes_on_computing_is_too_much():
    use = Use(0.0, 5.0)
    assert not use.is_too_much(0.05, 5.05, wants_more=True)
    assert use.is_too_much(0.15, 5.15, wants_more=True)


def test_a_thread_that_waits_for_a_processor_earns_nothing():
    use = Use(0.0, 0.0)
    looks = [use.is_too_much(n, n * 0.01, wants_more=True) for n in range(1, 13)]
    assert looks == [False] * 10 + [True] * 2


def test_a_thread_may_compute_for_its_part_of_the_time_for_ever():
    use = Use(0.0, 0.0)
    for n in range(1, 10_000):
        now = n * 0.05
        assert not use.is_too_much(now, now * MAY_COMPUTE, wants_more=False)


def test_nothing_is_saved_up():
    use = Use(0.0, 0.0)
    assert not use.is_too_much(1000.0, 0.0, wants_more=False)
    assert use.is_too_much(1000.05, COMPUTED_S_MAX + 0.02, wants_more=True)
