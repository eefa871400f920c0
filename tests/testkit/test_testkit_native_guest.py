"""Plain Python behind the port of the sandbox's guests: it is suspended, limited and refused alike."""

import json

import pytest

from host.domain.quotas import Quota
from host.guests.flows import SandboxedFlows
from host.guests.sticky_flows import StickyFlows
from host.ports.bus import NOBODY
from host.ports.guest import (
    Finished,
    FlowFailedInGuest,
    FlowRun,
    GuestCallError,
    GuestKilledError,
    SuspendedRun,
    SuspendRun,
)
from host.tools.testkit.code import FailureLog
from host.tools.testkit.network import Network

GRANTED = frozenset({"sessions", "signing", "crypto"})


@pytest.fixture(scope="module")
def cpi(probe_codes):
    with Network(probe_codes["native"]) as network:
        yield network.parts.catalogue.cpi


@pytest.fixture
def quota():
    return Quota()


@pytest.fixture
def failures():
    return FailureLog()


@pytest.fixture
def run(probe_codes, cpi, quota, failures):
    """Runs a flow of the probe against a host."""
    flows = SandboxedFlows(library=probe_codes["native"].guests(failures))

    def run(flow, body, host, *, guests=flows, quota=quota):
        start = {"flowId": "f1", "flowClass": f"probe_flows.{flow}", "me": "O=A, L=B, C=GB"}
        text = json.dumps({**start, "requestBody": body, "session": None})
        return guests.run(
            FlowRun(
                cpi=cpi,
                flow_class=start["flowClass"],
                start=text,
                granted=GRANTED,
                quota=quota,
                node=NOBODY,
            ),
            host,
        )

    run.flows = flows
    return run


def answers(**by_name):
    def host(interface, function, request):
        answer = by_name[f"{interface}_{function}".replace("-", "_")]
        return answer(request) if callable(answer) else answer

    return host


NOW = '"2026-01-01T00:00:00.000000Z"'


def suspending(_request):
    raise SuspendRun


def test_a_flow_returns_its_result_and_its_calls_are_counted(run):
    outcome = run("Play", [{"call": ["flow", "now", {}]}], answers(flow_now=NOW))
    assert outcome == Finished(result='[{"ok":"2026-01-01T00:00:00.000000Z"}]')
    assert (outcome.usage.host_calls, outcome.usage.fuel) == (1, 0)


def test_an_err_may_be_caught_and_fails_the_flow_otherwise(run, failures):
    def refusing(_request):
        raise GuestCallError('{"code": "out-of-luck", "message": "no"}')

    host = answers(flow_now=refusing)
    caught = run("Play", [{"call": ["flow", "now", {}]}], host)
    assert json.loads(caught.result) == [{"error": "out-of-luck"}]
    failed = run("Stubborn", None, host)
    assert isinstance(failed, FlowFailedInGuest)
    assert (failed.type, failed.message) == ("out-of-luck", "no")
    assert failed.trace[-1].startswith("probe_flows.py:")
    assert failures.find("f1").exception.code == "out-of-luck"


@pytest.mark.parametrize(
    ("kind", "message"),
    [("SystemExit", "3"), ("GeneratorExit", "GeneratorExit"), ("UnprintableError",) * 2],
)
def test_what_is_no_exception_fails_the_flow_at_its_line(run, failures, kind, message):
    failed = run("Leave", kind, answers())
    assert isinstance(failed, FlowFailedInGuest)
    assert (failed.type, failed.message) == (kind, message)
    (place,) = failed.trace
    assert place.startswith("probe_flows.py:")
    assert place.endswith(" call")
    assert type(failures.find("f1").exception).__name__ == kind


def test_a_suspension_cannot_be_caught(run):
    calls = []

    def host(interface, function, request):
        calls.append(function)
        return answers(flow_now=NOW, flow_sleep=suspending)(interface, function, request)

    assert run("Stubborn", None, host) == SuspendedRun()
    assert calls == ["now", "sleep"]


def test_a_run_that_waits_on_its_thread_goes_on_where_it_stands(run):
    parking = StickyFlows(run.flows)
    later = '"2026-01-01T00:00:02.000000Z"'
    waiting = run("Stubborn", None, answers(flow_now=NOW, flow_sleep=suspending), guests=parking)
    outcome = waiting.parked.resume(answers(flow_now=later, flow_sleep="null"))
    assert outcome == Finished(result="True")
    dropped = run("Stubborn", None, answers(flow_now=NOW, flow_sleep=suspending), guests=parking)
    dropped.parked.drop()
    parking.close()


def test_what_is_not_granted_ends_the_run_though_the_flow_goes_on(run, cpi):
    with pytest.raises(GuestKilledError) as killed:
        run("CallUngranted", None, answers())
    assert (killed.value.code, killed.value.denied) == ("capability-not-granted", "signing.sign")


def test_the_hosts_own_failure_reaches_the_engine_as_it_is(run):
    def broken(_request):
        raise ZeroDivisionError("of the platform")

    with pytest.raises(ZeroDivisionError, match="of the platform"):
        run("Stubborn", None, answers(flow_now=NOW, flow_sleep=broken))


@pytest.mark.parametrize(
    ("limits", "flow", "body", "code"),
    [
        ({"payload_bytes_max": 1024}, "Text", "x" * 1025, "payload-too-large"),
        ({"payload_bytes_max": 1024}, "Large", 1025, "payload-too-large"),
        ({"payload_bytes_max": 1024}, "Play", [{"call": ["flow", "now", {}]}], "payload-too-large"),
        (
            {"host_calls_max": 2},
            "Play",
            [{"call": ["flow", "now", {}]}] * 3,
            "too-many-host-calls",
        ),
        (
            {"log_bytes_max": 20},
            "Play",
            [{"call": ["log", "write", {"level": "info", "logger": "l", "message": "m" * 20}]}],
            "log-limit",
        ),
    ],
)
def test_limits_of_what_crosses_the_boundary_are_those_of_a_sandbox(run, limits, flow, body, code):
    host = answers(flow_now=f'"{"n" * 1025}"', log_write="null")
    with pytest.raises(GuestKilledError) as killed:
        run(flow, body, host, quota=Quota(**limits))
    assert killed.value.code == code


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ({"call": ["flow", "fly", {}]}, "LookupError"),
        ({"raise": "on purpose"}, "ScriptFailedError"),
    ],
)
def test_a_flow_fails_by_its_own_error_and_the_trace_names_its_own_files(run, failures, step, kind):
    failed = run("Play", [step], answers())
    assert isinstance(failed, FlowFailedInGuest)
    assert failed.type == kind
    assert {line.partition(":")[0] for line in failed.trace} == {"probe_flows.py"}
    assert type(failures.find("f1").exception).__name__ == kind
