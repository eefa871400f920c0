"""`cordbox host run` as a real process: start, refusals, signals, restart."""

import itertools
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import load_signing_key
from cpi.crypto.keystore_creation import create_keystore

CORDBOX = str(Path(sys.executable).with_name("cordbox"))
pytestmark = pytest.mark.slow


def arguments(data_dir, *more):
    # In one process, which starts soonest; later options win. tests/workers has the others.
    words = [CORDBOX, "host", "run", "--workers", "combined", "--data-dir", str(data_dir)]
    return [*words, "--listen", "127.0.0.1:0", *more]


@contextmanager
def running(data_dir, *more, environment=None):
    """A host that is ready, with the facts of its ready line; killed at the end if still there."""
    with subprocess.Popen(
        arguments(data_dir, "--output", "json", *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=data_dir.parent,
    ) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.kill()


def client_of(facts, password):
    context = ssl.create_default_context(cafile=facts["certificate"])
    return httpx2.Client(base_url=facts["url"], verify=context, auth=("admin", password))


def refused(tmp_path, *more, data_dir=None):
    done = subprocess.run(
        arguments(data_dir or tmp_path / "data", *more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_host_starts_serves_and_stops_when_told(tmp_path):
    data_dir = tmp_path / "data"
    with running(data_dir, "--workers", "flow=1") as (process, facts):
        assert facts["event"] == "ready"
        password_file = Path(facts["adminPasswordFile"])
        assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
        password = password_file.read_text().strip()
        status = [CORDBOX, "host", "status"]
        where = {"CORDBOX_URL": facts["url"], "CORDBOX_CA_FILE": facts["certificate"]}
        environment = {**os.environ, **where}
        with client_of(facts, password) as client:
            assert client.post("/api/v5_2/hello?addressee=Bob").text == "Hello, Bob! (from admin)"
            assert client.get("/api/v5_2/virtualnode").json() == {"virtualNodes": []}
            assert client.get("/api/v5_2/cpi").json() == {"cpis": []}
            told = subprocess.run(
                status, capture_output=True, text=True, check=True, env=environment
            ).stdout
            health, heads, *workers, flows = told.splitlines()
            assert health == f"{facts['url']}: OK"
            assert heads.split()[:3] == ["worker", "pid", "state"]
            assert {line.split()[2] for line in workers} == {"ready"}
            assert workers[-1].startswith("rest-0 ")
            assert flows == "0 open flows, nothing waits"
            # An idle connection must not hold the stop up until the limit for running requests.
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=5) == 0
        assert password not in process.stderr.read()
        gone = subprocess.run(status, capture_output=True, text=True, check=False, env=environment)
        assert (gone.returncode, "error[unavailable]" in gone.stderr) == (75, True)


def test_a_second_host_on_the_same_data_is_refused_at_once(tmp_path):
    data_dir = tmp_path / "data"
    with running(data_dir):
        code, message = refused(tmp_path)
        assert code == 1
        assert f"error[data-directory-locked]: data directory {data_dir} is in use" in message


def test_a_host_that_was_killed_starts_again_with_the_same_identity(tmp_path):
    data_dir = tmp_path / "data"
    (tmp_path / "password").write_text("given\n")
    option = ("--admin-password-file", str(tmp_path / "password"))
    with running(data_dir, *option) as (process, facts):
        certificate = Path(facts["certificate"]).read_bytes()
        process.kill()
        process.wait()
    with running(data_dir) as (process, facts):
        assert Path(facts["certificate"]).read_bytes() == certificate
        assert "adminPasswordFile" not in facts
        with client_of(facts, "given") as client:
            assert client.get("/api/v5_2/user/admin").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_what_the_host_cannot_use_is_refused_with_its_name(tmp_path):
    file = tmp_path / "file"
    file.touch()
    code, message = refused(tmp_path, data_dir=file / "data")
    assert (code, "error[data-directory-unusable]" in message) == (1, True)
    code, message = refused(tmp_path, "--listen", "192.0.2.1:1")
    assert (code, "error[listen-refused]: cannot listen on 192.0.2.1:1" in message) == (1, True)
    code, message = refused(tmp_path, "--settings", str(file.with_name("no.toml")))
    assert (code, "error[settings-invalid]" in message) == (2, True)
    (tmp_path / "cordbox.toml").write_text('plugins = ["rabbitmq"]\n')
    code, message = refused(tmp_path)
    assert (code, "error[plugin-unknown]: plugin 'rabbitmq'" in message) == (1, True)


@pytest.mark.parametrize(("workers", "processes"), [("combined", 1), ("flow=1", 2)])
def test_every_process_serves_its_health_where_monitor_listen_says(tmp_path, workers, processes):
    with running(tmp_path / "data", "--workers", workers, "--monitor-listen", "127.0.0.1:0") as (
        process,
        facts,
    ):
        del facts
        lines = (json.loads(line) for line in process.stderr if line.startswith("{"))
        told = (line["address"] for line in lines if line["event"] == "monitor-listening")
        for address in itertools.islice(told, processes):
            for path in ("isHealthy", "status"):
                reply = httpx2.get(f"http://{address}/{path}")
                assert (reply.status_code, reply.json()) == (200, {"status": "OK"})
            assert "\ncordbox_" in httpx2.get(f"http://{address}/metrics").text
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait() == 0


def test_a_monitor_whose_port_is_taken_is_told_at_the_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, message = refused(tmp_path, "--monitor-listen", address)
    assert (code, f"error[listen-refused]: cannot listen on {address}" in message) == (1, True), (
        message
    )


@pytest.mark.parametrize("workers", ["combined", "flow=1"])
def test_a_certificate_that_is_no_good_is_told_in_one_line(tmp_path, workers):
    (tmp_path / "key.pem").write_text("no key")
    (tmp_path / "chain.pem").write_text("no certificate")
    (tmp_path / "cordbox.toml").write_text(
        'tls_certificate_file = "chain.pem"\ntls_private_key_file = "key.pem"\n'
    )
    code, message = refused(tmp_path, "--workers", workers)
    reason = "chain.pem holds no PEM certificates, expected 1 to 64"
    told = f"error[tls-file-unreadable]: chain.pem cannot be used: {reason}"
    assert (code, message.splitlines()) == (1, [told])
    assert not (tmp_path / "data").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1600 KiB of its own; only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_told_at_the_start_and_leaves_nothing_broken(tmp_path, small_disk):
    data_dir, ballast = small_disk / "data", small_disk / "ballast"
    data_dir.mkdir()
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        for _ in range(1_000):
            file.write(bytes(4096))
    code, message = refused(tmp_path, data_dir=data_dir)
    assert (code, "No space left on device" in message) == (1, True)
    ballast.unlink()
    with running(data_dir) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_disk_that_fills_up_is_told_and_what_was_stored_stays(tmp_path, small_disk):
    keystore = tmp_path / "k.p12"
    keystore.write_bytes(
        create_keystore(
            password="password", alias="a", distinguished_name="CN=S, O=Acme, L=London, C=GB"
        )
    )
    key = load_signing_key(keystore, password="password", alias="a")
    pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
    (tmp_path / "password").write_text("given\n")
    data_dir, option = small_disk / "data", ("--admin-password-file", str(tmp_path / "password"))
    aliases = "/api/v5_2/certificate/cluster/code-signer"

    def put(client, alias):
        return client.put(aliases, data={"alias": alias}, files={"certificate": pem})

    with running(data_dir, *option) as (process, facts), client_of(facts, "given") as client:
        numbers = iter(range(2000))
        while (reply := put(client, f"a{next(numbers)}")).status_code == 204:
            pass
        # Whichever needs the last page first: the act, or the entry that tells of it.
        told = (reply.status_code, reply.json()["details"]["code"])
        assert told in {(500, "disk-full"), (503, "act-not-recorded")}
        assert "the disk is full" in reply.json()["title"]
        assert str(small_disk) not in reply.text
        stored = client.get(aliases).json()
        assert stored
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    with running(data_dir, *option) as (_, facts), client_of(facts, "given") as client:
        assert client.get(aliases).json() == stored
        assert put(client, "more").status_code == 204
