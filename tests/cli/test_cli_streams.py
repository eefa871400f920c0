"""Standard streams that are closed, full, narrow or gone, and Ctrl-C: real processes."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from host.entry import main; main()"]
SECONDS_MAX = 120
NAME = "O=Zoë Łódź, L=London, C=GB"
POLICY = ("network", "groupPolicy", "--name", NAME, "--endpoint", "https://a:1")
POLICY = (*POLICY, "--endpoint-protocol", "1")
CALLS = {
    "text": ("--help",),
    "version": ("--version",),
    "help of a command": ("package", "verify", "--help"),
    "JSON": ("runtime", "list", "--output", "json"),
    "names": POLICY,
    "wrong usage": ("package", "verify", "--nonsense"),
    "refusal": ("package", "inspect", "/etc/passwd"),
    "refusal as JSON": ("package", "inspect", "/etc/passwd", "--output", "json"),
}
CODES = dict.fromkeys(CALLS, 0) | {"wrong usage": 2, "refusal": 1, "refusal as JSON": 1}
PRINTS = [name for name in CALLS if name not in ("wrong usage", "refusal")]
"""Calls that print on stdout."""
FORBIDDEN = ("Traceback", "Warning", "Exception ignored", "command-failed")


def clean(text: str) -> bool:
    return not any(word in text for word in FORBIDDEN)


@pytest.mark.parametrize("name", PRINTS)
def test_a_full_disk_behind_stdout_is_refused_by_code(name: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(*CALLS[name], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "error[disk-full]" in done.stderr
    assert clean(done.stderr), done.stderr


@pytest.mark.parametrize("name", PRINTS)
def test_a_reader_that_has_gone_ends_a_command_silently(name: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(*CALLS[name], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("name", "closed"),
    [*((name, (0, 1, 2)) for name in CALLS), ("JSON", (1,)), ("refusal", (2,)), ("names", (0,))],
)
def test_closed_streams_change_no_exit_code(name: str, closed: tuple[int, ...]) -> None:
    done = run(
        *CALLS[name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: [os.close(number) for number in closed],
    )
    assert done.returncode == CODES[name]
    assert clean(done.stdout + done.stderr), done.stderr


def test_a_file_does_not_get_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    done = run(
        *POLICY,
        "--output-file",
        str(file),
        preexec_fn=lambda: [os.close(number) for number in (0, 1, 2)],
    )
    assert done.returncode == 0
    assert file.read_bytes().startswith(b"{")
    assert file.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
@pytest.mark.parametrize("name", ["text", "names", "refusal"])
def test_what_an_encoding_lacks_is_escaped(name: str, encoding: str) -> None:
    done = subprocess.run(
        [*COMMAND, *CALLS[name]],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == CODES[name]
    assert clean((done.stdout + done.stderr).decode("latin-1"))


@pytest.mark.parametrize("output", ["text", "json"])
def test_arguments_that_are_no_utf_8_are_refused(output: str) -> None:
    done = subprocess.run(
        [*COMMAND, "node", "usage", b"a\xffb", "--password", "x", "--output", output],
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 2
    assert b"not UTF-8" in done.stdout + done.stderr
    if output == "json":
        assert b'"code": "usage"' in done.stdout


def test_a_file_whose_name_is_no_utf_8_is_read_and_named(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff.cpi")
    odd.write_bytes(b"x")
    done = subprocess.run(
        [*COMMAND, "package", "inspect", str(odd)],
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error[")
    assert clean(done.stderr.decode("latin-1"))


def test_ctrl_c_while_a_host_is_asked_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = subprocess.Popen(
            [*COMMAND, "node", "usage", "0123456789AB", "--password", "x", "--url", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            started.send_signal(signal.SIGINT)
            out, err = started.communicate(timeout=SECONDS_MAX)
    assert (started.returncode, out, err.strip()) == (130, "", "cordbox: interrupted")


def test_ctrl_c_while_the_command_line_is_loaded_is_silent() -> None:
    code = (
        "import os, signal, sys\n"
        "class Loading:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Loading())\n"
        "from host.entry import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_defect_is_one_line_and_its_traceback_can_be_asked_for() -> None:
    code = (
        "import sys, host.cli.runtime as r\n"
        "def fail(**_): raise KeyError('a defect\\nof two lines')\n"
        "r.command.commands['list'].callback = fail\n"
        "sys.argv = ['cordbox', 'runtime', 'list']\n"
        "from host.cli import main; main()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CORDBOX_TRACEBACK"}
    for more, has in (({}, False), ({"CORDBOX_TRACEBACK": "1"}, True)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) is has
        if not has:
            (line,) = done.stderr.splitlines()
            assert line.startswith("error[command-failed]: KeyError: ")


def run(*words: str, **streams: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        text=True,
        check=False,
        timeout=SECONDS_MAX,
        **streams,  # type: ignore[call-overload]
    )
