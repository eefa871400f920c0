"""The life of guests' processes: begun on first use, killed, evicted, idle, orphaned."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.isolation.errors import GuestProcessLostError
from sandbox.limits import Limits
from tests.isolation.conftest import await_death

LIMITS = Limits()
pytestmark = pytest.mark.slow


def number(guests, key="node"):
    guests.contract(key).call("verify", "pass", limits=LIMITS)
    return guests.process(key).pid


def test_no_process_before_the_first_run(guests_of):
    guests = guests_of()
    assert guests.pool.processes() == ()
    first = number(guests)
    assert number(guests) == first
    assert number(guests, "other") != first


@pytest.mark.crash
@pytest.mark.parametrize("number_of_signal", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_costs_its_runs_and_nothing_else(guests_of, number_of_signal):
    guests = guests_of()
    other = number(guests, "other")

    def host(*_call):
        os.kill(guests.process().pid, number_of_signal)
        return "1"

    with pytest.raises(GuestProcessLostError, match=number_of_signal.name):
        guests.workflow().call(
            "run", "host('flow', 'now', '{}'); result = 1", limits=LIMITS, host=host
        )
    assert number(guests) > 0
    assert number(guests, "other") == other


@pytest.mark.crash
def test_a_process_that_was_killed_unused_is_not_used_again(guests_of):
    guests = guests_of()
    before = number(guests)
    os.kill(before, signal.SIGKILL)
    guests.process()._process.wait()
    assert number(guests) != before


def test_the_longest_unused_process_makes_room(guests_of):
    guests = guests_of(most=2)
    first, second = number(guests, "a"), number(guests, "b")
    assert number(guests, "a") == first
    number(guests, "c")
    await_death(second)
    assert [key for key, _ in guests.pool.processes()] == ["a", "c"]
    assert guests.process("a").pid == first


def test_a_busy_process_is_not_taken_from_its_run(guests_of):
    guests = guests_of(most=1)
    begun, go_on = threading.Event(), threading.Event()
    seen = []

    def host(*_call):
        begun.set()
        go_on.wait()
        return "1"

    def run():
        code = "result = host('flow', 'now', '{}')"
        seen.append(guests.workflow("a").call("run", code, limits=LIMITS, host=host).value)

    def other():
        seen.append(number(guests, "b"))

    threads = [threading.Thread(target=run), threading.Thread(target=other)]
    threads[0].start()
    begun.wait()
    threads[1].start()
    assert [key for key, _ in guests.pool.processes()] == ["a"]
    go_on.set()
    for thread in threads:
        thread.join()
    assert seen[0] == "1"
    assert [key for key, _ in guests.pool.processes()] == ["b"]


def test_an_idle_process_ends_and_a_used_one_stays(guests_of):
    now = [0.0]
    guests = guests_of(idle_seconds=60, monotonic=lambda: now[0])
    idle = number(guests, "idle")
    now[0] = 30.0
    used = number(guests, "used")
    now[0] = 60.0
    guests.pool.end_idle()
    await_death(idle)
    assert [key for key, _ in guests.pool.processes()] == ["used"]
    now[0] = 89.0
    guests.pool.end_idle()
    assert guests.process("used").pid == used
    assert number(guests, "idle") != idle


def test_a_running_process_is_never_idle(guests_of):
    now = [0.0]
    guests = guests_of(idle_seconds=60, monotonic=lambda: now[0])

    def host(*_call):
        now[0] += 1000
        guests.pool.end_idle()
        return "1"

    code = "result = host('flow', 'now', '{}')"
    assert guests.workflow().call("run", code, limits=LIMITS, host=host).value == "1"


def test_a_closed_pool_leaves_no_process_and_starts_none(guests_of):
    guests = guests_of()
    pid = number(guests)
    guests.pool.close()
    await_death(pid)
    with pytest.raises(GuestProcessLostError, match="the host stops"):
        number(guests)


def test_threads_that_ask_at_one_time_start_one_process(guests_of):
    guests = guests_of()
    together = threading.Barrier(6)
    pids = []

    def ask():
        together.wait()
        pids.append(number(guests))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 6
    assert len(set(pids)) == 1


def test_the_thread_that_asked_first_may_end(guests_of):
    """The kernel ends a process with the thread that started it: that is never a caller's."""
    guests = guests_of()
    thread = threading.Thread(target=number, args=(guests,))
    thread.start()
    thread.join()
    before = guests.process().pid
    assert number(guests) == before


def test_a_refusal_of_the_code_starts_nothing_and_leaves_no_place_taken(guests_of):
    guests = guests_of(most=1)

    def refuse():
        raise SandboxError("no code")

    good = guests.codes
    guests.codes = refuse
    with pytest.raises(SandboxError, match="no code"):
        number(guests)
    guests.codes = good
    assert number(guests) > 0


@pytest.mark.crash
def test_no_process_outlives_its_host(sandbox, components):
    words = [sys.executable, "-m", "tests.isolation.dying_host", str(sandbox._cache_dir)]
    with subprocess.Popen(
        [*words, *(c.digest for c in components)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as host:
        assert host.stdout is not None
        guests = int(host.stdout.readline())
        descriptor = os.pidfd_open(guests)
        host.kill()
        os.close(descriptor)
        await_death(guests)


def test_a_pool_that_is_closed_starts_nothing_more(guests_of):
    """Whoever was about to start a process is told, and does not wait for ever."""
    guests = guests_of()
    keeper = guests.pool._keeper
    guests.pool.close()
    with pytest.raises(GuestProcessLostError, match="host stops"):
        guests.pool.probe()
    with pytest.raises(GuestProcessLostError, match="host stops"):
        keeper.spawn(["true"], [])
