"""The test kit's network, over a CorDapp that uses all of it, natively and in the sandbox."""

import pytest
from kit_flows import Note

from cordapp_testkit import FlowFailedError, FlowRefusedError, Network

ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))


@pytest.fixture
def nodes(cordapp_network):
    return [cordapp_network.node(name) for name in (ALICE, BOB, CHARLIE)]


def test_services(nodes):
    alice, _, _ = nodes
    result = alice.start("kit_flows.Services")
    assert result == {
        "me": ALICE,
        "members": [ALICE, BOB, CHARLIE],
        "by_key": True,
        "notaries": [],
        "good": True,
        "bad": False,
        "mine": True,
        "digest": "SHA-256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "color": "blue",
        "random": 100,
        "uuid": result["uuid"],
        "now": "2026-01-01T00:00:00.000000Z",
    }
    assert alice.sent_outside == [{"channel": "channel", "messageId": "m1", "message": "out"}]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("context", "context-key-reserved"),
        ("key", "key-not-found"),
        ("key text", "public-key-invalid"),
        ("digest", "digest-algorithm-unknown"),
        ("spec", "signature-spec-invalid"),
        ("random", "request-invalid"),
        ("sleep", "sleep-too-long"),
        ("session", "session-no-protocol"),
        ("nothing", "accepted"),
    ],
)
def test_refusals_carry_their_code(nodes, what, code):
    assert nodes[0].start("kit_flows.Refused", what) == code


def test_entities(nodes):
    alice, bob, _ = nodes
    assert alice.start("kit_flows.Notes") == ["a3", "d1", "None"]
    assert [note.id for note in alice.stored(Note)] == ["a", "d"]
    assert bob.stored(Note) == []


def test_sessions_with_two_peers_speak_the_highest_common_version(nodes):
    alice, bob, charlie = nodes
    assert alice.start("kit_flows.AskAll", [BOB, CHARLIE]) == [
        f"hello red {BOB} {ALICE}",
        f"hello red {CHARLIE} {ALICE}",
        2,
        2,
    ]
    assert [f.status for f in bob.flows + charlie.flows] == ["COMPLETED", "COMPLETED"]


def test_sub_flow_ends_its_sessions(nodes):
    alice, bob, _ = nodes
    assert alice.start("kit_flows.EndSubFlow", True) == "talk failed"
    assert bob.log == ["WARN session-error: talk failed"]
    assert alice.start("kit_flows.EndSubFlow", False) == "session-closed"
    # Nobody tells the peer of a session that needs no close: it waits for as long as it may.
    assert [flow.status for flow in bob.flows] == ["COMPLETED", "FAILED"]
    assert "session.timeout" in bob.flows[1].error.message


def test_responder_may_ask_others(nodes):
    alice, _, _ = nodes
    assert alice.start("kit_flows.Chain") == 1 + len(f"hi None {CHARLIE} {BOB}")


def test_protocol_without_responder(nodes):
    with pytest.raises(FlowFailedError, match=r"for protocol kit-nobody at versions \[1\]"):
        nodes[0].start("kit_flows.AskNobody")


def test_two_flows_that_wait_for_each_other_end_by_the_session_timeout(cordapp_network, nodes):
    alice, bob, _ = nodes
    with pytest.raises(FlowFailedError, match=r"session\.timeout") as failed:
        alice.start("kit_flows.Stall")
    assert (failed.value.type, bob.flows[0].status) == ("session-timeout", "FAILED")
    assert cordapp_network.now() == "2026-01-01T00:30:00.000000Z"


def test_unread_message_fails_both_sides(nodes):
    alice, bob, _ = nodes
    with pytest.raises(FlowFailedError, match="closed with unprocessed data"):
        alice.start("kit_flows.LeaveUnread")
    assert bob.flows[0].status == "COMPLETED"


def test_responder_that_fails_after_the_answer_fails_the_initiator(nodes):
    alice, bob, _ = nodes
    with pytest.raises(FlowFailedError, match="too late"):
        alice.start("kit_flows.AskLate")
    assert bob.flows[0].error.type == "ValueError"


def test_unknown_flow_and_sub_flow_cannot_be_started(nodes):
    for name in ("kit_flows.Nothing", "kit_flows.Talk"):
        with pytest.raises(FlowRefusedError, match=f"no client-startable flow '{name}'") as refused:
            nodes[0].start(name)
        assert refused.value.type == "flow-not-startable"
    assert nodes[0].flows == []


def test_native_network_is_deterministic(native_network):
    results = [native_network.node(ALICE).start("kit_flows.Services")]
    with Network(native_network.code) as again:
        results.append(again.node(ALICE).start("kit_flows.Services"))
    assert results[0] == results[1]
