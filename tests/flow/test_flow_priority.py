"""Threads whose guests compute for long are lowered, and end; only on Linux."""

import os
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeVar

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.capability_error import CapabilityError
from host.flow.engine.thread_priority import COMPUTED_S_MAX, LOWERED_BY, Computing, is_lowered
from host.guests import flows, sticky_flows
from host.guests.sticky_flows import StickyFlows
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    FlowRun,
    GuestOutcome,
    HostCallHandler,
    SuspendedRun,
    SuspendRun,
    Usage,
    carried,
)
from sandbox.host_calls import LONG
from sandbox.instance import Run
from sandbox.limits import Limits
from sandbox.outcome import Returned
from tests.flow.scripted import Guest
from tests.flow.test_flow_parking import NO_FACTS, Meter
from tests.flow.test_flow_workers import WAIT_S, running

T = TypeVar("T")
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


def test_the_main_thread_is_not_lowered_since_nothing_can_replace_it() -> None:
    """Tests of CorDapps run flows on it, and start processes that inherit its priority."""
    assert threading.current_thread() is threading.main_thread()
    computing, before = Computing(), os.getpriority(os.PRIO_PROCESS, os.getpid())
    over = time.thread_time() + 3 * COMPUTED_S_MAX
    with computing.run():
        computes_until(lambda: time.thread_time() > over)
    assert os.getpriority(os.PRIO_PROCESS, os.getpid()) == before


def test_short_runs_wake_no_other_thread() -> None:
    """Waking the thread that watches them would cost as much as they do."""
    computing = Computing()

    def runs() -> None:
        for _ in range(200):
            with computing.run():
                pass

    on_a_thread(runs)
    assert 1 <= computing.wakings < 20


class ComputesBetweenCalls:
    """Guests that call the host, compute until their thread is lowered, and call it again."""

    def __init__(self) -> None:
        self._computing = Computing()
        self.threads: list[threading.Thread] = []

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        del run
        self.threads.append(threading.current_thread())
        with self._computing.run():
            answers = [host("flow", "first", "{}")]
            computes_until(is_lowered)
            answers.append(host("flow", "second", "{}"))
            with pytest.raises(CapabilityError):
                host("flow", "refused", "{}")
        return Finished(result=" ".join(answers), usage=Usage())


def test_host_calls_of_a_lowered_guest_have_the_usual_priority() -> None:
    """They hold the interpreter and the writer of the store, for which everybody waits."""
    guests, called = ComputesBetweenCalls(), dict[str, tuple[threading.Thread, int]]()

    def host(interface: str, function: str, request: str) -> str:
        del interface, request
        here = threading.current_thread()
        called[function] = (here, priority(here))
        if function == "refused":
            raise CapabilityError("no", "told to refuse")
        return function

    def run() -> None:
        sticky = StickyFlows(guests)
        outcome = sticky.run(NO_FACTS, host)
        assert isinstance(outcome, Finished)
        assert outcome.result == "first second"
        own, usual = threading.current_thread(), priority(threading.current_thread())
        assert called["first"] == (guests.threads[0], usual)
        assert called["second"] == called["refused"] == (own, usual)
        sticky.close()

    on_a_thread(run)
    assert set(called) == {"first", "second", "refused"}


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


class ReadsTexts:
    """Guests on whose thread a short and a long text have to be read, then one that is dropped."""

    def __init__(self) -> None:
        self.read: dict[str, threading.Thread] = {}
        self.own: threading.Thread | None = None
        self.is_over = threading.Event()

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        del run
        self.own = threading.current_thread()
        host.attach(Meter())  # type: ignore[attr-defined]  # `StickyFlows` gives one that waits
        self.read["short"] = carried(host, threading.current_thread, size=LONG)
        self.read["long"] = carried(host, threading.current_thread, size=LONG + 1)
        with pytest.raises(CapabilityError):
            carried(host, _refuse, size=LONG + 1)
        try:
            host("flow", "sleep", "{}")
        except SuspendRun:
            self.read["dropped"] = carried(host, threading.current_thread, size=LONG + 1)
        self.is_over.set()
        return SuspendedRun()


def _refuse() -> None:
    raise CapabilityError("no", "told to refuse")


def _suspend(interface: str, function: str, request: str) -> str:
    del interface, function, request
    raise SuspendRun


def test_long_texts_of_a_lowered_guest_are_read_by_whom_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once its run is dropped, nobody does."""
    monkeypatch.setattr(sticky_flows, "is_lowered", lambda: True)
    guests = ReadsTexts()
    sticky = StickyFlows(guests)
    outcome = sticky.run(NO_FACTS, _suspend)
    assert isinstance(outcome, SuspendedRun)
    assert outcome.parked is not None
    outcome.parked.drop()
    assert guests.is_over.wait(WAIT_S)
    assert guests.read == {
        "short": guests.own,
        "long": threading.current_thread(),
        "dropped": guests.own,
    }
    sticky.close()


class Carrying:
    """A handler that counts what it is given to carry."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.carried = 0

    def __call__(self, interface: str, function: str, request: str) -> str:
        del interface, function
        return self.answer or request

    def carry(self, work: Callable[[], T]) -> T:
        self.carried += 1
        return work()


@pytest.mark.parametrize(
    ("request_size", "answer", "times"),
    [(LONG, "{}", 0), (LONG + 1, "{}", 1), (1, "x" * (LONG + 1), 1), (LONG + 1, "", 2)],
)
def test_long_requests_and_answers_of_host_calls_are_carried(
    request_size: int, answer: str, times: int
) -> None:
    host, asked = Carrying(answer), b"x" * request_size
    run = Run(NoFuel(), limits=Limits(), host=host, granted=frozenset())
    assert run.answer(0, asked) == (True, answer.encode() or asked)
    assert host.carried == times


class NoFuel:
    """The fuel of a run that does not begin."""

    def left(self) -> int:
        return 0

    def stop(self) -> int:
        return 0


class Returning:
    """A library with one guest, which returns a text at once."""

    def __init__(self, *, value: str, is_error: bool) -> None:
        self.returned = Returned(value=value, is_error=is_error, usage=Usage(), receipt="")

    def prepare(self, cpi: object) -> None:
        pass

    def guest(self, *_: object, **__: object) -> "Returning":
        return self

    def call(self, *_: object, **__: object) -> Returned:
        return self.returned


@pytest.mark.parametrize("is_error", [False, True])
@pytest.mark.parametrize(("size", "times"), [(LONG, 0), (LONG + 1, 1)])
def test_long_results_and_failures_are_carried(
    size: int, times: int, is_error: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "_cpk_of", lambda *_: SimpleNamespace(capabilities=()))
    monkeypatch.setattr(flows, "limits_of", lambda *_: Limits())
    library, host = Returning(value="x" * size, is_error=is_error), Carrying("")
    outcome = flows.SandboxedFlows(library=library).run(NO_FACTS, host)  # type: ignore[arg-type]
    assert isinstance(outcome, FlowFailedInGuest if is_error else Finished)
    assert host.carried == times
