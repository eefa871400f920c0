"""What guests answer, as hostile as they can make it, is read alike in both modes."""

import json

import pytest

from host.domain.guest_text import MESSAGE_BYTES_MAX, TRACE_LINES_MAX
from host.guests.contracts import _answered
from host.ports.guest import Finished, FlowFailedInGuest, GuestCallError, GuestKilledError
from sandbox.limits import Limits
from tests.isolation.test_isolation_host import ALICE, made, record, run

pytestmark = pytest.mark.slow
HALF = "\\ud83d"


@pytest.fixture(params=["shared", "process"])
def guests(request, sandbox, tmp_path):
    with made(sandbox, tmp_path / "data", isolation=request.param) as (guests, _):
        yield guests


@pytest.fixture
def cpi(components):
    """A CPI whose code is in the cache: no package has to be read for it."""
    return record(components)


@pytest.mark.parametrize(
    "result",
    [
        "'[' * 900 + ']' * 900",
        """'{"a":1,"a":2}'""",
        "'[1e999]'",
        f"""'"{HALF}"'""".replace("\\", "\\\\"),
    ],
)
def test_a_result_that_breaks_a_rule_ends_the_flow_with_a_code(guests, cpi, result):
    with pytest.raises(GuestKilledError) as ended:
        run(guests, cpi, f"result = {result}", ALICE)
    assert ended.value.code == "flow-result-invalid"
    assert ended.value.usage.fuel > 0


def test_a_plain_text_is_a_result(guests, cpi):
    assert run(guests, cpi, "result = '[see {above}'", ALICE) == Finished(result="[see {above}")


def failure(guests, cpi, payload):
    outcome = run(guests, cpi, f"raise Failed({payload!r})", ALICE)
    assert isinstance(outcome, FlowFailedInGuest)
    return outcome


def test_half_a_character_in_a_failure_is_replaced(guests, cpi):
    text = json.dumps({"type": "E\ud83d", "message": "a\ude00b", "trace": ["\ud83d"]})
    outcome = failure(guests, cpi, text)
    assert (outcome.type, outcome.message, outcome.trace) == ("E\ufffd", "a\ufffdb", ("\ufffd",))


def test_a_failure_is_cut_once(guests, cpi):
    trace = [{"file": "f" * 900, "line": n, "function": "g"} for n in range(200)]
    report = {"type": "T" * 9_000, "message": "\u00e9" * 30_000, "trace": trace}
    text = json.dumps(report, ensure_ascii=False)
    outcome = failure(guests, cpi, text)
    assert len(outcome.message.encode()) <= MESSAGE_BYTES_MAX
    assert outcome.message.endswith("of 60000 bytes]")
    assert (len(outcome.type), len(outcome.trace)) == (255, TRACE_LINES_MAX)
    assert outcome.trace[0] == "[cut: 151 more lines]"


@pytest.mark.parametrize(
    "payload", ["[" * 100_000, '{"message": 1e999}', '{"a":1,"a":1}', "9" * 5000]
)
def test_a_failure_that_is_no_report_is_a_message(guests, cpi, payload):
    outcome = failure(guests, cpi, payload)
    assert outcome.type == "flow-failed"
    assert outcome.message == payload or outcome.message.endswith("of 100000 bytes]")


def test_a_request_reaches_the_host_as_it_stands(guests, cpi):
    """The engine checks it, and answers; here it is seen that nothing on the way minds."""
    seen = []

    def host(_interface, _function, request):
        seen.append(request)
        raise GuestCallError('{"code": "request-invalid", "message": "m"}')

    deep = '{"a":' * 3000 + "1" + "}" * 3000
    code = """
codes = []
for text in ('{"a":' * 3000 + '1' + '}' * 3000, '"\\\\ud83d"', '9' * 5000):
    try: host('flow', 'now', text)
    except HostCallError as refused: codes.append(refused.payload)
result = str(len(codes))
"""
    assert run(guests, cpi, code, ALICE, host) == Finished(result="3")
    assert seen == [deep, '"\\ud83d"', "9" * 5000]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"failures": [{"contract": "C", "states": ["S"], "type": "T", "message": "a\ud83db"}]}, "a\ufffdb"),
        ({"failures": [{"contract": "C", "states": ["S"], "type": "T", "message": "m" * 99_999}]}, "of 99999 bytes]"),
        ("[" * 99_999, "of 99999 bytes]"),
    ],
)  # fmt: skip
def test_a_verdict_is_mended_and_cut(guests, cpi, payload, message):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    (cpk,) = cpi.contract_cpks()
    guest = guests.guest(cpi, cpk, node=ALICE)
    outcome = guest.call("verify", f"raise Refused({text!r})", limits=Limits())
    (failed,) = _answered(cpk, ["State"], outcome.value)
    assert failed["message"].endswith(message)
    assert len(failed["message"].encode()) <= MESSAGE_BYTES_MAX
