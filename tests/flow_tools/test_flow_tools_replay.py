"""A recorded flow runs again offline, in the sandbox and under a debugger, and diverges visibly."""

import io
import json
import pdb  # noqa: T100  # what is tested
import shutil
from pathlib import Path

import msgspec
import pytest

from cordapp_testkit.replay import debug, replay
from host.domain.errors import InvalidInputError
from host.flow.records.history_export import parse_recording
from host.guests.replay.answers import RecordingIncompleteError

pytestmark = pytest.mark.slow
SAMPLE = Path(__file__).parents[2] / "sample_cordapps" / "iou"
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
FLOWS = Path("workflows") / "iou_flows.py"


def line_of(text: str) -> int:
    """The first line of the sample's flows that contains `text`."""
    lines = (SAMPLE / FLOWS).read_text().splitlines()
    return next(n for n, line in enumerate(lines, start=1) if text in line)


def read(file):
    return parse_recording(file.read_bytes(), file.name)


@pytest.fixture
def changed(tmp_path):
    """The sample with one more host call after its first."""
    project = tmp_path / "changed"
    shutil.copytree(SAMPLE, project)
    file = project / FLOWS
    line = "        me = self.member_lookup.my_info()\n        lender"
    assert line in file.read_text()
    more = line.replace("\n", "\n        self.clock.now()\n")
    file.write_text(file.read_text().replace(line, more, 1))
    return project


def test_a_replay_goes_as_recorded_and_names_lines(issue, cordbox):
    export = issue("replayed")
    done = cordbox("flow", "replay", str(export), "--project", str(SAMPLE), "--output", "json")
    assert done.code == 0
    report = done.json
    assert (report["asRecorded"], report["ended"]) == (True, "completed")
    assert [s["function"] for s in report["steps"]] == [s.function for s in read(export).steps]
    opened = next(s for s in report["steps"] if s["function"] == "sessions.open")
    place = opened["places"][0]
    assert (place["file"], place["function"]) == ("iou_flows.py", "call")
    assert place["line"] == line_of("self.flow_messaging.initiate_flow(lender.name)")
    assert "amount=5" in opened["values"]["request_body"]
    inner = next(s for s in report["steps"] if s["function"] == "ledger.record")
    assert [p["file"] for p in inner["places"]] == ["iou_flows.py"]
    assert inner["places"][0]["line"] == line_of("self.ledger_service.finalize(signed, [session])")


def test_the_text_shows_source_request_and_answer(issue, cordbox):
    export = issue("told")
    done = cordbox("flow", "replay", str(export), "--project", str(SAMPLE), "--until", "2")
    number = line_of("self.flow_messaging.initiate_flow(lender.name)")
    assert f"at iou_flows.py:{number} call" in done.out
    assert "session = self.flow_messaging.initiate_flow(lender.name)" in done.out
    assert '> sessions.open {"counterparty":"O=Bob, L=London, C=GB"' in done.out
    assert "3 steps as recorded; stopped" in done.out


def test_the_packages_own_component_replays_without_lines(issue, cordbox, network):
    export = issue("exact")
    cpi = network.folder.cpi
    words = ("flow", "replay", str(export), "--cpi", str(cpi), "--exact")
    done = cordbox(*words)
    assert (done.code, "at unknown" in done.out) == (0, True)
    assert done.out.splitlines()[0].endswith("the recorded code")
    assert cordbox(*words, "--project", str(SAMPLE)).code == 2


def test_new_code_diverges_at_its_first_other_call(issue, cordbox, changed):
    export = issue("diverging")
    words = ("flow", "replay", str(export), "--project", str(changed))
    done = cordbox(*words, "--output", "json")
    assert done.code == 1
    divergence = done.json["divergence"]
    assert (divergence["step"], divergence["expected"], divergence["actual"]) == (
        1,
        "membership.lookup",
        "flow.now",
    )
    assert divergence["places"][0]["line"] == line_of("lender = _member(")
    text = cordbox(*words).out
    assert "DIVERGES at step 1" in text
    assert "- expected membership.lookup" in text
    assert "+ actual   flow.now" in text


def test_a_changed_request_is_shown_where_it_differs(issue, cordbox):
    export = issue("tampered")
    document = json.loads(export.read_bytes())
    step = next(s for s in document["steps"] if s["function"] == "sessions.send")
    step["digest"], step["request"] = "0" * 32, step["request"].replace(":5", ":6")
    export.write_text(json.dumps(document))
    done = cordbox("flow", "replay", str(export), "--project", str(SAMPLE))
    assert done.code == 1
    expected, actual = (line for line in done.out.splitlines() if " request  " in line)
    assert ('"amount":6' in expected, '"amount":5' in actual) == (True, True)


