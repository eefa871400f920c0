"""`cordbox flow` against a real host: start, follow, kill, and look at flows."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
ISSUE = "iou_flows.IssueIou"
BODY = json.dumps({"counterparty": BOB, "amount": 7})


def test_a_flow_is_started_and_its_result_printed(flow):
    done = flow("start", ALICE, ISSUE, BODY, "--wait", "--output", "json")
    assert done.code == 0
    assert done.json["json"]["outstanding"] == 7
    request_id = done.json["clientRequestId"]
    assert request_id.startswith("cli-")
    node = done.json["holdingIdentityShortHash"]
    assert flow("result", node, request_id).json == done.json["json"]
    listed = flow("list", ALICE, "--status", "COMPLETED")
    assert listed.out.startswith("STATUS ")
    assert request_id in listed.out.splitlines()[1]


def test_a_list_is_cut_and_says_so(flow):
    for _ in range(3):
        assert flow("start", ALICE, ISSUE, BODY, "--wait").code == 0
    cut = flow("list", ALICE, "--limit", "2")
    assert len(cut.out.splitlines()) == 3
    assert "more than 2 flows: see --limit" in cut.err
    assert len(flow("list", ALICE, "--limit", "2", "--output", "json").json) == 2


def test_a_body_comes_from_a_file_or_standard_input(flow, tmp_path, monkeypatch):
    file = tmp_path / "body.json"
    file.write_text(BODY)
    assert flow("start", ALICE, ISSUE, "--file", str(file), "--wait").code == 0
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(BODY.encode())))
    assert flow("start", ALICE, ISSUE, "-", "--wait").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{",), "no JSON"),
        (("{}", "--file", __file__), "not both"),
    ],
)
def test_a_wrong_body_is_wrong_usage(flow, words, message):
    refused = flow("start", ALICE, ISSUE, *words)
    assert refused.code == 2
    assert message in refused.err


def test_a_failed_flow_has_exit_code_1_and_its_reason(flow):
    body = json.dumps({"counterparty": "O=Nobody, L=London, C=GB", "amount": 7})
    failed = flow("start", ALICE, ISSUE, body, "--wait")
    assert failed.code == 1
    assert "[iou-unknown-member] O=Nobody, L=London, C=GB is no member" in failed.err


def test_a_running_flow_is_waited_for_and_killed(flow):
    body = json.dumps({"counterparty": BOB, "amount": 7, "pause_millis": 600_000})
    assert flow("start", ALICE, ISSUE, body, "--request-id", "slow").code == 0
    assert flow("result", ALICE, "slow").code == 75
    waited = flow("wait", ALICE, "slow", "--timeout", "0.1", "--output", "json")
    assert waited.code == 75
    assert waited.json["error"]["code"] == "flow-still-running"
    assert flow("kill", ALICE, "slow", "--reason", "no need").code == 0
    killed = flow("wait", ALICE, "slow", "--output", "json")
    assert (killed.code, killed.json["flowStatus"]) == (1, "KILLED")
    assert killed.json["flowError"]["message"] == "no need"
    again = flow("kill", ALICE, "slow", "--output", "json")
    assert (again.code, again.json["error"]["code"]) == (1, "flow-ended")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("result", ALICE, "unknown"), "not-found"),
        (("list", "O=Nobody, L=London, C=GB"), "not-found"),
        (("list", "000000000000"), "not-found"),
        (("list", "O=, L=London"), "invalid-input"),
        (("start", ALICE, "no.Such", "{}"), "flow-not-startable"),
        (("start", ALICE, ISSUE, "{}"), "flow-input-invalid"),
    ],
)
def test_what_the_host_does_not_have_is_refused_with_its_reason(flow, words, code):
    refused = flow(*words, "--output", "json")
    assert (refused.code, refused.json["error"]["code"]) == (1, code)


def test_a_node_that_is_misspelt_is_told_what_was_meant(flow):
    misspelt = flow("list", ALICE.replace("Alice", "Alic"), "--output", "json")
    assert f"did you mean '{ALICE}'?" in misspelt.json["error"]["message"]
    short = flow("list", "Alice", "--output", "json").json["error"]
    assert short["code"] == "short-hash-invalid"
    assert "no X.500 name such as" in short["message"]


def test_a_wrong_password_and_a_missing_host(network, cordbox, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    words = network.words()
    words[words.index("--password-file") + 1] = str(wrong)
    assert "does not accept user and password" in cordbox("flow", "list", ALICE, *words).err
    words[words.index("--url") + 1] = "https://127.0.0.1:1"
    assert cordbox("flow", "list", ALICE, *words).code == 75


def test_both_sides_are_drawn(flow, issue: Callable[..., Path], tmp_path):
    issue("drawn")
    text = flow("show", ALICE, "drawn", "--width", "80").out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["Alice", "Bob"]
    assert lines[1].split() == ["IssueIou", "AcceptIou"]
    assert any("├" in line and "data 1" in line and "▶" in line for line in lines)
    assert any("◀" in line and "close" in line for line in lines)
    assert sum("completed" in line for line in lines) == 2
    shown = flow("show", ALICE, "drawn", "--output", "json").json
    assert [lane["flowClass"] for lane in shown["lanes"]] == [ISSUE, "iou_flows.AcceptIou"]
    assert flow("show", ALICE, "drawn", "--alone", "--output", "json").json["lanes"][1:] == []
    page = tmp_path / "page.html"
    assert flow("show", ALICE, "drawn", "--output", "html", "-o", str(page)).code == 0
    assert "<svg" in page.read_text()
    responder = shown["lanes"][1]
    seen = flow("show", BOB, responder["clientRequestId"]).out
    assert seen.splitlines()[1].split() == ["AcceptIou"]


def test_exports_are_drawn_without_a_host(issue, cordbox):
    file = issue("offline")
    assert "IssueIou" in cordbox("flow", "show", "--export", str(file)).out
    assert cordbox("flow", "show", "--export", str(file), ALICE).code == 2
    assert cordbox("flow", "show").code == 2


def test_the_history_tells_sizes_and_is_paged(network, issue):
    issue("paged")
    node = network.loop.nodes[ALICE]
    with network.host.client() as client:
        whole = client.get(f"/flow/{node}/paged/history")
        part = client.get(f"/flow/{node}/paged/history", firststep=2, limit=3)
    assert [s["number"] for s in part["steps"]] == [2, 3, 4]
    assert part["stepCount"] == len(whole["steps"])
    assert {s["answer"] for s in whole["steps"]} == {None}
    assert whole["start"] is None
    assert all(s["answerSize"] > 0 for s in whole["steps"])
