"""Real worker processes: each may be killed, all end with their supervisor, others may join."""

import json
import os
import re
import signal
import subprocess

import pytest

from tests.support.metrics_page import compared_with_page
from tests.workers.conftest import CORDBOX, HostProcess

pytestmark = [pytest.mark.crash, pytest.mark.slow]
SPLIT = "flow=1,crypto=1,uniqueness=1,persistence=1,verification=1,membership=1"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = HostProcess(tmp_path_factory.mktemp("host"), "--workers", SPLIT)
    yield made
    made.end()


def test_every_kind_has_its_process_and_rest_tells_of_all(host):
    with host.client() as client:
        assert client.get("/status").json() == {"status": "OK"}
        seen = client.get("/overview").json()
        metrics = client.get("/metrics").text
    kinds = {"crypto", "uniqueness", "verification", "membership", "persistence", "flow", "rest"}
    assert {w["kind"] for w in seen["workers"]} == kinds
    assert {w["pid"] for w in seen["workers"]} == host.pids()
    for kind in kinds:
        assert f'cordbox_worker_resident_bytes{{worker="{kind}-0"}}' in metrics
    assert {line["worker"] for line in host.lines()} <= {"supervisor", *host.table()}


def test_the_metrics_of_every_worker_are_those_of_the_page(host):
    with host.client() as client:
        text = client.get("/metrics").text
    seen, wrong = compared_with_page(text)
    assert wrong == []
    assert len(seen) > 20
    kinds = ("crypto", "uniqueness", "verification", "membership", "persistence", "flow", "rest")
    workers = {f"{kind}-0" for kind in kinds}
    assert workers <= set(re.findall(r'worker="([a-z]+-[0-9]+)"', text))


@pytest.mark.parametrize(
    "kind", ["crypto", "uniqueness", "verification", "membership", "persistence", "flow"]
)
def test_a_killed_worker_is_restarted(host, kind):
    name = f"{kind}-0"
    before = host.table()
    os.kill(before[name]["pid"], signal.SIGKILL)
    after = host.until_restarted(name, before[name]["pid"])
    assert after[name]["restarts"] == before[name]["restarts"] + 1
    others = [row["pid"] for row in before.values() if row["name"] != name]
    assert others == [row["pid"] for row in after.values() if row["name"] != name]


def test_clients_wait_while_rest_is_restarted(host):
    """The supervisor holds the socket: nobody is refused."""
    before = host.table()["rest-0"]
    os.kill(before["pid"], signal.SIGKILL)
    with host.client() as client:
        assert client.post("/api/v5_2/hello?addressee=Bob").text == "Hello, Bob! (from admin)"
    assert host.table()["rest-0"]["pid"] != before["pid"]


def test_a_worker_joins_a_running_host_and_leaves_it(host, cordbox):
    words = [CORDBOX, "worker", "verification", "--data-dir", str(host.data), "--output", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as more:
        name = json.loads(more.stdout.readline())["name"]
        assert name == f"verification-p{more.pid}"
        host.until_seen(lambda workers: name in workers)
        where = ("--url", host.url, "--ca-file", host.facts["certificate"])
        code, text = cordbox("host", "status", *where)
        assert code == 0, text
        assert [line.split()[2] for line in text.splitlines() if line.startswith(name)] == [
            "joined"
        ]
        more.send_signal(signal.SIGTERM)
        assert more.wait(60) == 0
    host.until_seen(lambda workers: name not in workers)
    code, text = cordbox("host", "status", *where, "--output", "json")
    assert name not in {worker["name"] for worker in json.loads(text)["workers"]}


def test_a_second_rest_worker_is_refused(host, cordbox):
    code, text = cordbox("worker", "rest", "--data-dir", str(host.data))
    assert (code, "error[worker-not-wanted]" in text) == (1, True)


def test_a_second_host_is_refused_while_one_runs(host, cordbox):
    code, text = cordbox("host", "run", "--data-dir", str(host.data), "--listen", "127.0.0.1:0")
    assert (code, "error[data-directory-locked]" in text) == (1, True)


def test_workers_end_with_a_killed_supervisor_and_the_next_host_starts(tmp_path, running, gone):
    with running(tmp_path, "--workers", "flow=2") as host:
        pids = host.pids()
        words = [CORDBOX, "worker", "flow", "--data-dir", str(host.data)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as joined:
            assert joined.stdout.readline().startswith(b"ready: flow-p")
            host.process.kill()
            # Not even the workers' end is waited for: the next host does that itself.
            with running(tmp_path, "--workers", "flow=1") as again:
                assert again.table().keys() == {"flow-0", "rest-0"}
                gone(pids)
                assert joined.wait(60) == 0


def test_a_host_drains_when_told_and_leaves_nobody(tmp_path, running, gone):
    with running(tmp_path, "--workers", "flow=1,crypto") as host:
        pids = host.pids()
        assert host.end() == 0
        gone(pids)
    ended = [line["name"] for line in host.lines() if line["event"] == "worker-ended"]
    assert ended == ["rest-0", "flow-0", "crypto-0"]
    assert {line["worker"] for line in host.lines() if line["event"] == "draining"} >= {
        "flow-0",
        "crypto-0",
    }


def test_a_worker_without_a_host_is_refused(tmp_path, cordbox):
    code, text = cordbox("worker", "flow", "--data-dir", str(tmp_path))
    assert (code, "error[host-not-running]" in text) == (75, True)


def test_a_host_in_one_process_takes_no_workers(tmp_path, running, cordbox):
    with running(tmp_path, "--workers", "combined") as host:
        code, text = cordbox("worker", "flow", "--data-dir", str(host.data))
    assert (code, "error[host-not-running]" in text) == (75, True)


def test_a_host_whose_worker_cannot_start_says_why_and_ends(tmp_path, cordbox):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "master-key").write_bytes(b"too short")
    (tmp_path / "secrets" / "master-key").chmod(0o600)
    words = ("host", "run", "--data-dir", str(tmp_path), "--listen", "127.0.0.1:0")
    code, text = cordbox(*words, "--workers", "crypto=1,flow=1")
    assert (code, "error[master-key" in text) == (1, True), text
    assert not list((tmp_path / "run").glob("*.sock"))
