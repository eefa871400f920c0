"""Threads whose guests compute for long are lowered, and end; only on Linux."""

import os
import sys
import threading
from collections.abc import Callable

import pytest

from host.adapters.memory.store import MemoryStore
from host.flow.engine.thread_priority import LOWERED_BY, Computing, is_lowered
from tests.flow.scripted import Guest
from tests.flow.test_flow_workers import WAIT_S, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority there")


def priority(thread: threading.Thread) -> int:
    return os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)


def computes_until(reached: Callable[[], bool]) -> None:
    """Compute, and no end of time: the machine may be busy with other things."""
    while not reached():
        sum(range(20_000))


def on_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(6 * WAIT_S)
    assert not thread.is_alive()


def test_a_thread_that_computes_is_lowered_and_one_that_waits_is_not() -> None:
    computing, found = Computing(), []
    over = threading.Event()

    def waits() -> None:
        with computing.run():
            over.wait(6 * WAIT_S)
            found.append(is_lowered())

    def computes() -> None:
        with computing.run():
            computes_until(is_lowered)

    waiting = threading.Thread(target=waits)
    waiting.start()
    on_a_thread(computes)
    over.set()
    waiting.join(WAIT_S)
    assert found == [False]
    assert not is_lowered()


def test_a_pool_replaces_a_thread_that_was_lowered() -> None:
    """By one that is not: threads inherit the priority of who starts them."""
    computing = Computing()
    usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
    lowered: list[threading.Thread] = []
    later: list[bool] = []

    def flow(guest: Guest) -> str:
        with computing.run():
            if guest.body == "long":
                computes_until(is_lowered)
                lowered.append(threading.current_thread())
                assert priority(lowered[0]) == usual + LOWERED_BY
            else:
                later.append(is_lowered())
        return "ended"

    names = [f"short-{number}" for number in range(20)]
    with running(MemoryStore(), {"test.Initiator": flow}) as (network, ended):
        network.start("long", request_id="long")
        assert ended.wait_for("long")
        for name in names:
            network.start("short", request_id=name)
        assert ended.wait_for(*names)
        lowered[0].join(WAIT_S)
        assert not lowered[0].is_alive()
    assert later == [False] * 20
