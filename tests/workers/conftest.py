"""Hosts as real processes, and what is known of their workers."""

import json
import os
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.hosts import polled

CORDBOX = str(Path(sys.executable).with_name("cordbox"))
SECONDS_MAX = 60


class HostProcess:
    """A host on a data directory, its supervisor being a child of this process."""

    def __init__(self, folder, *options):
        self.folder, self.data = folder, folder / "data"
        (folder / "password").write_text("given\n")
        words = ["host", "run", "--data-dir", "data", "--listen", "127.0.0.1:0", *options]
        words += ["--admin-password-file", "password", "--output", "json", "--log-format", "json"]
        self.log = folder / "host.log"
        with self.log.open("a") as stream:
            self.process = subprocess.Popen(
                [CORDBOX, *words],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        line = self.process.stdout.readline()
        assert line, self.log.read_text()[-3000:]
        self.facts = json.loads(line)
        self.url = self.facts["url"]
        self.tls = ssl.create_default_context(cafile=self.facts["certificate"])

    def client(self):
        return httpx2.Client(
            base_url=self.url, verify=self.tls, auth=("admin", "given"), timeout=30
        )

    def table(self):
        """The supervisor's rows by name."""
        table = json.loads((self.data / "run" / "workers.json").read_text())
        return {row["name"]: row for row in table["workers"]}

    def pids(self):
        return {row["pid"] for row in self.table().values()}

    def until(self, holds):
        """Wait until the supervisor's table fits; gives it."""
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            table = self.table()
            if holds(table):
                return table
            time.sleep(0.02)
        pytest.fail(f"workers stay {table}")

    def until_restarted(self, name, pid):
        return self.until(lambda t: t[name]["phase"] == "ready" and t[name]["pid"] != pid)

    def until_seen(self, holds):
        """Wait until the names of the workers in the overview fit; it is made once a second."""
        with self.client() as client:
            polled(
                client, "/overview", lambda seen: holds({row["name"] for row in seen["workers"]})
            )

    def lines(self):
        """The lines of the log."""
        found = []
        for line in self.log.read_text().splitlines():
            assert line.startswith("{"), line
            found.append(json.loads(line))
        return found

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(SECONDS_MAX)
        self.process.stdout.close()
        return status


@contextmanager
def _running(folder, *options):
    host = HostProcess(folder, *options)
    try:
        yield host
    finally:
        host.end()


@pytest.fixture
def running():
    """Runs a host in a folder, for the length of a block."""
    return _running


@pytest.fixture
def gone():
    """Waits until none of the processes is left."""

    def wait(pids):
        deadline = time.monotonic() + SECONDS_MAX
        left = set(pids)
        while left and time.monotonic() < deadline:
            left = {pid for pid in left if _lives(pid)}
            time.sleep(0.01)
        assert not left

    return wait


def _lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.fixture
def cordbox():
    """Runs a command to its end; gives its code, and what it printed."""

    def run(*words, cwd=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CORDBOX_")}
        done = subprocess.run(
            [CORDBOX, *words],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=SECONDS_MAX,
        )
        return done.returncode, done.stdout + done.stderr

    return run
