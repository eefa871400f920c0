"""A run in a process of its own is the same run: outcome, errors, usage and receipt."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sandbox.errors import SandboxError
from sandbox.host_calls import GuestCallError, SuspendRun
from sandbox.limits import Limits
from sandbox.world import World

LIMITS = Limits()
pytestmark = pytest.mark.slow


class Answers:
    """A host with answers of every kind."""

    def __call__(self, interface, function, request):
        if function == "now":
            return '{"now": 1}'
        if function == "random":
            raise GuestCallError('{"code": "no", "message": "none"}')
        if function == "sleep":
            raise SuspendRun
        if function == "context":
            return "x" * 100
        if interface == "log":
            return "null"
        raise ZeroDivisionError("the platform's")


def call(guest, export, code, **options):
    """All that a caller sees of a run."""
    try:
        return guest.call(export, code, **{"limits": LIMITS, **options})
    except SandboxError as refused:
        report = getattr(refused, "report", None)
        return type(refused), refused.message, refused.usage, refused.receipt, report
    except ZeroDivisionError as raised:
        return type(raised), str(raised)


WORKFLOWS = {
    "returns": ("result = 6 * 7", {}),
    "returns much": ("result = 'ä' * 100_000", {}),
    "fails": ("raise ValueError('mine')", {}),
    "asks": ("result = host('flow', 'now', '{}')", {}),
    "is refused": ("""
try:
    host('flow', 'random', '{}')
except HostCallError as refused:
    result = refused.payload
""", {}),
    "is suspended": ("host('flow', 'sleep', '{}')", {}),
    "meets a failure of the platform": ("host('crypto', 'digest', '{}')", {"granted": frozenset({"crypto"})}),
    "asks for what is not granted": ("host('ledger', 'find', '{}')", {}),
    "goes on after a refusal": ("""
for _ in range(3):
    try:
        host('ledger', 'find', '{}')
    except BaseException:
        pass
