"""Real processes: the `cordbox` command, jarsigner, and the host."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from sample_cordapps.demo.console import DemoConsole, StepFailedError

_COMMAND_SECONDS_MAX = 300
_READY_SECONDS_MAX = 300


def cordbox_path() -> str:
    """The console script of the environment that runs the demonstration."""
    beside = Path(sys.executable).with_name("cordbox")
    found = str(beside) if beside.exists() else shutil.which("cordbox")
    if found is None:
        raise StepFailedError("the `cordbox` command is not installed: run `make setup`")
    return found


class CommandFailedError(StepFailedError):
    """A command ended with another code than it should."""

    def __init__(self, code: int, expected: int, told: str) -> None:
        super().__init__(f"exit code {code}, expected {expected}: {told.strip()[-2000:]}")
        self.exit_code = code


class CommandLine:
    """Runs commands as a person would, printing each with what it answered."""

    def __init__(self, console: DemoConsole, folder: Path) -> None:
        self._console = console
        self._folder = folder

    def cordbox(self, *words: str, quiet: bool = False, expect: int = 0) -> str:
        """Run `cordbox WORDS`; returns its standard output.

        Raises:
            CommandFailedError: the exit code is not `expect`.
        """
        self._console.command(["cordbox", *words])
        return self._run([cordbox_path(), *words], quiet=quiet, expect=expect)

    def jarsigner(self, *words: str) -> str | None:
        """Run jarsigner where Java is installed; None elsewhere."""
        found = shutil.which("jarsigner")
        if found is None:
            self._console.note("jarsigner is not installed here: its second opinion is left out")
            return None
        self._console.command(["jarsigner", *words])
        return self._run([found, *words], quiet=False, expect=0)

    def on(self, console: DemoConsole) -> "CommandLine":
        """The same, that prints elsewhere."""
        return CommandLine(console, self._folder)

    def _run(self, words: list[str], *, quiet: bool, expect: int) -> str:
        done = subprocess.run(
            words,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS_MAX,
            env={**os.environ, "COLUMNS": "110", "NO_COLOR": "1"},
        )
        if not quiet:
            self._console.answer(done.stdout or done.stderr)
        if done.returncode != expect:
            raise CommandFailedError(done.returncode, expect, done.stderr)
        return done.stdout


class HostProcess:
    """`cordbox host run` as its own process, started, killed and started again."""

    def __init__(
        self,
        console: DemoConsole,
        folder: Path,
        *,
        words: list[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._console = console
        self._folder = folder
        self._words = words
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, str]:
        """Start the host and wait for its ready line, which is JSON.

        Raises:
            StepFailedError: the host ended or stayed silent.
        """
        with self._log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [cordbox_path(), *self._words],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._first_line()
        ready: dict[str, str] = json.loads(line)
        if "url" not in ready:
            raise StepFailedError(f"the host did not start: {line}")
        return ready

    def show(self, ready: Mapping[str, str]) -> None:
        """Print the command that started the host, and its ready line."""
        self._console.command(["cordbox", *self._words], comment=f"log: {self._log.name}")
        self._console.answer(json.dumps(ready))

    def _first_line(self) -> str:
        process = self._running()
        lines: list[str] = []
        reader = threading.Thread(
            target=lambda: lines.append(process.stdout.readline() if process.stdout else ""),
            daemon=True,
        )
        reader.start()
        reader.join(_READY_SECONDS_MAX)
        if not lines or not lines[0].strip():
            tail = self._log.read_text(encoding="utf-8")[-2000:]
            raise StepFailedError(f"the host gave no ready line; its log ends:\n{tail}")
        return lines[0].strip()

    @property
    def pid(self) -> int:
        """Of the host's supervisor."""
        return self._running().pid

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        process = self._running()
        self._console.shell_line(f"kill -9 {process.pid}")
        process.send_signal(signal.SIGKILL)
        self._reap(process)

    def stop(self) -> None:
        """SIGTERM, then wait for the graceful end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._reap(self._process)

    def _reap(self, process: subprocess.Popen[str]) -> None:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
        self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise StepFailedError("the host is not running")
        return self._process
