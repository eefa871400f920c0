"""Nothing that a run leaves behind is found by a later run of the same instance."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import RunError, SandboxError
from sandbox.host_calls import GuestCallError, SuspendRun
from sandbox.images.restored import Keeping
from sandbox.limits import MIB, Limits
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World
from tests.sandbox.ways_to_carry import APP, HIDDEN, WAYS
from tests.support.properties import examples

GUEST = """
import app


class HostCallError(Exception):
    def __init__(self, payload):
        super().__init__(payload)
        self.payload = payload


class Refused(HostCallError):
    pass


class Failed(HostCallError):
    pass


def describe():
    return "{}"


def verify(transaction):
    names = {}
    exec(transaction, names)
    if "found" in names:
        raise Refused(repr(names["found"]))


def run(start, host):
    names = {"host": host, "HostCallError": HostCallError}
    exec(start, names)
    return repr(names.get("found"))
"""
EXPORTS = {World.CONTRACT: "verify", World.WORKFLOW: "run"}
LIMITS = Limits(memory_bytes_max=64 * MIB)


@pytest.fixture(scope="module")
def files(sdk_files):
    return {**sdk_files, "cordapp/guest.py": GUEST, "app.py": APP}


@pytest.fixture(scope="module")
def sdk_files():
    folder = Path("sandbox/sdk/cordapp")
    return {f"cordapp/{path.name}": path.read_text() for path in folder.glob("*.py")}


@pytest.fixture(scope="module")
def keeping(cache_dir):
    found = Sandbox(cache_dir=cache_dir)
    if found._keeping is None:
        pytest.skip("this system does not tell which pages were written")
    yield found
    found._keeping.waiting.close()


@pytest.fixture(scope="module")
def renewing(cache_dir):
    return Sandbox(cache_dir=cache_dir, restored_instances=False)


class Host:
    """Answers each call with its number; raises `ending` at the second."""

    def __init__(self, ending=None):
        self.calls, self._ending = 0, ending

    def __call__(self, interface, function, request):
        self.calls += 1
        if self.calls == 2 and self._ending is not None:
            raise self._ending
        if request == '"refuse"':
            raise GuestCallError('{"code": "no", "message": "no"}')
        return f'"{self.calls}"'


class Guests:
    """A guest whose instances are kept, and the same one with a new instance for each run."""

    def __init__(self, world, keeping, renewing, source):
        self.export = EXPORTS[world]
        digest = keeping.make_image(world, source).digest
        self.kept = keeping.guest(world, digest)
        self.new = renewing.guest(world, digest)
        self.waiting = keeping._keeping.waiting
        self.digest = digest
        self._content = None

    def run(self, guest, code, **how):
        """The receipt, and what the run found or how it was stopped."""
        if self.export == "run":
            how.setdefault("host", Host())
        try:
            outcome = guest.call(self.export, code, limits=how.pop("limits", LIMITS), **how)
        except SandboxError as stopped:
            return stopped.receipt, stopped.code
        return outcome.receipt, getattr(outcome, "value", None)

    def renewed(self, code, **how):
        return self.run(self.new, code, **how)

    def restored(self, code, **how):
        """As `renewed`, in the instance that waits; the memory is compared with the image."""
        if self.instance() is None:  # the test before may have ended it
            self.run(self.kept, "pass")
        before = self.instance()
        result = self.run(self.kept, code, **how)
        after = self.instance()
        assert after is before is not None
        return result

    def instance(self):
        """The one that waits, whose memory is the image."""
        instance = self.waiting.take(self.digest)
        if instance is not None:
            # Views would be compared byte by byte in Python's way, 20 times as slow.
            assert bytes(instance._inner.memory.view()) == self.content()
            self.waiting.give(self.digest, instance)
        return instance

    def content(self):
        if self._content is None:
            self._content = bytes(self.kept.program.content().bytes)
        return self._content

    def warm(self):
        """Let one instance wait that has restored itself some times."""
        for _ in range(4):
            self.run(self.kept, "import app; app.warm = [0] * 1000")
        assert self.instance() is not None


@pytest.fixture(scope="module")
def guests_of(keeping, renewing, files):
    """The guests of a world, made once."""

    @cache
    def make(world):
        source = PythonSource(files, ("app", "cordapp.guest"))
        found = Guests(world, keeping, renewing, source)
        found.warm()
        return found

    return make


@pytest.fixture(scope="module", params=list(World))
def guests(request, guests_of):
    return guests_of(request.param)


@pytest.fixture
def flows(guests_of):
    return guests_of(World.WORKFLOW)


@pytest.mark.parametrize("way", WAYS)
def test_what_one_run_leaves_the_next_does_not_find(guests, way):
    leaves, looks = WAYS[way]
    expected = guests.renewed(looks)
    assert "Error" not in expected[1] or way in HIDDEN, expected
    if way not in HIDDEN:
        assert guests.renewed(f"{leaves}\n{looks}")[1] != expected[1]
    assert guests.restored(leaves) == guests.renewed(leaves)
    assert guests.restored(looks) == expected


def test_there_are_at_least_sixty_ways():
    assert len(WAYS) >= 60


def test_another_tenants_code_finds_nothing(keeping, renewing, files, guests):
    """Two CorDapps of one runtime in one process, in turn."""
    world = guests.kept.component.world
    changed = {**files, "app.py": APP + "\nOTHER = 1\n"}
    other = Guests(world, keeping, renewing, PythonSource(changed, ("app", "cordapp.guest")))
    other.warm()
    assert other.digest != guests.digest
    for way in list(WAYS)[::8]:
        leaves, looks = WAYS[way]
        assert guests.restored(leaves) == guests.renewed(leaves)
        assert other.restored(looks) == other.renewed(looks)


FAILING = {
    "trap": "import os\nos.abort()",
    "fuel": "while True: pass",
    "stack": "import sys\nsys.setrecursionlimit(10**8)\ndef f(): f()\nf()",
    "grown memory": "x = bytearray(30 * 2**20)\nimport app; app.x = x",
}


@pytest.mark.parametrize("failure", FAILING)
def test_an_instance_that_was_stopped_or_has_grown_serves_no_further_run(guests, failure):
    limits = Limits(memory_bytes_max=64 * MIB, fuel_max=300_000_000)
    before = guests.instance()
    assert guests.run(guests.kept, FAILING[failure], limits=limits) == guests.renewed(
        FAILING[failure], limits=limits
    )
    assert guests.waiting.take(guests.digest) is None
    assert before._inner.store._store is None
    guests.warm()


def test_a_contract_that_needed_too_much_memory_serves_no_further_run(guests_of):
    """A flow may catch the failure, and its call then returns."""
    contract, code = guests_of(World.CONTRACT), "x = bytearray(200 * 2**20)"
    contract.warm()  # other tests may have taken the instance, or its place
    before = contract.instance()
    assert contract.run(contract.kept, code) == contract.renewed(code)
    assert contract.instance() is None
    assert before._inner.store._store is None
    contract.warm()


def test_a_limit_of_memory_below_the_image_refuses_a_waiting_instance_as_a_new_one(guests):
    limits = Limits(memory_bytes_max=MIB)
    assert guests.run(guests.kept, "pass", limits=limits) == guests.renewed("pass", limits=limits)
    assert guests.run(guests.kept, "pass", limits=limits)[1] == "memory-limit"
    guests.warm()


def test_a_limit_of_tables_refuses_a_waiting_instance_as_a_new_one(guests):
    limits = Limits(table_elements_max=1)
    assert guests.run(guests.kept, "pass", limits=limits) == guests.renewed("pass", limits=limits)
    assert guests.run(guests.kept, "pass", limits=limits)[1] == "memory-limit"
    guests.warm()


CALLS = """
import app
app.ITEMS.append(host("flow", "now", '""'))
try:
    host("flow", "now", '"refuse"')