""", {}),
    "asks too often": ("while True: host('flow', 'now', '{}')", {"limits": Limits(host_calls_max=5)}),
    "asks for too much": ("host('flow', 'context', '{}')", {"limits": Limits(payload_bytes_max=60)}),
    "asks too much": ("host('flow', 'now', 'x' * 2000)", {"limits": Limits(payload_bytes_max=1500)}),
    "answers too much": ("result = 'x' * 2000", {"limits": Limits(payload_bytes_max=1500)}),
    "logs too much": ("while True: host('log', 'write', 'x' * 100)", {"limits": Limits(log_bytes_max=250)}),
    "runs out of fuel": ("while True: pass", {"limits": Limits(fuel_max=10_000_000)}),
    "runs out of memory": ("x = []\nwhile True: x.append(bytes(1 << 20))", {}),
    "runs out of stack": ("f = lambda: f()\nimport sys; sys.setrecursionlimit(10**6); f()", {}),
    "looks for a clock": ("import time; time.time()", {}),
    "looks for files": ("open('/etc/passwd')", {}),
    "is no text": ("\ud800", {}),
    "is too large": ("#" * 2000, {"limits": Limits(payload_bytes_max=1500)}),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_flow_runs_as_it_does_in_the_hosts_process(shared_pool, name):
    code, options = WORKFLOWS[name]
    component = shared_pool.components[1]
    here = shared_pool.sandbox.guest(World.WORKFLOW, component.digest)
    expected = call(here, "run", code, host=Answers(), **options)
    assert call(shared_pool.workflow(), "run", code, host=Answers(), **options) == expected


@pytest.mark.parametrize(
    "code", ["pass", "raise ValueError('no')", "import random; random.random()", "1 / 0"]
)
def test_a_contract_has_the_same_receipt(shared_pool, code):
    here = shared_pool.sandbox.guest(World.CONTRACT, shared_pool.components[0].digest)
    expected = call(here, "verify", code)
    assert call(shared_pool.contract(), "verify", code) == expected


def test_descriptions_are_the_same(shared_pool):
    here = shared_pool.sandbox.guest(World.WORKFLOW, shared_pool.components[1].digest)
    assert call(shared_pool.workflow(), "describe", None) == call(here, "describe", None)


def test_a_deadline_ends_the_run_and_not_the_process(shared_pool):
    shared_pool.workflow().call("run", "result = 1", limits=LIMITS)
    before = shared_pool.process().pid
    limits = Limits(wall_ms_max=20, fuel_max=10**12)
    kind, *_ = call(shared_pool.workflow(), "run", "while True: pass", limits=limits)
    assert kind.code == "deadline-exceeded"
    assert shared_pool.process().pid == before


def test_runs_on_many_threads_keep_to_themselves(shared_pool):
    def one(number):
        asked = []

        def host(interface, function, request):
            asked.append(request)
            return request

        code = f"result = ','.join(host('flow', 'now', str({number} * i)) for i in range(20))"
        outcome = shared_pool.workflow().call("run", code, limits=LIMITS, host=host)
        wanted = [str(number * i) for i in range(20)]
        return outcome.value == ",".join(wanted) and asked == wanted

    with ThreadPoolExecutor(8) as executor:
        assert all(executor.map(one, range(40)))
    assert len({p.pid for _, p in shared_pool.pool.processes()}) == 1


def test_a_contract_runs_while_flows_hold_every_place_of_theirs(shared_pool):
    """As many flows as there are places, each of which waits for a contract of its node."""
    flows = shared_pool.pool.plan.flows
    together = threading.Barrier(flows)

    def host(*_call):
        together.wait()
        shared_pool.contract().call("verify", "pass", limits=LIMITS)
        return "1"

    def one(_):
        return shared_pool.workflow().call(
            "run", "result = host('flow', 'now', '{}')", limits=LIMITS, host=host
        )

    with ThreadPoolExecutor(flows) as executor:
        assert [o.value for o in executor.map(one, range(flows))] == ["1"] * flows


class TestWaiting:
    """Runs whose host lets them wait inside a host call."""

    class Host:
        def __init__(self):
            self.control = None
            self.usages = []

        def attach(self, control):
            self.control = control

        def __call__(self, *call):
            self.usages.append(self.control.usage())
            with self.control.paused():
                self.usages.append(self.control.usage())
            return "1"

    def test_the_clock_stands_still_and_the_usage_is_known(self, shared_pool):
        host = self.Host()
        code = "host('flow', 'now', '{}'); host('log', 'write', 'abc'); result = 'done'"
        outcome = shared_pool.workflow().call("run", code, limits=LIMITS, host=host)
        assert outcome.value == "done"
        assert [(u.host_calls, u.log_bytes) for u in host.usages] == [(1, 0)] * 2 + [(2, 3)] * 2
        assert 0 < host.usages[0].fuel < host.usages[2].fuel < outcome.usage.fuel

    def test_more_than_may_wait_are_not_asked_to(self, shared_pool):
        """The third finds both places for waiting taken, and is a run like any other."""
        attached = []

        def nested(depth):
            class Host:
                def attach(self, _run):
                    attached.append(depth)

                def __call__(self, *_call):
                    return nested(depth - 1) if depth else "1"

            guest = shared_pool.workflow()
            code = "result = host('flow', 'now', '{}')"
            return guest.call("run", code, limits=LIMITS, host=Host()).value

        assert nested(2) == "1"
        assert attached == [2, 1]

    def test_a_waiting_run_does_not_keep_its_process_from_another_node(self, guests_of):
        guests = guests_of(most=1)
        lost = []

        def elsewhere():
            guests.workflow("other").call("run", "result = 1", limits=LIMITS)

        class Away(self.Host):
            def __call__(self, *call):
                with self.control.paused():
                    thread = threading.Thread(target=elsewhere)
                    thread.start()
                    thread.join()
                return "1"

        host = Away()
        code = "result = host('flow', 'now', '{}')"
        try:
            guests.workflow().call("run", code, limits=LIMITS, host=host)
        except SandboxError as error:
            lost.append(error)
        assert [e.code for e in lost] == ["guest-process-lost"]
        assert [key for key, _ in guests.pool.processes()] == ["other"]


def test_limits_are_part_of_the_run(shared_pool):
    small = replace(LIMITS, fuel_max=1000)
    kind, _, usage, *_ = call(shared_pool.workflow(), "run", "result = 1", limits=small)
    assert kind.code == "out-of-fuel"
    assert usage.fuel <= 1000
