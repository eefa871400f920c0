"""A host is backed up while flows run, and restored elsewhere: what was done stays done, the rest
completes once, and both ledgers agree, in the restored host and in the first one.
"""

import json
import subprocess
import sys
import threading

import pyrage
import pytest

from tests.support.borrowers import check_agreement
from tests.support.killable_host import ALICE, BOB, CORDBOX, KillableHost

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(900)]
FLOWS_BEFORE, FLOWS_DURING_MAX = 20, 40
COMPLETED_BEFORE = 5


def cordbox(folder, *words):
    done = subprocess.run(
        [CORDBOX, "host", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Load:
    """Flows between both nodes, started in the foreground, and then in the background."""

    def __init__(self, host):
        self._host = host
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self.accepted = []

    def start_some(self, count):
        for _ in range(count):
            number = len(self.accepted) + 1
            borrower, lender = (ALICE, BOB) if number % 2 else (BOB, ALICE)
            body = {"counterparty": lender, "amount": number, "pause_millis": number % 4 * 50}
            reply = self._host.flow(borrower, f"issue-{number}", "iou_flows.IssueIou", body)
            assert reply.status_code == 202, reply.text
            self.accepted.append((borrower, f"issue-{number}"))

    def _go_on(self):
        while not self._over.wait(0.01) and len(self.accepted) < FLOWS_DURING_MAX:
            self.start_some(1)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("options", [(), ("--workers", "combined")], ids=["workers", "combined"])
def test_a_backup_under_load_is_restored_elsewhere(tmp_path, packages, host_with, options):
    host = host_with(*options)
    host.form_network(packages)
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    load = Load(host)
    load.start_some(FLOWS_BEFORE)
    completed = results_of(host, load.accepted[:COMPLETED_BEFORE])
    accepted = list(load.accepted)
    with load:
        to = ("--recipient", str(identity.to_public()), "--output", "json")
        facts = json.loads(cordbox(tmp_path, "backup", "data", "host.backup", *to))
    sys.stdout.write(
        f"commits waited {facts['commitsWaitedMillis']} ms; {len(accepted)} flows before,"
        f" {len(load.accepted) - len(accepted)} more until the backup was written\n"
    )
    check(host, load.accepted)

    (tmp_path / "other").mkdir()
    cordbox(tmp_path, "restore", "host.backup", "other/data", "--identity-file", "identity")
    assert "good, 2 virtual nodes" in cordbox(tmp_path, "check", "other/data")
    other = KillableHost(tmp_path / "other", options)
    other.nodes = dict(host.nodes)
    other.start()
    try:
        for (name, request_id), result in completed.items():
            flow = other.look(f"/flow/{other.nodes[name]}/{request_id}")
            assert (flow["flowStatus"], json.loads(flow["flowResult"])) == ("COMPLETED", result)
        # Those that were taken before the backup began are in it, whether they had begun or not.
        check(other, accepted)
    finally:
        other.kill()
    assert "good, 2 virtual nodes" in cordbox(tmp_path, "check", "other/data")


def results_of(host, flows):
    """What flows gave, by node and request, once each has completed."""
    results = {}
    for name, request_id in flows:
        flow = host.result(name, request_id)
        assert (flow["flowStatus"], flow.get("flowError")) == ("COMPLETED", None)
        results[name, request_id] = json.loads(flow["flowResult"])
    return results


def check(host, flows):
    """All of `flows` complete, all others end, and the ledgers agree."""
    results = results_of(host, flows)
    for name in (ALICE, BOB):
        for status in ("START_REQUESTED", "RUNNING"):
            path = f"/flow/{host.nodes[name]}?status={status}&responders=true"
            host.until(path, lambda answer: answer["flowStatusResponses"] == [])
    check_agreement(host, results)
