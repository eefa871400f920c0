"""Runs that share the memory of a process: what waits never costs another its run."""

import threading
from dataclasses import replace

import pytest

from host.domain.errors import UnavailableError
from host.guests.flows import SandboxedFlows
from host.guests.isolated import IsolatedGuests, RepeatableGuest
from host.guests.sticky_flows import StickyFlows
from host.ports.guest import Finished, SuspendRun
from sandbox.errors import HostMemoryError, MemoryLimitError
from sandbox.isolation.errors import GuestProcessLostError
from sandbox.isolation.process import ProcessPlan
from sandbox.limits import MIB, Limits
from sandbox.traps import error_of

pytestmark = pytest.mark.slow
FILLS = "x = bytearray(100 << 20); host('flow', 'now', '{}'); result = 'done'"
ROOM_FOR_ONE = ProcessPlan(
    flows=3, waiting=0, contracts=1, memory_bytes_max=190 * MIB, restored_instances=False
)
"""Instances that wait for a run would have room of their own in addition."""
"""More than one run with the limit may have, less than two."""


class Held:
    """A host whose answer waits until a test lets it go."""

    def __init__(self):
        self.asked, self.goes_on = threading.Event(), threading.Event()

    def __call__(self, *_call):
        self.asked.set()
        assert self.goes_on.wait(60)
        return "1"


def answer(*_call):
    return "1"


class Run(threading.Thread):
    """One run on a thread of its own, and how it ended."""

    def __init__(self, guest, code, host):
        super().__init__()
        self.guest, self.code, self.host = guest, code, host
        self.ended = None

    def run(self):
        try:
            self.ended = self.guest.call("run", self.code, limits=Limits(), host=self.host).value
        except Exception as failed:  # noqa: BLE001  # for the test to look at
            self.ended = failed


def beside_another(guests, use):
    """What `use` comes to while a run of the same process holds most of its memory."""
    held = Held()
    other = Run(guests.workflow(), FILLS, held)
    other.start()
    try:
        assert held.asked.wait(60)
        return use(), other
    finally:
        held.goes_on.set()
        other.join(60)


def test_a_run_that_found_no_room_beside_another_is_to_be_repeated(guests_of):
    guests = guests_of(plan=ROOM_FOR_ONE)

    def use():
        with pytest.raises(GuestProcessLostError, match="no memory left"):
            guests.workflow().call("run", FILLS, limits=Limits(), host=answer)

    _, other = beside_another(guests, use)
    assert isinstance(other.ended, GuestProcessLostError), "it went with the process, as it may"
    again = guests.workflow().call("run", FILLS, limits=Limits(), host=answer)
    assert again.value == "done"


def test_a_flow_that_catches_what_the_process_lacked_is_to_be_repeated(guests_of):
    guests = guests_of(plan=ROOM_FOR_ONE)
    code = "x = bytearray(110 << 20); result = 'done'"

    def use():
        with pytest.raises(UnavailableError):
            RepeatableGuest(guests.workflow()).call("run", code, limits=Limits(), host=answer)

    beside_another(guests, use)


def test_a_contract_gets_no_verdict_for_want_of_room(guests_of):
    guests = guests_of(plan=ROOM_FOR_ONE)
    code = "try: x = bytearray(110 << 20)\nexcept MemoryError: raise Refused('{}')"

    def use():
        with pytest.raises(GuestProcessLostError):
            guests.contract().call("verify", code, limits=Limits())

    beside_another(guests, use)
    assert guests.contract().call("verify", code, limits=Limits()).is_error is False


def test_a_run_that_is_alone_has_reached_its_limit(guests_of):
    guests = guests_of(plan=ROOM_FOR_ONE)
    for code in ("bytearray(10**9)", "x = []\nwhile 1: x.append(bytearray(1 << 20))"):
        with pytest.raises(MemoryLimitError):
            guests.workflow().call("run", code, limits=Limits(), host=answer)


def test_a_limit_that_is_reached_beside_another_run_is_the_guests(shared_pool):
    """There is room enough: nobody else is to blame, and nobody else pays."""

    def use():
        with pytest.raises(MemoryLimitError):
            shared_pool.workflow().call("run", "bytearray(10**9)", limits=Limits(), host=answer)

    _, other = beside_another(shared_pool, use)
    assert other.ended == "done"