def test_a_flow_that_runs_is_replayed_to_where_it_waits(flow, cordbox, tmp_path):
    body = json.dumps({"counterparty": BOB, "amount": 5, "pause_millis": 600_000})
    flow("start", ALICE, "iou_flows.IssueIou", body, "--request-id", "waiting")
    while "sleep" not in flow("show", ALICE, "waiting").out:
        pass  # the command takes its time; the test's own limit ends a host that does not get there
    export = tmp_path / "waiting.json"
    flow("export", ALICE, "waiting", "-o", str(export))
    done = cordbox("flow", "replay", str(export), "--project", str(SAMPLE))
    flow("kill", ALICE, "waiting")
    assert (done.code, "waiting" in done.out.splitlines()[-1]) == (0, True)


def test_a_failed_flow_fails_again(issue, cordbox):
    export = issue("failing", counterparty="O=Nobody, L=London, C=GB")
    done = cordbox("flow", "replay", str(export), "--project", str(SAMPLE))
    assert done.code == 0
    assert "failed: O=Nobody, L=London, C=GB is no member" in done.out


def test_another_result_is_a_divergence(issue, cordbox):
    export = issue("result")
    document = json.loads(export.read_bytes())
    document["outcome"]["result"] = "another"
    export.write_text(json.dumps(document))
    done = cordbox("flow", "replay", str(export), "--project", str(SAMPLE), "--output", "json")
    assert done.code == 1
    assert done.json["divergence"]["expected"] == "result another"


def test_a_part_of_a_recording_cannot_be_replayed(issue, cordbox):
    export = issue("partial")
    document = json.loads(export.read_bytes())
    document["steps"] = document["steps"][:3]
    export.write_text(json.dumps(document))
    refused = cordbox("flow", "replay", str(export), "--project", str(SAMPLE))
    assert (refused.code, "flow-export-incomplete" in refused.err) == (1, True)
    with pytest.raises(RecordingIncompleteError):
        replay(export, SAMPLE)


def test_code_without_the_flow_is_refused(issue, cordbox):
    export = issue("elsewhere")
    hello = SAMPLE.parent / "hello"
    refused = cordbox("flow", "replay", str(export), "--project", str(hello))
    assert (refused.code, "flow-not-in-code" in refused.err) == (1, True)


def test_a_native_replay_answers_the_same(issue, changed):
    export = issue("native")
    calls = []
    done = replay(export, SAMPLE, on_step=lambda number, function: calls.append((number, function)))
    recorded = read(export)
    assert done.divergence is None
    assert done.result == recorded.outcome.result
    assert calls == [(s.number, s.function) for s in recorded.steps]
    assert "completed" in str(done)


def debugged(export, commands, **options):
    shown = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=shown, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    return debug(export, SAMPLE, debugger=debugger, **options), shown.getvalue()


def test_pdb_stops_at_a_line_of_the_flow(issue):
    number = line_of("me = self.member_lookup.my_info()\n".strip())
    ended, shown = debugged(
        issue("line"), "p request_body.amount\nn\nc\n", breakpoints=[f"iou_flows.py:{number}"]
    )
    assert f"iou_flows.py({number})call()" in shown
    assert "(Pdb) 5\n" in shown
    assert f"iou_flows.py({number + 1})call()" in shown
    assert ended.divergence is None
    assert ended.result is not None


def test_pdb_stops_where_a_host_call_is_made(issue):
    export = issue("step")
    number = next(s.number for s in read(export).steps if s.function == "ledger.record")
    ended, shown = debugged(export, "p type(signed).__name__\nc\n", at_step=number)
    assert "iou_flows.py(" in shown
    assert "'UtxoSignedTransaction'" in shown
    assert ended.steps == len(read(export).steps)


def test_leaving_the_debugger_leaves_the_flow(issue):
    ended, _ = debugged(issue("left"), "q\n", at_step=0)
    assert ended is None


@pytest.mark.parametrize("text", ["nowhere.py:1", "iou_flows.py", "iou_flows.py:999999"])
def test_a_wrong_breakpoint_is_refused(issue, text):
    with pytest.raises(InvalidInputError, match=text):
        debugged(issue(f"wrong-{len(text)}"), "", breakpoints=[text])


def test_an_export_is_canonical(issue):
    export = issue("canonical")
    assert msgspec.json.encode(read(export)) == export.read_bytes().strip()
