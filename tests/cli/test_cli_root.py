"""The root command: fast help, stable exit codes, errors as one line or as JSON."""

import os
import subprocess
import sys

import pytest


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from host.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_lists_every_command_without_importing_any() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("cordapp", "package", "keystore", "network", "host", "runtime", "component"):
        assert name in done.stdout
    probe = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom host.cli import main\n"
            "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
            "bad = [m for m in ('fastapi', 'sqlalchemy', 'wasmtime', 'cryptography') if m in sys.modules]\n"
            "sys.exit(repr(bad) if bad else 0)",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert probe.returncode == 0, probe.stderr


def test_unknown_command_is_wrong_usage() -> None:
    done = run("no-such-command")
    assert done.returncode == 2
    assert "no-such-command" in done.stderr


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_missing_file_is_refused_by_name(output: str) -> None:
    done = run("package", "verify", "/nonexistent/x.cpi", "--output", output)
    assert done.returncode in (1, 2)
    assert "/nonexistent/x.cpi" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("options", "shown"), [((), False), (("-W", "default"), True)])
def test_warnings_of_libraries_reach_no_user(options: tuple[str, ...], shown: bool) -> None:
    code = (
        "import sys, warnings; from host.cli import main; sys.argv = ['cordbox', '--version']\n"
        "try: main()\nfinally: warnings.warn('a library speaks', UserWarning)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )
    assert (done.returncode, "a library speaks" in done.stderr) == (0, shown)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_by_the_script_that_is_printed(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0, done.stderr
    assert f"_CORDBOX_COMPLETE={shell}_complete" in done.stdout


def test_commands_and_their_parts_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CORDBOX_COMPLETE", "bash_complete")
    for words, found in {"vno": "plain,vnode", "cpi up": "plain,upload"}.items():
        monkeypatch.setenv("COMP_WORDS", f"cordbox {words}")
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ") + 1))
        assert found in run().stdout.splitlines()
