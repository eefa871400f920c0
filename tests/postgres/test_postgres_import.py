"""From one machine to several: an embedded host's data directory becomes the database of a cluster."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from host.cli import root
from tests.postgres.conftest import Start
from tests.support.killable_host import ALICE, BOB, KillableHost, make_packages
from tests.support.postgres import Cluster

ISSUES = 6


def imported(folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Result:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(root, ["database", "import", str(folder)])


def issue(host: KillableHost, number: int) -> None:
    body = {"counterparty": BOB, "amount": number + 1}
    reply = host.flow(ALICE, f"issue-{number}", "iou_flows.IssueIou", body)
    assert reply.status_code == 202, reply.text


@pytest.mark.acceptance(16)
def test_flows_in_flight_complete_in_the_database_that_a_directory_was_imported_into(
    start: Start, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packages").mkdir()
    (tmp_path / "embedded").mkdir()
    before = KillableHost(tmp_path / "embedded", ("--workers", "combined"))
    before.start()
    before.form_network(make_packages(tmp_path / "packages"))
    issue(before, 0)
    assert before.result(ALICE, "issue-0")["flowStatus"] == "COMPLETED"
    directory = tmp_path / "embedded" / "data"
    running = imported(directory, cluster, monkeypatch)
    assert "data-directory-locked" in getattr(running.exception, "code", ""), running.output
    for number in range(1, ISSUES):
        issue(before, number)
    before.kill()
    command = ["audit", "admin", str(directory), "--verify", "--output", "json"]
    known = json.loads(CliRunner().invoke(root, command).output)
    done = imported(directory, cluster, monkeypatch)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "imported: 2 virtual nodes, 1 packages" in done.output
    again = imported(directory, cluster, monkeypatch)
    assert getattr(again.exception, "code", "") == "data-directory-moved"
    shutil.copytree(directory, tmp_path / "copy")
    (tmp_path / "copy" / "moved").unlink()
    full = imported(tmp_path / "copy", cluster, monkeypatch)
    assert getattr(full.exception, "code", "") == "database-import-refused"

    after = start("one")
    after.nodes = before.nodes
    ended = [after.result(ALICE, f"issue-{number}") for number in range(ISSUES)]
    assert [flow["flowStatus"] for flow in ended] == ["COMPLETED"] * ISSUES, ended
    assert sorted(iou["amount"] for iou in after.ious(BOB)) == list(range(1, ISSUES + 1))
    # With the keys that came.
    issue(after, ISSUES)
    assert after.result(ALICE, f"issue-{ISSUES}")["flowStatus"] == "COMPLETED"
    # Of the log, what both hosts wrote is one chain under the key that came.
    verified = CliRunner().invoke(root, ["audit", "admin", "--verify", "--output", "json"])
    found = json.loads(verified.output)
    assert (found["good"], found["authenticated"]) == (True, True), found
    assert found["entries"] > known["entries"] > 0
