"""A node gets one CPI after the other while many flows are open, and its host is killed meanwhile.

Run by `make prove-upgrade`: UPGRADED_FLOWS flows wait for a paused node, CORDBOX_KILLS
times; the host is killed in one stage after the other. Afterwards every flow has completed,
once, and both ledgers have each IOU once. ARGS="-k sealed" tries one kind of host alone.
"""

import contextlib
import os
import random
import subprocess
import sys
import time

import httpx2
import pytest

from tests.support.killable_host import ALICE, BOB, CORDBOX, SIGNING

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(7200)]
FLOWS = int(os.environ.get("UPGRADED_FLOWS", "20"))
KILLS = int(os.environ.get("CORDBOX_KILLS", "5"))
ELSEWHERE = max(1, KILLS // 5)
"""Kills with sealed guests, and on a database server."""
STAGES = ("CHECK", "PAUSE", "REHEARSE", "MIGRATE", "MOVE", "SWITCH", "DONE")
PATIENCE_S = 3600
"""An upgrade rehearses every open flow twice, which a busy machine makes long."""


def upload_next(host, packages, number):
    """Upload the sample's CPI under another version; its short checksum."""
    file = f"iou-{number}.cpi"
    (packages / file).unlink(missing_ok=True)  # of another kind of host
    (cpb,) = (packages / "out").glob("*.cpb")
    words = ["package", "create-cpi", "--cpb", str(cpb), "-g", "policy.json", "--cpi-name", "iou"]
    words += ["--cpi-version", str(number), "--file", file, *SIGNING]
    subprocess.run([CORDBOX, *words], cwd=packages, check=True, capture_output=True)
    files = {"upload": (file, (packages / file).read_bytes())}
    upload = host.ask("POST", "/cpi", files=files).json()["id"]
    return host.until(f"/cpi/status/{upload}", lambda s: s["status"] == "OK")["cpiFileChecksum"]


def await_stage(host, request, wanted):
    """Wait until an upgrade is in a stage, or beyond it; returns where it is."""
    deadline, found = time.monotonic() + PATIENCE_S, "CHECK"
    while STAGES.index(found) < STAGES.index(wanted):
        assert time.monotonic() < deadline, found
        with contextlib.suppress(httpx2.HTTPError):
            answer = host.ask("GET", f"/virtualnode/upgrade/{request}").json()
            found = answer["processingStage"] or found
    return found


def test_upgrades_that_are_killed_lose_and_double_nothing(host_with, packages):
    upgrade_under_kills(host_with("--workers", "flow=2"), packages, KILLS)


def test_upgrades_with_sealed_guests(host_with, packages):
    host = host_with("--workers", "flow=1", environment={"CORDBOX_ISOLATION": "process"})
    upgrade_under_kills(host, packages, ELSEWHERE)


def test_upgrades_on_a_database_server(host_with, packages, tmp_path, postgres_server):
    (tmp_path / "database").mkdir()
    environment = postgres_server.new_cluster(tmp_path / "database").environment
    host = host_with("--workers", "flow=1", environment={**environment, "CORDBOX_HOST_NAME": "one"})
    upgrade_under_kills(host, packages, ELSEWHERE)


def upgrade_under_kills(host, packages, kills):
    seed = int(os.environ.get("CORDBOX_KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"CORDBOX_KILL_SEED={seed}\n")
    chance = random.Random(seed)
    host.form_network(packages)
    alice, bob = host.nodes[ALICE], host.nodes[BOB]
    names = []
    for number in range(2, 2 + kills):
        target = upload_next(host, packages, number)
        assert host.ask("PUT", f"/virtualnode/{bob}/state/PAUSED").status_code == 200
        time.sleep(2.5)
        for each in range(FLOWS):
            names.append(f"r{number}-{each}")
            body = {"counterparty": BOB, "amount": 1}
            assert host.flow(ALICE, names[-1], "iou_flows.IssueIou", body).status_code == 202
        path = f"/flow/{alice}?status=RUNNING&limit=1000"
        host.until(path, lambda s: len(s["flowStatusResponses"]) >= FLOWS, PATIENCE_S)
        begun = time.monotonic()
        reply = host.ask("PUT", f"/virtualnode/{alice}/cpi/{target}?flows=migrate")
        request = reply.json()["requestId"]
        stage = await_stage(host, request, STAGES[(number - 2) % len(STAGES)])
        time.sleep(chance.uniform(0.0, 0.2))
        host.kill()
        host.start()
        done = host.until(
            f"/virtualnode/upgrade/{request}",
            lambda s: s["status"] in ("SUCCEEDED", "FAILED"),
            PATIENCE_S,
        )
        assert done["status"] == "SUCCEEDED", done
        verdicts = [flow["verdict"] for flow in done["report"]["flows"]]
        sys.stdout.write(
            f"killed in {stage}, {len(verdicts)} open flows,"
            f" {time.monotonic() - begun:.1f} s until it was done\n"
        )
        assert set(verdicts) == {"same"}
        assert host.look(f"/virtualnode/{alice}")["cpiIdentifier"]["cpiVersion"] == str(number)
        assert host.ask("PUT", f"/virtualnode/{bob}/state/ACTIVE").status_code == 200
        for name in names[-FLOWS:]:
            status = host.result(ALICE, name, PATIENCE_S)
            assert (status["flowStatus"], status["flowError"]) == ("COMPLETED", None)
    for name in (ALICE, BOB):
        assert len(host.ious(name)) == len(names)
