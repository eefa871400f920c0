"""The code of every failure of a flow: of the platform, the CorDapp, a contract, a counterparty."""

import pytest

from cordapp_testkit import FlowFailedError, Network
from tests.testkit.sides import ALICE, BOB

pytestmark = pytest.mark.timeout(300)  # a cold cache compiles two components
NOBODY = "O=Nobody, L=London, C=GB"


def message(session, payload):
    return {"session": session, "payload": payload}


def failed_of(network, flow, body=None):
    """The failures of a flow of Alice's, and of the last flow of Bob's, if he has one."""
    network.node(BOB)
    with pytest.raises(FlowFailedError) as failed:
        network.node(ALICE).start(f"probe_flows.{flow}", body)
    flows = network.node(BOB).flows
    return failed.value, flows[-1].error if flows else None


def told(error):
    return error.flow_error_type, error.code


def test_codes_of_flow_code_and_of_platform_calls(network):
    failing = [{"raise": "on purpose", "code": "too-much"}]
    assert told(failed_of(network, "Play", failing)[0]) == ("FLOW_FAILED", "too-much")
    assert told(failed_of(network, "FailDeep", "x")[0]) == ("FLOW_FAILED", "flow-failed")
    for code, flow, body in [
        ("contract-verification-failed", "Issue", 0),
        ("number-unlucky", "Issue", 13),
    ]:
        assert told(failed_of(network, flow, body)[0]) == ("FLOW_FAILED", code)


@pytest.mark.parametrize("where", ["send", "build"])
def test_a_value_without_a_form_ends_the_flow_with_a_code(native, where):
    error, _ = failed_of(native, "SendUnfit", where)
    assert told(error) == ("FLOW_FAILED", "value-not-of-type")


@pytest.mark.parametrize("code", ["two words", "", "x" * 101, "ümlaut", 7, None, "a\nb"])
def test_what_is_no_code_is_not_told_as_one(native, code):
    error, _ = failed_of(native, "Play", [{"raise": "on purpose", "code": code}])
    assert told(error) == ("FLOW_FAILED", "flow-failed")


def test_a_counterpartys_code_reaches_the_initiator(network):
    script = [{"raise": "beyond the limit", "code": "iou-over-limit"}]
    alice, bob = failed_of(network, "Ask", {"script": script})
    assert (bob.code, bob.message) == ("iou-over-limit", "beyond the limit")
    assert (alice.code, alice.message) == ("iou-over-limit", "beyond the limit")
    assert (alice.type, alice.flow_error_type) == ("session-error", "FLOW_FAILED")
    caught = network.node(ALICE).start("probe_flows.Ask", {"script": script, "catch": True})
    assert caught == ["session-error", "iou-over-limit"]


def test_a_counterparty_without_a_code_is_a_session_error(network):
    script = [{"raise": "just so"}]
    alice, bob = failed_of(network, "Ask", {"script": script})
    assert (alice.code, bob.code) == ("session-error", "flow-failed")
    caught = network.node(ALICE).start("probe_flows.Ask", {"script": script, "catch": True})
    assert caught == ["session-error", None]


@pytest.mark.parametrize(
    ("code", "alice_code", "bob_code"),
    [("in-between", "in-between", "in-between"), ("", "flow-failed", "sub-flow-failed")],
)
def test_a_sub_flows_code_reaches_its_sessions(network, code, alice_code, bob_code):
    alice, bob = failed_of(network, "FailInTalk", code)
    assert (alice.code, bob.code) == (alice_code, bob_code)


def test_an_unknown_member_has_a_code(network):
    request = {"counterparty": NOBODY, "requireClose": True}
    network.node(ALICE)
    script = [{"call": ["sessions", "open", request]}]
    assert network.node(ALICE).start("probe_flows.Play", script) == [
        {"error": "counterparty-unknown"}
    ]


def test_a_session_without_a_message_in_time_has_a_code(probe_codes):
    with Network(probe_codes["native"]) as network:
        sleep = [{"call": ["flow", "sleep", {"millis": 60_000}]}]
        alice, _ = failed_of(
            network, "Ask", {"script": sleep, "options": {"timeout_millis": 30_000}}
        )
        assert told(alice) == ("FLOW_FAILED", "session-timeout")
        assert alice.type == "session-timeout"


@pytest.mark.parametrize(
    ("settings", "flow", "body", "expected"),
    [
        ({"flow_result_bytes_max": 4}, "Large", 5, ("flow-result-too-large",) * 2),
        (
            {"flow_processing_max_flow_sleep_duration": 59_999},
            "Tick",
            1,
            ("FLOW_FAILED", "sleep-too-long"),
        ),
        ({"quota_journal_calls_max": 3}, "Tick", 4, ("journal-limit", "journal-limit")),
        (
            {"flow_processing_max_idle_time": 60_000},
            "Tick",
            1,
            ("FLOW_FAILED", "flow-idle-timeout"),
        ),
    ],
)
def test_limits_and_quotas_have_codes(probe_codes, settings, flow, body, expected):
    with Network(probe_codes["native"], settings=settings) as network:
        assert told(failed_of(network, flow, body)[0]) == expected
