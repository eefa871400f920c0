"""`cordbox host run` as a real process: start, refusals, signals, restart."""

import json
import signal
import ssl
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

CORDBOX = str(Path(sys.executable).with_name("cordbox"))
pytestmark = pytest.mark.slow


def arguments(data_dir, *more):
    return [CORDBOX, "host", "run", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0", *more]


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
    with running(data_dir) as (process, facts):
        assert facts["event"] == "ready"
        password_file = Path(facts["adminPasswordFile"])
        assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
        password = password_file.read_text().strip()
        with client_of(facts, password) as client:
            assert client.post("/api/v5_2/hello?addressee=Bob").text == "Hello, Bob! (from admin)"
            assert client.get("/api/v5_2/virtualnode").json() == {"virtualNodes": []}
            assert client.get("/api/v5_2/cpi").json() == {"cpis": []}
        status = [
            CORDBOX,
            "host",
            "status",
            "--url",
            facts["url"],
            "--ca-file",
            facts["certificate"],
        ]
        assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == (
            f"{facts['url']}: OK\n"
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert password not in process.stderr.read()
        gone = subprocess.run(status, capture_output=True, text=True, check=False)
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
    assert (code, "error[settings-invalid]" in message) == (1, True)
    (tmp_path / "cordbox.toml").write_text('plugins = ["kafka"]\n')
    code, message = refused(tmp_path)
    assert (code, "error[plugin-unknown]: plugin 'kafka'" in message) == (1, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_at_the_start_and_leaves_nothing_broken(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "probe").symlink_to("/dev/full")
    code, message = refused(tmp_path)
    assert (code, "No space left on device" in message) == (1, True)
    with running(data_dir) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
