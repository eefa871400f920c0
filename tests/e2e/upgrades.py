"""A node gets one CPI after the other while flows are open, and its host is killed meanwhile.

Every other upgrade is to code that the open flows cannot go on with, so they end with the old one.
Afterwards the rehearsal has told of each flow what became of it, every flow has completed, once, and
both ledgers have each IOU once.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time

import httpx2

from tests.support.killable_host import ALICE, BOB, CORDBOX, SAMPLE, SIGNING

STAGES = ("CHECK", "PAUSE", "REHEARSE", "MIGRATE", "MOVE", "SWITCH", "DONE")
PATIENCE_S = 3600
"""An upgrade rehearses every open flow twice, which a busy machine makes long."""
_SESSION = "        session = self.flow_messaging.initiate_flow(lender.name)\n"
_CLOCK = "        self.clock.now()\n"
_FILE = "workflows/iou_flows.py"


def upgrade_under_kills(host, packages, flows, kills, stages=STAGES):
    """Upgrade Alice `kills` times, each with `flows` open flows, and a kill in the next stage."""
    seed = int(os.environ.get("CORDBOX_KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_KILL_SEED={seed}\n")
    chance = random.Random(seed)
    host.form_network(packages)
    cpbs = _cpbs(packages)
    names = []
    for number in range(kills):
        target = _upload(host, packages, cpbs[_is_other(number)], number)
        round_names = [f"r{number}-{each}" for each in range(flows)]
        _upgrade(host, target, round_names, number, chance, stages[number % len(stages)])
        names += round_names
    for name in (ALICE, BOB):
        for status in ("START_REQUESTED", "RUNNING"):
            path = f"/flow/{host.nodes[name]}?responders=true&status={status}"
            host.until(path, lambda answer: not answer["flowStatusResponses"], PATIENCE_S)
        assert sorted(iou["amount"] for iou in host.ious(name)) == list(range(1, 1 + len(names)))


def _is_other(number):
    """Whether the version after `number` upgrades has the other code: A A B B A A ..., from A."""
    return (number + 1) // 2 % 2 == 1


def _cpbs(packages):
    """The sample, and the same with one more call before it opens a session."""
    folder = packages / "other"
    if not folder.exists():
        shutil.copytree(SAMPLE, folder)
        text = (folder / _FILE).read_text()
        assert text.count(_SESSION) >= 1
        (folder / _FILE).write_text(text.replace(_SESSION, _CLOCK + _SESSION, 1))
        words = ["cordapp", "build", "other", *SIGNING, "--output-dir", "other-out"]
        subprocess.run([CORDBOX, *words], cwd=packages, check=True, capture_output=True)
    return [next((packages / each).glob("*.cpb")) for each in ("out", "other-out")]


def _upload(host, packages, cpb, number):
    """Upload a CPI under another version; its short checksum."""
    file = f"iou-{number}.cpi"
    (packages / file).unlink(missing_ok=True)  # of another kind of host
    words = ["package", "create-cpi", "--cpb", str(cpb), "-g", "policy.json", "--cpi-name", "iou"]
    words += ["--cpi-version", str(number + 2), "--file", file, *SIGNING]
    subprocess.run([CORDBOX, *words], cwd=packages, check=True, capture_output=True)
    files = {"upload": (file, (packages / file).read_bytes())}
    upload = host.ask("POST", "/cpi", files=files).json()["id"]
    return host.until(f"/cpi/status/{upload}", lambda s: s["status"] == "OK")["cpiFileChecksum"]


def _upgrade(host, target, names, number, chance, wanted):
    """One upgrade: flows wait for Bob, the host is killed, Bob goes on, and the flows end."""
    alice, bob = host.nodes[ALICE], host.nodes[BOB]
    assert host.ask("PUT", f"/virtualnode/{bob}/state/PAUSED").status_code == 200
    before = number * len(names)
    for each, name in enumerate(names, 1):
        body = {"counterparty": BOB, "amount": before + each}
        assert host.flow(ALICE, name, "iou_flows.IssueIou", body).status_code == 202
    path = f"/flow/{alice}?status=RUNNING&limit=1000"
    host.until(path, lambda s: len(s["flowStatusResponses"]) >= len(names), PATIENCE_S)
    for name in names:
        host.until(f"/flow/{alice}/{name}/history", lambda h: h.get("waiting") is not None)
    begun = time.monotonic()
    reply = host.ask("PUT", f"/virtualnode/{alice}/cpi/{target}?flows=migrate&diverging=finish")
    request = reply.json()["requestId"]
    stage = _await_stage(host, request, wanted)
    time.sleep(chance.uniform(0.0, 0.2))
    host.kill()
    host.start()
    path = f"/virtualnode/upgrade/{request}"
    done = host.until(path, lambda s: s["status"] in ("SUCCEEDED", "FAILED"), PATIENCE_S)
    assert done["status"] == "SUCCEEDED", done
    sys.stdout.write(
        f"killed in {stage}, {len(names)} open flows,"
        f" {time.monotonic() - begun:.1f} s until it was done\n"
    )
    _check_report(
        done["report"]["flows"], names, diverges=_is_other(number) != _is_other(number - 1)
    )
    version = host.look(f"/virtualnode/{alice}")["cpiIdentifier"]["cpiVersion"]
    assert version == str(number + 2)
    assert host.ask("PUT", f"/virtualnode/{bob}/state/ACTIVE").status_code == 200
    for name in names:
        status = host.result(ALICE, name, PATIENCE_S)
        assert (status["flowStatus"], status["flowError"]) == ("COMPLETED", None)


def _check_report(flows, names, *, diverges):
    """The report has each open flow once, and what became of it."""
    assert sorted(flow["requestId"] for flow in flows) == sorted(names)
    assert {flow["verdict"] for flow in flows} == {"diverges" if diverges else "same"}
    if diverges:
        calls = {frozenset((flow["expected"], flow["found"])) for flow in flows}
        assert calls == {frozenset(("flow.now", "sessions.open"))}
        assert {flow["file"] for flow in flows} == {"iou_flows.py"}
        assert all(flow["line"] for flow in flows)


def _await_stage(host, request, wanted):
    """Wait until an upgrade is in a stage, or beyond it; returns where it is."""
    deadline, found = time.monotonic() + PATIENCE_S, "CHECK"
    while STAGES.index(found) < STAGES.index(wanted):
        assert time.monotonic() < deadline, found
        with contextlib.suppress(httpx2.HTTPError):
            answer = host.ask("GET", f"/virtualnode/upgrade/{request}").json()
            found = answer["processingStage"] or found
    return found