except HostCallError as refused:
    app.ITEMS.append(refused.payload)
found = app.ITEMS
"""


def test_runs_with_host_calls_agree_and_are_restored(flows):
    expected = flows.renewed(CALLS, host=Host())
    for _ in range(3):
        assert flows.restored(CALLS, host=Host()) == expected


@pytest.mark.parametrize("ending", [SuspendRun(), RunError("ended")])
def test_an_instance_whose_run_the_host_ended_serves_no_further_run(flows, ending):
    host = Host(ending)
    assert flows.run(flows.kept, CALLS, host=host)[0] == flows.renewed(CALLS, host=Host(ending))[0]
    assert host.calls == 2
    assert flows.waiting.take(flows.digest) is None
    flows.warm()


def test_an_instance_whose_call_was_not_granted_serves_no_further_run(flows):
    code = "host('signing', 'sign', '{}')"
    assert flows.run(flows.kept, code, host=Host())[1] == "capability-not-granted"
    assert flows.waiting.take(flows.digest) is None
    flows.warm()


class Measuring(Host):
    """A host that asks for the memory of the run within a host call."""

    def attach(self, run):
        self._run = run

    def __call__(self, interface, function, request):
        self.memory_bytes = self._run.memory_bytes()
        return super().__call__(interface, function, request)


def test_a_run_is_charged_for_what_its_instance_has_already(flows):
    own, host = flows.instance().own_bytes, Measuring()
    assert own > 0
    flows.restored(CALLS, host=host)
    assert host.memory_bytes >= own


STATEMENTS = (
    "import app; app.ITEMS.append({n})",
    "import app; app.TABLE['{n}'] = [0] * {n}",
    "x = [str(i) for i in range({n})]",
    "x = bytearray({n} * 5000)",
    "import app; app.kept = bytes({n} * 3000)",
    "def f(n): return n and f(n - 1)\nf({n} % 900)",
    "def g(): g()\ntry:\n  g()\nexcept RecursionError: pass",
    "try:\n  1 // ({n} % 2)\nexcept ZeroDivisionError as e:\n  import app; app.ERROR.__cause__ = e",
    "raise ValueError('{n}')",
    "import json, app; app.ITEMS.append(json.loads('[{n}, {{}}]'))",
    "import app; app.cached({n}).append(id(object()))",
    "import gc; gc.collect({n} % 3)",
    "import decimal; decimal.getcontext().prec = {n} % 50 + 1",
    "import app; found = sorted(map(str, app.ITEMS)), id(object()), len(app.TABLE)",
    "import sys; found = hash('{n}'), sorted(sys.modules)",
    "import configparser, fractions; found = fractions.Fraction({n}, 7)",
)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(STATEMENTS), st.integers(0, 3000)), min_size=1, max_size=4
        ),
        min_size=1,
        max_size=4,
    )
)
def test_kept_and_new_instances_agree_over_random_runs(guests, runs):
    for run in runs:
        code = "\n".join(statement.format(n=number) for statement, number in run)
        result = guests.run(guests.kept, code)
        assert result == guests.renewed(code)
        guests.instance()


def test_a_system_that_does_not_tell_what_was_written_keeps_no_instance(
    cache_dir, guests, monkeypatch
):
    def refuses(*_):
        raise OSError("no page map")

    monkeypatch.setattr("sandbox.images.restored.PageMap", refuses)
    assert Keeping.opened() is None
    world = guests.kept.component.world
    guest = Sandbox(cache_dir=cache_dir).guest(world, guests.digest)
    assert guests.run(guest, "pass") == guests.renewed("pass")
