"""`cordbox flow debug` on flows that never come to where it is to stop."""

import io
import pdb  # noqa: T100  # what is tested

import msgspec
import pytest

from cordapp_testkit.replay import debug
from host.cli import main
from tests.testkit.conftest import PROBE
from tests.testkit.sides import ALICE


@pytest.fixture
def recorded(native):
    """Runs a flow of the probe, and gives its recording."""

    def run(flow, request=None):
        alice = native.node(ALICE)
        alice.start(f"probe_flows.{flow}", request)
        return alice.recording(alice.flows[-1].request_id)

    return run


@pytest.fixture
def debugging():
    """Debugs a recording with these commands on the terminal of pdb."""

    def run(recording, commands="", **options):
        shown = io.StringIO()
        debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=shown, nosigint=True, readrc=False)
        debugger.use_rawinput = False
        return debug(recording, PROBE, debugger=debugger, **options), shown.getvalue()

    return run


def line_of(text):
    lines = (PROBE / "workflows" / "probe_flows.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_a_flow_that_makes_no_call_runs_to_its_end(recorded, debugging):
    ended, shown = debugging(recorded("Echo", "[1]"), at_step=0)
    assert (ended.result, shown) == ("[1]", "")
    assert str(ended) == (
        "step 0 was not reached: the flow made no host call\n0 steps as recorded; completed: [1]"
    )


@pytest.mark.parametrize("step", [4, 99])
def test_a_step_that_is_not_reached_is_told(recorded, debugging, step):
    ended, _ = debugging(recorded("Issue", 5), at_step=step)
    assert ended.missed == [f"step {step} was not reached: the flow made 4 host calls"]
    assert ended.divergence is None


def test_the_last_step_is_reached(recorded, debugging):
    ended, shown = debugging(recorded("Issue", 5), "c\n", at_step=3)
    assert (ended.missed, "probe_flows.py(" in shown) == ([], True)


def test_a_breakpoint_that_is_not_reached_is_told(recorded, debugging):
    recording = recorded("Echo", "[1]")
    elsewhere = f"probe_flows.py:{line_of('ScriptFailedError(')}"
    here = f"probe_flows.py:{line_of('class Echo') + 4}"
    for _ in range(2):  # pdb remembers breakpoints from one debugger to the next
        ended, shown = debugging(recording, "c\n", breakpoints=[elsewhere, here])
        assert ended.missed == [f"{elsewhere} was not reached"]
        assert "(Pdb)" in shown


def test_a_breakpoint_that_was_cleared_where_it_stopped_was_reached(recorded, debugging):
    here = f"probe_flows.py:{line_of('class Echo') + 4}"
    ended, _ = debugging(recorded("Echo", "[1]"), "clear 1\nc\n", breakpoints=[here])
    assert ended.missed == []


@pytest.mark.parametrize(("words", "told"), [((), "step 0"), (("--step", "99"), "step 99")])
def test_the_command_tells_what_was_not_reached(recorded, tmp_path, capsys, words, told):
    export = tmp_path / "first.json"
    export.write_bytes(msgspec.json.encode(recorded("Echo", "[1]")))
    with pytest.raises(SystemExit) as leaving:
        main(["flow", "debug", str(export), "--project", str(PROBE), *words])
    assert leaving.value.code in (None, 0)
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"{told} was not reached: the flow made no host call"
    assert last == "0 steps as recorded; completed: [1]"
