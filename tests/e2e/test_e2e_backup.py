"""A host is backed up while flows run, and restored elsewhere: what was done stays done, the rest
completes once, and both ledgers agree, in the restored host and in the first one.
"""

import json
import os
import random
import subprocess
import sys

import pyrage
import pytest

from tests.support.borrowers import Borrowers, check_agreement, check_ledgers
from tests.support.killable_host import ALICE, BOB, CORDBOX, ENDED, KillableHost

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]
FLOWS_BEFORE = 20


def cordbox(folder, *words):
    done = subprocess.run(
        [CORDBOX, "host", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_backup_under_load_is_restored_elsewhere(tmp_path, packages, host_with):
    seed = int(os.environ.get("CORDBOX_KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_KILL_SEED={seed}\n")
    host = host_with()
    host.form_network(packages)
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    to = ("--recipient", str(identity.to_public()), "--output", "json")
    borrowers = Borrowers(host, seed)
    try:
        wait_for_flows(host)
        accepted = list(borrowers.accepted)
        completed = completed_flows(host)
        told = cordbox(tmp_path, "backup", "data", "host.backup", *to)
    finally:
        borrowers.stop()
    facts = json.loads(told)
    sys.stdout.write(f"commits waited {facts['commitsWaitedMillis']} ms\n")
    check_ledgers(host, borrowers)

    (tmp_path / "other").mkdir()
    cordbox(tmp_path, "restore", "host.backup", "other/data", "--identity-file", "identity")
    assert "good, 2 virtual nodes" in cordbox(tmp_path, "check", "other/data")
    other = KillableHost(tmp_path / "other", ())
    other.nodes = dict(host.nodes)
    other.start()
    try:
        at_once = completed_flows(other)
        assert {key: at_once.get(key) for key in completed} == completed
        for name in (ALICE, BOB):
            other.until(f"/flow/{other.nodes[name]}?responders=true", all_ended)
        for name, request_id, _ in accepted:
            assert other.result(name, request_id)["flowStatus"] == "COMPLETED"
        check_agreement(other, completed_flows(other))
    finally:
        other.kill()
    assert "good, 2 virtual nodes" in cordbox(tmp_path, "check", "other/data")


def wait_for_flows(host):
    for name in (ALICE, BOB):
        host.until(
            f"/flow/{host.nodes[name]}",
            lambda answer: (
                len([f for f in answer["flowStatusResponses"] if f["flowStatus"] == "COMPLETED"])
                >= FLOWS_BEFORE // 2
            ),
        )


def completed_flows(host):
    """What each completed issue of an IOU gave, by node and request."""
    found = {}
    for name in (ALICE, BOB):
        for flow in host.look(f"/flow/{host.nodes[name]}")["flowStatusResponses"]:
            request_id = flow["clientRequestId"]
            if flow["flowStatus"] == "COMPLETED" and request_id.startswith("issue-"):
                result = host.look(f"/flow/{host.nodes[name]}/{request_id}")["flowResult"]
                found[name, request_id] = json.loads(result)
    return found


def all_ended(answer):
    return all(flow["flowStatus"] in ENDED for flow in answer["flowStatusResponses"])
