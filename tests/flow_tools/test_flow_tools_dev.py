"""The development loop: what changes is built and uploaded, what is wrong is told and waited out."""

import json
import subprocess
from pathlib import Path
from threading import Event

import pytest

from host.cli.dev import shell_line
from host.tools.dev.folder import DevFolder, MembersChangedError
from host.tools.dev.host_process import HostNotStartedError, HostProcess
from host.tools.dev.watch import SourceWatch, named
from host.tools.network import operations

ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
PROJECT = """[cordapp]
name = "tiny"
version = "1.0.0"
vendor = "Test"
licence = "Apache-2.0"

[workflow]
name = "com.example.tiny"
source = "src"
modules = ["tiny"]
version = 1
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "cordapp.toml").write_text(PROJECT)
    (tmp_path / "src" / "tiny.py").write_text("a = 1\n")
    return tmp_path


def test_a_watch_tells_changed_added_and_removed_files(project):
    watch = SourceWatch(project)
    source = project / "src" / "tiny.py"
    assert watch.changes() == ()
    source.write_text("a = 22\n")
    (project / "src" / "more.py").write_text("")
    assert watch.changes() == (project / "src" / "more.py", source)
    assert watch.changes() == ()
    source.unlink()
    assert watch.changes() == (source,)


def test_a_network_with_a_notary_is_one_of_its_own(tmp_path):
    notary = "O=Notary, L=London, C=GB"
    folder = DevFolder(tmp_path / "dev", (ALICE, BOB), notary=notary)
    assert (set(folder.members), folder.notary) == ({ALICE, BOB}, notary)
    assert notary in folder.group_policy
    with pytest.raises(MembersChangedError, match="holds a network of"):
        DevFolder(tmp_path / "dev", (ALICE, BOB))
    assert DevFolder(tmp_path / "dev", (BOB, ALICE), notary=notary).group_id == folder.group_id


def test_a_touched_file_has_not_changed(project):
    watch = SourceWatch(project)
    source = project / "src" / "tiny.py"
    source.write_bytes(source.read_bytes())
    (project / "src" / "__pycache__").mkdir()
    (project / "src" / "__pycache__" / "tiny.pyc").write_bytes(b"x")
    (project / "src" / ".hidden").write_text("x")
    assert watch.changes() == ()


def test_a_watch_survives_a_broken_project_file(project):
    watch = SourceWatch(project)
    (project / "cordapp.toml").write_text("[cordapp")
    changed = watch.changes()
    assert project / "cordapp.toml" in changed
    (project / "cordapp.toml").write_text(PROJECT)
    assert set(watch.changes()) == {project / "cordapp.toml", project / "src" / "tiny.py"}


def test_changes_are_named_shortly(project):
    many = tuple(project / "src" / f"m{n}.py" for n in range(7))
    assert named(project, many[:2]) == "src/m0.py, src/m1.py"
    assert named(project, many).endswith("src/m4.py and 2 more")


def test_changes_are_named_shortly_where_the_project_is_given_by_a_relative_path(
    project, monkeypatch
):
    monkeypatch.chdir(project.parent)
    assert named(Path(project.name), (project / "src" / "m0.py",)) == "src/m0.py"


def test_the_line_for_the_shell_works_in_every_folder(tmp_path, monkeypatch):
    folder = tmp_path / "my dev"
    folder.mkdir()
    (folder / "password").write_text("given\n")
    monkeypatch.chdir(tmp_path)
    line = shell_line("https://host", Path("my dev/tls.pem"), Path("my dev/password"))
    shown = f'{line}; echo "$CORDBOX_URL|$CORDBOX_CA_FILE|$CORDBOX_ADMIN_PASSWORD"'
    told = subprocess.run(["sh", "-c", shown], cwd="/", capture_output=True, text=True, check=True)
    assert told.stdout == f"https://host|{folder / 'tls.pem'}|given\n"


def test_a_folder_is_used_again_and_keeps_its_network(tmp_path):
    first = DevFolder(tmp_path / "dev", (ALICE, BOB))
    again = DevFolder(tmp_path / "dev", (BOB, ALICE))
    assert (first.group_id, first.password, first.certificate) == (
        again.group_id,
        again.password,
        again.certificate,
    )
    assert {p.stat().st_mode & 0o077 for p in (tmp_path / "dev").iterdir()} == {0}
    with pytest.raises(MembersChangedError, match="Alice"):
        DevFolder(tmp_path / "dev", (ALICE,))


class Scripted:
    """A host that answers the given stages of an upload, one for each look."""

    def __init__(self, stages):
        self.stages = iter(stages)

    def upload(self, _method, _path, _files):
        return {"id": "1"}

    def get(self, path):
        assert path == "/cpi/status/1"
        stage = next(self.stages)
        return {"status": stage, **({"cpiFileChecksum": "ABC"} if stage == "OK" else {})}


def test_the_stages_of_an_upload_are_told_once_each(monkeypatch):
    monkeypatch.setattr(operations, "_POLL_SECONDS", 0)
    told, stages = (
        [],
        ["Validating CPI", "Compiling CPKs: 0 of 2", "Compiling CPKs: 1 of 2 (a.jar)"],
    )
    client = Scripted([stage for stage in stages for _ in range(3)] + ["OK"])
    found = operations.upload_cpi(client, b"", "a.cpi", force=False, progress=told.append)
    assert (found, told) == ("ABC", stages)


def test_a_host_that_cannot_start_tells_why(tmp_path):
    password = tmp_path / "password"
    password.write_text("given\n")
    with pytest.raises(HostNotStartedError, match="listen"):
        HostProcess.start(
            data=tmp_path / "data",
            listen="nowhere",
            password_file=password,
            log=tmp_path / "log",
        )


@pytest.mark.slow
def test_the_first_build_tells_each_of_its_steps(network):
    """In their order, each once: what `cordbox dev` shows while the first build takes its time."""
    steps = network.steps
    codes = [step for step in steps if step.startswith("Prepar")]
    assert {step.partition(" ")[0] for step in codes} <= {"Preparing", "Prepared"}
    assert len(codes) >= 2
    assert steps.index("Signing packages") > steps.index(codes[-1])
    assert len(steps) > steps.index("Signing packages") + 1, "the stages of the upload follow"


def test_broken_sources_are_told_and_the_old_code_stays(network, flow):
    source = network.project / "workflows" / "iou_flows.py"
    good = source.read_text()
    network.told.clear()
    source.write_text(good + "\ndef broken(\n")
    assert not network.loop.reload()
    assert any("iou_flows.py:" in line and "error[" in line for line in network.told)
    source.write_text(good)
    assert network.loop.reload()
    assert network.told[-1] == "nothing that is packaged has changed"
    assert flow("start", ALICE, "iou_flows.ListIous", "{}", "--wait").code == 0


@pytest.mark.slow
def test_new_code_takes_the_place_of_the_old_and_data_stays(network, flow, issue):
    issue("before")
    source = network.project / "workflows" / "iou_flows.py"
    good = source.read_text()
    source.write_text(
        good.replace('"currency": str = "GBP"', '"currency": str = "EUR"') + "\nNEW = 1\n"
    )
    nodes = dict(network.loop.nodes)
    network.told.clear()
    try:
        assert network.loop.reload(), network.told
        assert "runs as CPI" in network.told[-1]
        assert network.loop.nodes == nodes
        listed = flow("start", ALICE, "iou_flows.ListIous", "{}", "--wait")
        assert len(json.loads(listed.out)) >= 1
    finally:
        source.write_text(good)
        assert network.loop.reload()


@pytest.mark.slow
def test_running_flows_that_new_code_breaks_are_named_before(network, flow):
    body = json.dumps({"counterparty": BOB, "amount": 5, "pause_millis": 600_000})
    flow("start", ALICE, "iou_flows.IssueIou", body, "--request-id", "breaks")
    while "sleep" not in flow("show", ALICE, "breaks").out:
        pass  # the command takes its time; the test's own limit ends a host that does not get there
    source = network.project / "workflows" / "iou_flows.py"
    good = source.read_text()
    line = "        me = self.member_lookup.my_info()\n        lender"
    source.write_text(good.replace(line, line.replace("\n", "\n        self.clock.now()\n"), 1))
    network.told.clear()
    try:
        assert network.loop.reload()
        warned = [line for line in network.told if "breaks" in line]
        assert warned == [
            "warning: running flow breaks fails when it goes on: step 1 was membership.lookup,"
            " is flow.now"
        ]
    finally:
        source.write_text(good)
        network.loop.reload()
        flow("kill", ALICE, "breaks")


@pytest.mark.slow
def test_the_loop_reloads_after_a_change_until_it_is_stopped(network):
    source: Path = network.project / "workflows" / "iou_flows.py"
    good = source.read_text()
    stop, looks = Event(), []

    def is_alive():
        looks.append(len(network.told))
        if len(looks) == 1:
            source.write_text(good + "\n# a comment\n")
        if any(line.startswith("changed: workflows/iou_flows.py") for line in network.told):
            stop.set()
        return True

    network.told.clear()
    try:
        network.loop.run(stop, is_alive)
        assert any(line.startswith("changed:") for line in network.told)
    finally:
        source.write_text(good)
        network.loop.reload()
