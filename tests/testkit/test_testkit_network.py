"""A network of the kit: its time, its members, its settings, and what it tells of flows."""

import threading

import pytest

from cordapp.contracts import Command, ContractState
from cordapp_testkit import FlowFailedError, FlowRefusedError, Network
from host.domain.errors import HostError
from host.flow.core.events import GuestLogged
from host.settings import SettingsInvalidError
from tests.testkit.sides import ALICE, BOB

pytestmark = pytest.mark.timeout(300)  # a cold cache compiles two components
NOTARY = "O=Notary Service, L=London, C=GB"


def test_a_flow_that_is_not_deterministic_fails_though_it_is_plain_python(native):
    with pytest.raises(FlowFailedError) as failed:
        native.node(ALICE).start("probe_flows.Unsteady")
    assert failed.value.type == "flow-non-deterministic"


def test_a_sandbox_forgets_what_an_earlier_run_has_left(probe_codes):
    with Network(probe_codes["sandbox"]) as network:
        assert network.node(ALICE).start("probe_flows.Unsteady") == "done"


def test_flows_that_wait_on_their_threads_come_to_the_same(probe_codes):
    for settings in ({}, {"flow_parked_max": 4}):
        with Network(probe_codes["native"], settings=settings) as network:
            alice, bob = network.node(ALICE), network.node(BOB)
            assert alice.start("probe_flows.Stubborn") == "True"
            script = [{"call": ["sessions", "send", {"messages": [message("@peer", 7)]}]}]
            assert alice.start("probe_flows.Ask", {"script": script}) == 7
            assert [flow.status for flow in bob.flows] == ["COMPLETED"]


def message(session, payload):
    return {"session": session, "payload": payload}


def test_results_that_are_declared_as_texts_stay_texts(network):
    alice = network.node(ALICE)
    assert alice.start("probe_flows.Text", '"5"') == "5"
    assert alice.start("probe_flows.Text", "1.23457e+06x") == "1.23457e+06x"
    assert alice.start("probe_flows.Number5") == 5


def test_a_request_is_read_as_rest_reads_it(network):
    alice = network.node(ALICE)
    assert alice.start("probe_flows.Echo", "[1]") == "[1]"
    assert alice.start("probe_flows.Echo", "one") == '"one"'
    with pytest.raises(FlowRefusedError) as refused:
        alice.start("probe_flows.Text", "9")
    assert refused.value.type == "flow-input-invalid"
    assert alice.flows[-1].flow_class == "probe_flows.Echo"


def test_a_responder_is_not_started_by_a_client(network):
    with pytest.raises(FlowRefusedError, match="it is a responder flow"):
        network.node(ALICE).start("probe_flows.Answer")


def test_tests_let_time_pass(network):
    alice = network.node(ALICE)
    request_id = alice.begin("probe_flows.Tick", 2)
    assert (alice.flow(request_id).status, alice.log) == ("RUNNING", ["INFO tick 0"])
    network.advance(59_999)
    assert alice.log == ["INFO tick 0"]
    network.advance(1)
    assert alice.log == ["INFO tick 0", "INFO tick 1"]
    network.advance(3_600_000)
    assert (alice.flow(request_id).status, alice.flow(request_id).result) == ("COMPLETED", "2")
    assert network.now() == "2026-01-01T01:01:00.000000Z"


def test_time_moves_by_itself_when_nothing_else_can_happen(network):
    assert network.node(ALICE).start("probe_flows.Tick", 30) == 30
    assert network.now() == "2026-01-01T00:30:00.000000Z"


def test_a_flow_that_waits_holds_up_no_other(network):
    alice = network.node(ALICE)
    waiting = alice.begin("probe_flows.Tick", 30)
    assert alice.start("probe_flows.Tick", 2) == 2
    assert network.now() == "2026-01-01T00:02:00.000000Z"
    assert alice.flow(waiting).status == "RUNNING"
    network.run()
    assert alice.flow(waiting).result == "30"


def test_members_have_contexts_and_groups_have_notaries(network):
    notary = network.node(BOB, notary=NOTARY)
    alice = network.node(ALICE, context={"ext.desk": "FX"})
    assert alice.start("probe_flows.Notaries") == [[NOTARY], ["FX", None]]
    assert notary.member_info()["memberContext"]["corda.groupId"]
    assert network.node(BOB) is notary


def test_who_the_group_does_not_take_is_told_why(network):
    with pytest.raises(ValueError, match="not defined in the schema"):
        network.node(ALICE, context={"nonsense": "x"})
    with pytest.raises(HostError):
        network.node("Alice")


@pytest.mark.parametrize(
    ("settings", "flow", "body", "code"),
    [
        ({"flow_result_bytes_max": 4}, "Large", 5, "flow-result-too-large"),
        (
            {"flow_processing_max_flow_sleep_duration": 59_999},
            "Tick",
            1,
            "sleep-too-long",
        ),
        (
            {"quota_journal_calls_max": 3},
            "Tick",
            4,
            "journal-limit",
        ),
    ],
)
def test_a_networks_host_has_settings_and_quotas(probe_codes, settings, flow, body, code):
    with (
        Network(probe_codes["native"], settings=settings) as network,
        pytest.raises(FlowFailedError) as failed,
    ):
        network.node(ALICE).start(f"probe_flows.{flow}", body)
    assert failed.value.type == code