class Suspending:
    """Answers its first call, then suspends; a handler that may be parked."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def attach(self, run):
        """`StickyFlows` has its own handler in between."""

    def __call__(self, *_call):
        if not self.answers:
            raise SuspendRun
        return self.answers.pop(0)


def test_guests_that_are_parked_leave_room_for_those_that_run(guests_of, components):
    """Parked guests that filled their memory made others fail for good."""
    from tests.isolation.test_isolation_host import ALICE, flow_run, record

    plan = ProcessPlan(flows=8, waiting=6, contracts=1, memory_bytes_max=800 * MIB)
    guests = guests_of(plan=plan)
    flows = SandboxedFlows(library=_Stored(guests))
    parking = StickyFlows(flows)
    cpi = record(components)
    outcomes = [parking.run(flow_run(cpi, FILLS, ALICE), Suspending()) for _ in range(6)]
    parked = [outcome.parked for outcome in outcomes if outcome.parked is not None]
    assert 1 <= len(parked) < 6, "some have a place, the others are suspended as ever"
    for _ in range(3):
        finished = parking.run(flow_run(cpi, FILLS, ALICE), Suspending("1"))
        assert finished == Finished(result="done")
    assert [run.resume(Suspending("1")) for run in parked] == [Finished(result="done")] * len(
        parked
    )
    parking.close()


class Measured:
    """Answers every call; `then` is done in the first, and the run's memory is read after it."""

    def __init__(self, then=lambda: None):
        self.then, self.control, self.seen = then, None, []

    def attach(self, run):
        self.control = run

    def __call__(self, *_call):
        if not self.seen:
            self.then()
        self.seen.append(self.control.memory_bytes())
        return "1"


def test_a_run_is_charged_for_the_memory_that_it_filled_itself(shared_pool):
    """While it waited, another run of its process filled 100 MiB, which the other is charged for."""
    large = Measured()

    def fill():
        done = shared_pool.workflow().call("run", FILLS, limits=Limits(), host=large)
        assert done.value == "done"

    ask = "host('flow', 'now', '{}'); "
    small = Measured(fill)
    code = ask + f"x = b'x' * {20 * MIB}; " + ask + "result = 'done'"
    for beside in (small, Measured()):  # the second uses the connection of the first
        shared_pool.workflow().call("run", code, limits=Limits(), host=beside)
        first, second = beside.seen
        assert 0 < first < 30 * MIB
        assert 18 * MIB < second - first < 32 * MIB
    assert 100 * MIB < large.seen[0] < 140 * MIB


class _Stored(IsolatedGuests):
    """Guests by the place of their CPK, without a library."""

    def __init__(self, guests):
        self.guests = guests

    def prepare(self, cpi):
        """All is compiled."""

    def guest(self, cpi, cpk, *, node=None):
        return RepeatableGuest(self.guests.guest(cpi.cpks.index(cpk), str(node)))


@pytest.mark.parametrize("waiting", [0, 1, 16])
def test_no_more_wait_than_fit_beside_those_that_run(guests_of, waiting):
    plan = ProcessPlan(flows=2 + waiting, waiting=waiting, contracts=2)
    guests = guests_of(plan=plan)
    guests.contract().call("verify", "1", limits=Limits())
    process = guests.process()
    limit = Limits().memory_bytes_max
    with_place = 0
    places = []
    while True:
        place = process.waiting_place(limit)
        if not place.__enter__():
            break
        places.append(place)
        with_place += 1
    assert with_place == min(waiting, 11)
    assert (with_place + 4) * limit <= plan.memory_bytes_max
    for place in places:
        place.__exit__(None, None, None)
    with process.waiting_place(limit) as found:
        assert found is (waiting > 0)
    large = replace(Limits(), memory_bytes_max=1024 * MIB).memory_bytes_max
    with process.waiting_place(large) as found:
        assert not found


def test_what_the_system_refuses_is_told_from_what_a_guest_calls_itself():
    assert isinstance(error_of("Cannot allocate memory (os error 12)"), HostMemoryError)
    forged = "error while executing at wasm backtrace:\n 0: 0x1 - m!f (os error 12)\n wasm trap: x"
    assert not isinstance(error_of(forged), HostMemoryError)
