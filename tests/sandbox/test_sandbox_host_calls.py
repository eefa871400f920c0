"""Host calls: answers, errors, suspension, grants, and what a run does after an error."""

import json
import os
import threading

import pytest

from sandbox.errors import (
    CapabilityNotGrantedError,
    DeadlineExceededError,
    SandboxError,
    WorldMismatchError,
)
from sandbox.host_api import HOST_API
from sandbox.host_calls import GuestCallError, SuspendRun
from sandbox.limits import Limits
from sandbox.outcome import Returned, Suspended
from sandbox.world import World

RAISING_CALLS = int(os.environ.get("CORDBOX_RAISING_CALLS", "5000"))
THREADS = 4
RAISES_A_RUN = 5


def run(guest, code, host, **options):
    return guest.call("run", code, limits=Limits(), host=host, **options)


def test_answers_arrive_as_given(workflow):
    calls = []

    def host(interface, function, request):
        calls.append((interface, function, request))
        return json.dumps(request)

    outcome = run(workflow, "result = host('flow', 'now', '{\"é\": \"\\U0001f600\"}')", host)
    assert outcome.value == json.dumps('{"é": "😀"}')
    assert calls == [("flow", "now", '{"é": "😀"}')]
    assert outcome.usage.host_calls == 1


class Carrying:
    """A host that executes what holds the interpreter on another thread, as lowered guests do."""

    def __init__(self):
        self.carried = 0

    def __call__(self, _interface, function, request):
        return json.dumps(request) if function == "now" else "1"

    def carry(self, work):
        self.carried += 1
        done = []
        thread = threading.Thread(target=lambda: done.append(work()))
        thread.start()
        thread.join()
        return done[0]


def test_long_texts_are_copied_and_read_where_the_handler_says(workflow_here):
    """A request is copied and decoded, an answer encoded and copied, a result as a request."""
    host = Carrying()
    code = """
answers = [host('flow', 'now', 'x' * 70000), host('flow', 'random', 'y' * 70000)]
result = [*map(len, answers), host('flow', 'now', 'z')]
"""
    assert run(workflow_here, code, host).value == str([70002, 1, '"z"'])
    assert host.carried == 4 + 2
    assert len(run(workflow_here, "result = 'r' * 70000", host).value) == 70000
    assert host.carried == 6 + 2


def test_every_function_of_the_host_api_can_be_called(workflow):
    calls = []
    names = [(i, f) for i, functions in HOST_API.items() for f in functions]
    assert len(names) == 24
    code = f"for i, f in {names!r}: host(i, f, '')"
    outcome = run(
        workflow, code, lambda i, f, _r: calls.append((i, f)) or "", granted=frozenset(HOST_API)
    )
    assert outcome.is_error is False
    assert calls == names


def test_a_function_outside_the_host_api_is_an_error_of_the_guest(workflow):
    outcome = run(workflow, "host('flow', 'nope', '')", lambda *_: "null")
    assert json.loads(outcome.value)["type"] == "LookupError"


def test_a_guest_error_can_be_caught_by_the_guest(workflow):
    def host(*_):
        raise GuestCallError('{"code": "x"}')

    code = (
        "try:\n host('flow', 'now', '')\nexcept HostCallError as e: result = 'caught ' + e.payload"
    )
    assert run(workflow, code, host).value == 'caught {"code": "x"}'
    outcome = run(workflow, "host('flow', 'now', '')", host)
    assert outcome.is_error
    assert json.loads(outcome.value)["type"] == "HostCallError"


def test_failed_carries_the_guests_own_payload(workflow):
    outcome = run(workflow, 'raise Failed(\'{"type": "Mine"}\')', lambda *_: "null")
    assert outcome == Returned(
        value='{"type": "Mine"}', is_error=True, usage=outcome.usage, receipt=outcome.receipt
    )


@pytest.mark.parametrize("catch", ["", "try:\n  ", "import sys\ntry:\n  "])
def test_an_exception_of_the_host_ends_the_run_and_is_answered_as_is(workflow, catch):
    calls = []
    mine = ValueError("mine")

    def host(*_):
        calls.append(1)
        raise mine

    tail = (
        "\nexcept BaseException: pass\nfor _ in range(1000): host('flow', 'now', '')"
        if catch
        else ""
    )
    with pytest.raises(ValueError) as caught:
        run(workflow, f"{catch}host('flow', 'now', ''){tail}\nresult = 'survived'", host)
    assert caught.value is mine
    assert len(calls) == 1