def test_a_setting_that_no_host_has_is_refused(probe_codes):
    with pytest.raises(SettingsInvalidError):
        Network(probe_codes["native"], settings={"flow_speed": 3})


def test_a_failure_names_the_files_of_the_cordapp_and_holds_the_exception(network):
    alice = network.node(ALICE)
    with pytest.raises(FlowFailedError) as failed:
        alice.start("probe_flows.FailDeep", "on purpose")
    error = failed.value
    assert (error.type, error.message) == ("ScriptFailedError", "on purpose")
    assert error.flow_error_type == "FLOW_FAILED"
    assert [frame["file"] for frame in error.trace] == ["probe_flows.py"] * 2
    assert f"at probe_flows.py:{error.trace[-1]['line']} call" in str(error)
    assert alice.flows[0].error.message == "on purpose"


def test_the_exception_of_plain_python_is_the_failures_cause(native):
    with pytest.raises(FlowFailedError) as failed:
        native.node(ALICE).start("probe_flows.FailDeep", "on purpose")
    cause = failed.value.__cause__
    assert type(cause).__name__ == "ScriptFailedError"
    assert cause.__traceback__.tb_frame.f_code.co_filename.endswith("probe_flows.py")


def test_what_is_recorded_can_be_asked_for(network):
    alice, bob = network.node(ALICE), network.node(BOB)
    assert alice.start("probe_flows.Issue", 5) == "1"
    request_id = alice.flows[0].request_id
    recording = alice.recording(request_id)
    assert [step.function for step in recording.steps] == [
        "membership.lookup",
        "ledger.build",
        "ledger.record",
        "ledger.query",
    ]
    signed = alice.signed_transaction(transaction_of(recording))
    assert [each["key"] for each in signed["signatures"]] == [alice.key]
    assert bob.signed_transaction(signed["id"]) is bob.transaction(signed["id"]) is None
    assert alice.transaction(signed["id"])["commands"] == [
        {"type": "probe_contracts.Create", "value": {}}
    ]
    with pytest.raises(LookupError):
        bob.flow(request_id)


def test_a_state_and_its_reference_come_back_from_a_session_as_they_were(network):
    alice, _ = network.node(ALICE), network.node(BOB)
    assert alice.start("probe_flows.SendStates", 5) is True


def transaction_of(recording):
    return recording.steps[2].answer.split('"')[3]


def test_a_nodes_host_may_be_tampered_with(network):
    alice = network.node(ALICE)
    with pytest.raises(FlowFailedError, match="must be positive"):
        alice.start("probe_flows.Issue", 0)
    alice.accept_every_transaction()
    assert alice.start("probe_flows.Issue", 0) == "1"


def test_a_network_starts_no_thread(native, monkeypatch):
    """Threads of other tests may end or begin meanwhile: only what this thread starts counts."""
    start, started, here = threading.Thread.start, [], threading.current_thread()

    def starting(thread):
        if threading.current_thread() is here:
            started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    with Network(native.code) as network:
        assert network.node(ALICE).start("probe_flows.Issue", 5) == "1"
    assert started == []


def test_networks_share_nothing_and_leave_nothing_behind(probe_codes):
    with Network(probe_codes["native"]) as first, Network(probe_codes["native"]) as second:
        first.node(ALICE).start("probe_flows.Issue", 5)
        assert second.node(ALICE).start("probe_flows.Issue", 5) == "1"
        folder = first.parts.base.directory.path
        assert folder.exists()
    assert not folder.exists()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_the_sandboxs_code_prints_is_shown_where_plain_python_prints(native, capsys, stream):
    alice = native.node(ALICE)
    printed = GuestLogged(
        flow_id="f", holding_id=alice.holding.short_hash, level="info", logger=stream, message="a"
    )
    native._heard(printed)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (("a\n", "") if stream == "stdout" else ("", "a\n"))
    assert alice.log == ["INFO a"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            lambda n: n.node(ALICE).start(7),
            "start takes a class, such as start(Issue), not an object",
        ),
        (lambda n: n.node(ALICE).states("Iou"), "such as states(Iou), not 'Iou'"),
        (
            lambda n: n.node(ALICE).stored(b""),
            "such as stored(CreditLimit), not an object of bytes",
        ),
        (lambda n: n.verify(outputs=[ContractState]), "outputs[0] is the class ContractState, not"),
        (
            lambda n: n.verify(inputs=[{"a": 1}]),
            "inputs[0] is {'a': 1}, not an object of a Contract",
        ),
        (lambda n: n.verify(references=["x"]), "references[0] is 'x', not an object of a Contract"),
        (lambda n: n.verify(commands=[Command]), "commands[0] is the class Command, not an object"),
    ],
)
def test_a_class_in_the_place_of_an_object_is_told_in_the_kits_words(native, act, said):
    with pytest.raises(TypeError) as refused:
        act(native)
    assert said in str(refused.value)
