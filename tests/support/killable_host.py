"""A host process with the IOU sample that tests kill, and look after until it has caught up."""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import httpx2
import pytest

CORDBOX = str(Path(sys.executable).with_name("cordbox"))
SAMPLE = Path(__file__).parents[2] / "sample_cordapps" / "iou"
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"
SIGNING = ("--keystore", "k.p12", "--storepass", "password", "--key", "a")
DRAIN_SECONDS_MAX = 300
ENDED = {"COMPLETED", "FAILED", "KILLED"}


def cordbox_in(folder, *words):
    """Run a command in a folder."""
    subprocess.run([CORDBOX, *words], cwd=folder, check=True, capture_output=True)


def make_packages(folder):
    """The sample's CPI, and its signer's certificate, in `folder`."""
    cordbox = partial(cordbox_in, folder)
    name = "CN=Signer, O=Acme, L=London, C=GB"
    store = ("--file", "k.p12", "--storepass", "password", "--alias", "a")
    cordbox("keystore", "create", *store, "--dname", name)
    cordbox("keystore", "export-certificate", *store, "--output", "k.pem")
    cordbox("cordapp", "build", str(SAMPLE), *SIGNING, "--output-dir", "out")
    endpoint = ("--endpoint", "http://localhost:1080", "--endpoint-protocol", "1")
    members = ("--name", ALICE, "--name", BOB)
    cordbox("network", "groupPolicy", *members, *endpoint, "--output-file", "policy.json")
    cpi = ("--cpi-name", "iou", "--cpi-version", "1", "--file", "iou.cpi")
    (cpb,) = (folder / "out").glob("*.cpb")
    cordbox("package", "create-cpi", "--cpb", str(cpb), "-g", "policy.json", *cpi, *SIGNING)
    return folder


class KillableHost:
    """A host process on one data directory, and a client of whichever process runs now."""

    def __init__(self, folder, options, prefix=(), environment=None):
        self._folder = folder
        self._prefix = prefix
        self._options = options
        self._environment = {**os.environ, **(environment or {})}
        self._process = self._client = None
        self.nodes = {}
        (folder / "password").write_text("given\n")

    def start(self):
        words = ["host", "run", "--data-dir", "data", "--listen", "127.0.0.1:0"]
        words += ["--admin-password-file", "password", "--output", "json", *self._options]
        log = self._folder / "host.log"
        with log.open("a") as stream:
            self._process = subprocess.Popen(
                [*self._prefix, CORDBOX, *words],
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env=self._environment,
            )
        line = self._process.stdout.readline()
        assert line, log.read_text()[-2000:]
        self.facts = facts = json.loads(line)
        assert "url" in facts, facts
        self.url = facts["url"]
        self._client = httpx2.Client(
            base_url=f"{facts['url']}/api/v5_2",
            verify=ssl.create_default_context(cafile=facts["certificate"]),
            auth=("admin", "given"),
            timeout=30,
        )

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._client.close()

    @property
    def pid(self):
        return self._process.pid

    def kill_all(self):
        """Kill all its processes at once, as when its machine is gone."""
        for pid in self.all_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def resident_mib(self):
        """Memory of its processes, of what they share a share each."""
        kib = 0
        for pid in self.all_pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += int(text.partition("Pss:")[2].split()[0])
        return kib / 1024

    def kill_worker(self, chance, *, only_ready=False):
        """Kill any worker process that runs; the supervisor brings it back.

        On a busy machine a start takes longer than the time between two kills: to kill it as well
        shows nothing, and the host never runs.
        """
        return _kill_one(chance, lambda: self._workers(only_ready=only_ready))

    def kill_guests(self, chance):
        """Kill any process that runs a virtual node's guests; the next run gets another."""

        def found():
            return {pid: "guests" for worker in self._workers() for pid in _guest_processes(worker)}

        return _kill_one(chance, found)

    def worker_pids(self):
        return sorted(self._workers())

    def all_pids(self):
        """The host's processes: supervisor, workers, and the guests' ones."""
        workers = self.worker_pids()
        guests = [pid for worker in workers for pid in _guest_processes(worker)]
        return [self._process.pid, *workers, *guests]

    def _workers(self, *, only_ready=False):
        table = json.loads((self._folder / "data" / "run" / "workers.json").read_text())
        return {
            row["pid"]: row["name"]
            for row in table["workers"]
            if row["pid"] is not None and (row["phase"] == "ready" or not only_ready)
        }

    def ask(self, method, path, **more):
        return self._client.request(method, path, **more)

    def look(self, path, seconds_max=DRAIN_SECONDS_MAX):
        """What a path answers; asked again when a kill cut the answer off, or storage is away."""
        deadline = time.monotonic() + seconds_max
        while True:
            try:
                reply = self.ask("GET", path)
            except httpx2.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
                continue
            if reply.status_code == 503 and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            assert reply.status_code == 200, reply.text
            return reply.json()

    def until(self, path, holds, seconds_max=DRAIN_SECONDS_MAX):
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            answer = self.look(path, seconds_max)
            if holds(answer):
                return answer
            time.sleep(0.05)
        pytest.fail(f"{path} stays {answer}")

    def form_network(self, packages):
        pem = {"certificate": (packages / "k.pem").read_bytes()}
        where = "/certificate/cluster/code-signer"
        assert self.ask("PUT", where, data={"alias": "a"}, files=pem).status_code == 204
        cpi = {"upload": ("iou.cpi", (packages / "iou.cpi").read_bytes())}
        upload = self.ask("POST", "/cpi", files=cpi).json()["id"]
        stored = self.until(f"/cpi/status/{upload}", lambda s: s["status"] == "OK")
        for name in (ALICE, BOB):
            body = {"cpiFileChecksum": stored["cpiFileChecksum"], "x500Name": name}
            request = self.ask("POST", "/virtualnode", json=body).json()["requestId"]
            path = f"/virtualnode/status/{request}"
            node = self.until(path, lambda s: s["status"] == "SUCCEEDED")["resourceId"]
            context = {"context": {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}}
            reply = self.ask("POST", f"/membership/{node}", json=context).json()
            assert reply["registrationStatus"] == "SUBMITTED"
            self.nodes[name] = node

    def flow(self, name, request_id, flow_class, body):
        start = {"clientRequestId": request_id, "flowClassName": flow_class, "requestBody": body}
        return self.ask("POST", f"/flow/{self.nodes[name]}", json=start)

    def result(self, name, request_id, seconds_max=DRAIN_SECONDS_MAX):
        path = f"/flow/{self.nodes[name]}/{request_id}"
        return self.until(path, lambda s: s["flowStatus"] in ENDED, seconds_max)

    def ious(self, name):
        assert self.flow(name, "list", "iou_flows.ListIous", {}).status_code == 202
        return json.loads(self.result(name, "list")["flowResult"])

    def all_statuses(self, name):
        """Statuses of the flows of a node, its responders among them."""
        answer = self.look(f"/flow/{self.nodes[name]}?responders=true")
        return Counter(flow["flowStatus"] for flow in answer["flowStatusResponses"])


def _kill_one(chance, find):
    """Kill one of the processes that `find` finds; gives its name."""
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while time.monotonic() < deadline:
        if found := find():
            pid = chance.choice(sorted(found))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return found[pid]
        time.sleep(0.05)  # all are dead, and not back yet
    pytest.fail("no process runs that could be killed")


def _guest_processes(parent):
    """The processes of guests that a process has started, on any of its threads."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                if b"sandbox.isolation.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    yield int(pid)