def test_suspend_ends_the_run(workflow):
    def host(*_):
        raise SuspendRun

    code = "try:\n host('flow', 'sleep', '')\nexcept BaseException: pass"
    outcome = run(workflow, code, host)
    assert isinstance(outcome, Suspended)
    assert outcome.usage.host_calls == 1
    assert json.loads(outcome.receipt)["outcome"] == {"kind": "suspended"}


def test_after_an_error_a_guest_that_returns_at_once_is_still_stopped(admit_text, texts):
    guest = admit_text(World.WORKFLOW, texts.workflow(texts.echoes_answer))

    def host(*_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(guest, "{}", host)
    assert run(guest, "{}", lambda *_: "fine").value == "fine"


def test_a_refused_capability_never_reaches_the_host(workflow):
    calls = []
    code = (
        "try:\n host('ledger', 'find', '')\nexcept BaseException: pass\nhost('ledger', 'find', '')"
    )
    with pytest.raises(CapabilityNotGrantedError, match=r"ledger\.find"):
        run(workflow, code, lambda *_: calls.append(1) or "null", granted=frozenset({"crypto"}))
    assert calls == []
    assert run(workflow, code, lambda *_: "null", granted=frozenset({"ledger"})).is_error is False


def test_a_refused_capability_is_raised_at_its_place(workflow):
    code = """
source = "def call():\\n    host('ledger', 'find', '')\\ncall()"
exec(compile(source, "iou/flows.py", "exec"), {"host": host})
"""
    with pytest.raises(CapabilityNotGrantedError) as refused:
        run(workflow, code, lambda *_: "null")
    assert refused.value.message == (
        "host call ledger.find: capability 'ledger' is not granted: add it to `capabilities` of"
        " [workflow] in cordapp.toml, or have the host allow it to the node"
        " (at iou/flows.py:2 call)"
    )
    assert '"HostCallError"' in refused.value.report


def test_a_guest_that_catches_a_refusal_can_clean_up_but_calls_no_host_and_ends_refused(workflow):
    calls = []
    code = """
seen = []
for interface, function in (("ledger", "find"), ("flow", "now"), ("log", "write")):
    try:
        host(interface, function, "{}")
    except HostCallError as refused:
        seen.append(refused.payload)
assert len(seen) == 3 and "capability-not-granted" in seen[0]
result = "clean"
"""
    with pytest.raises(
        CapabilityNotGrantedError, match=r"'ledger' is not granted.*to the node$"
    ) as refused:
        run(workflow, code, lambda *_: calls.append(1) or "null")
    assert calls == []
    assert refused.value.report is None
    assert 0 < refused.value.usage.fuel < Limits().fuel_max
    assert refused.value.usage.host_calls == 1


def test_what_a_guest_says_of_the_place_of_a_refusal_is_checked(workflow):
    for report in (
        "'x'",
        "'{}'",
        "'[' * 100_000",
        '\'{"trace": [{"file": "\\\\u001b[2J", "line": 1, "function": "f"}]}\'',
        '\'{"trace": [{"file": 5, "line": 1, "function": "f"}]}\'',
        "'x' * 1_000_000",
    ):
        code = (
            f"try:\n host('ledger', 'find', '')\nexcept BaseException: pass\nraise Failed({report})"
        )
        with pytest.raises(
            CapabilityNotGrantedError, match=r"'ledger' is not granted.*to the node$"
        ):
            run(workflow, code, lambda *_: "null")


def test_without_a_host_nothing_is_granted(workflow):
    with pytest.raises(CapabilityNotGrantedError, match="no host"):
        run(workflow, "host('flow', 'now', '')", None)


def test_a_host_call_can_run_another_guest(workflow, contract):
    def host(_interface, _function, request):
        inner = contract.call("verify", request, limits=Limits())
        return "refused" if inner.is_error else "accepted"

    code = "result = host('flow', 'now', 'pass') + host('flow', 'now', '1/0')"
    assert run(workflow, code, host).value == "acceptedrefused"


@pytest.mark.parametrize(
    ("export", "argument"), [("verify", "{}"), ("load", "{}"), ("run", None), ("describe", "{}")]
)
def test_exports_of_another_world_are_refused(workflow, export, argument):
    with pytest.raises(WorldMismatchError, match=export):
        workflow.call(export, argument, limits=Limits())


def test_raising_host_calls_on_threads_reach_only_their_own_run(admit_text, texts):
    guest = admit_text(World.WORKFLOW, texts.workflow(texts.calls_forever))
    runs = RAISING_CALLS // THREADS // RAISES_A_RUN
    mixed: list[object] = []

    def one(thread: int, number: int) -> None:
        calls = []

        def host(_interface, _function, request):
            calls.append(request)
            if len(calls) < RAISES_A_RUN:
                raise GuestCallError(f'"{thread}-{number}"')
            raise LookupError(thread, number)

        me = f"{thread}-{number}"
        try:
            guest.call("run", me, limits=Limits(), host=host)
        except LookupError as error:
            if error.args != (thread, number) or set(calls) != {me} or len(calls) != RAISES_A_RUN:
                mixed.append((me, error.args, calls))
        except SandboxError as error:
            mixed.append((me, error))
        else:
            mixed.append((me, "returned"))

    def many(thread: int) -> None:
        for number in range(runs):
            one(thread, number)

    threads = [threading.Thread(target=many, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []


class Attached:
    """A host that keeps the control of its run."""

    def __init__(self, host, controls):
        self.host = host
        self.controls = controls

    def attach(self, run):
        self.controls.append(run)

    def __call__(self, *call):
        return self.host(*call)


def paused_run(guest, code, *, ticks, pauses):
    """A run whose host call takes `ticks` of the engine's clock, paused or not."""
    controls = []

    def host(*_):
        (control,) = controls
        if not pauses:
            advance(guest, ticks)
            return "null"
        with control.paused():
            advance(guest, ticks)
        return "null"

    limits = Limits(wall_ms_max=100, fuel_max=10**12)
    return guest.call("run", code, limits=limits, host=Attached(host, controls))


def advance(guest, ticks):
    for _ in range(ticks):
        guest._ticker.advance()


def test_the_wall_clock_of_a_paused_run_stands_still(workflow_here):
    code = "host('flow', 'now', '')\nresult = 'on time'"
    assert paused_run(workflow_here, code, ticks=200, pauses=True).value == "on time"
    with pytest.raises(DeadlineExceededError):
        paused_run(workflow_here, code, ticks=200, pauses=False)


def test_the_wall_clock_starts_anew_after_a_pause(workflow):
    with pytest.raises(DeadlineExceededError):
        paused_run(workflow, "host('flow', 'now', '')\nwhile 1: pass", ticks=0, pauses=True)


@pytest.mark.parametrize("filled", [0, 24, 48])
def test_about_how_much_memory_a_run_has_filled_is_known(workflow, filled):
    mib, controls, seen = 1024 * 1024, [], []

    def host(*_):
        seen.append(controls[0].memory_bytes())
        return "null"

    code = f"host('flow', 'now', '')\nheld = b'x' * {filled * mib}\nhost('flow', 'now', '')"
    code += "\nresult = str(len(held))"
    limits = Limits(fuel_max=10**12, wall_ms_max=60_000)
    outcome = workflow.call("run", code, limits=limits, host=Attached(host, controls))
    assert outcome.value == str(filled * mib)
    before, after = seen
    assert filled * mib * 0.9 <= after - before <= (filled + 12) * mib


def test_a_pause_changes_nothing_that_a_run_is_charged_for(workflow_here):
    code = "host('flow', 'now', '')\nresult = 'x'"
    runs = [paused_run(workflow_here, code, ticks=1, pauses=p) for p in (False, True)]
    assert runs[0] == runs[1]


def test_no_clock_ticks_while_every_run_is_paused(workflow_here):
    seen, controls = [], []

    def host(*_):
        with controls[0].paused():
            seen.append(workflow_here._ticker._runs)
        seen.append(workflow_here._ticker._runs)
        return "null"

    code = "host('flow', 'now', '')"
    workflow_here.call("run", code, limits=Limits(), host=Attached(host, controls))
    assert (seen, workflow_here._ticker._runs) == ([0, 1], 0)


def test_a_run_in_a_host_call_tells_what_it_has_used(workflow):
    seen, controls = [], []

    def host(*_):
        seen.append(controls[0].usage())
        if len(seen) == 2:
            raise SuspendRun
        return "null"

    code = "host('flow', 'now', '')\nhost('flow', 'now', '')"
    outcome = workflow.call("run", code, limits=Limits(), host=Attached(host, controls))
    assert seen[1] == outcome.usage
    assert seen[0].host_calls == 1
    assert 0 < seen[0].fuel < seen[1].fuel
