"""A host and its continuous backup are killed under load; a standby takes over from what has arrived.

What was done before the newest part stays done. Clients ask again for what they asked for before:
each of these flows ends once, and both ledgers agree.
"""

import json
import signal
import subprocess
import sys
import time

import pyrage
import pytest

from tests.support.borrowers import check_agreement
from tests.support.killable_host import ALICE, BOB, CORDBOX, KillableHost

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]
ISSUE = "iou_flows.IssueIou"
FLOWS, COMPLETED, ROUNDS = 6, 2, 3


class Command:
    """A command that goes on, and prints a line of JSON for each part."""

    def __init__(self, folder, *words):
        self._log = (folder / f"{words[0]}.log").open("w")
        self._process = subprocess.Popen(
            [CORDBOX, "host", *words, "--output", "json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def part(self):
        line = self._process.stdout.readline()
        assert line, self._log.name
        return json.loads(line)

    def end(self, by):
        """Send a signal; gives the lines that are left, and the exit code."""
        self._process.send_signal(by)
        left = [json.loads(line) for line in self._process.stdout if line.endswith("\n")]
        self._process.stdout.close()
        self._log.close()
        return left, self._process.wait()


def cordbox(folder, *words):
    done = subprocess.run(
        [CORDBOX, "host", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_standby_takes_over_from_a_host_that_was_killed_under_load(tmp_path, packages, host_with):
    host = host_with("--workers", "combined")
    host.form_network(packages)
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    (tmp_path / "other").mkdir()
    to = ("--recipient", str(identity.to_public()), "--every", "0.5", "--continuous")
    backup = Command(tmp_path, "backup", "data", "parts", *to)
    parts = [backup.part()]
    standby = Command(tmp_path, "standby", "parts", "other/data", "--identity-file", "identity")
    assert standby.part()["part"] == 1
    asked, seen = [], {}
    for _ in range(ROUNDS):
        begun = len(asked)
        for number in range(begun, begun + FLOWS):
            name, lender = (ALICE, BOB) if number % 2 else (BOB, ALICE)
            body = {"counterparty": lender, "amount": number + 1, "pause_millis": number % 3 * 50}
            asked.append((name, f"issue-{number}", body))
            assert host.flow(name, f"issue-{number}", ISSUE, body).status_code == 202
        if len(asked) == ROUNDS * FLOWS:
            break  # these are in flight when the host dies
        for name, request_id, _ in asked[begun : begun + COMPLETED]:
            flow = host.result(name, request_id)
            assert flow["flowStatus"] == "COMPLETED"
            seen[name, request_id] = (time.time() * 1000, json.loads(flow["flowResult"]))
        parts.append(backup.part())
    host.kill()
    killed_at = time.time() * 1000
    left, _ = backup.end(signal.SIGKILL)
    parts += left
    _, code = standby.end(signal.SIGTERM)
    assert code == 0
    took = ("standby", "parts", "other/data", "--identity-file", "identity", "--take-over")
    taken = json.loads(cordbox(tmp_path, *took, "--output", "json"))
    assert taken["at"] >= parts[-1]["at"]
    assert "good, 2 virtual nodes" in cordbox(tmp_path, "check", "other/data")
    bytes_of_parts = [part["bytes"] for part in parts[1:]]
    sys.stdout.write(
        f"lost: the last {killed_at - taken['at']:.0f} ms; part {taken['part']}; base"
        f" {parts[0]['bytes']} bytes, parts {bytes_of_parts}; commits waited at most"
        f" {max(part['commitsWaitedMillis'] for part in parts)} ms\n"
    )
    other = KillableHost(tmp_path / "other", ("--workers", "combined"))
    other.nodes = dict(host.nodes)
    other.start()
    try:
        for (name, request_id), (at, result) in seen.items():
            if at < taken["at"]:
                flow = other.look(f"/flow/{other.nodes[name]}/{request_id}")
                assert flow["flowStatus"] == "COMPLETED"
                assert json.loads(flow["flowResult"]) == result
        results = {}
        for name, request_id, body in asked:
            again = other.flow(name, request_id, ISSUE, body)
            assert again.status_code in {202, 409}, again.text
        for name, request_id, _ in asked:
            flow = other.result(name, request_id)
            assert (flow["flowStatus"], flow.get("flowError")) == ("COMPLETED", None)
            results[name, request_id] = json.loads(flow["flowResult"])
        for name in (ALICE, BOB):
            for status in ("START_REQUESTED", "RUNNING"):
                path = f"/flow/{other.nodes[name]}?status={status}&responders=true"
                other.until(path, lambda answer: answer["flowStatusResponses"] == [])
        check_agreement(other, results)
    finally:
        other.kill()
