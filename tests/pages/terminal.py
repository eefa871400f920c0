"""A terminal of a reader: one bash that keeps its folder, variables and functions."""

import os
import queue
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SECONDS_MAX = 420.0
"""For one block: builds and starts of hosts on a machine that does other things besides."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a block printed on both streams, and its exit code: of the first command that failed."""

    printed: str
    code: int


class TerminalError(Exception):
    """The block did not come to its end, or to the text that was waited for."""


class Terminal:
    """Runs blocks one after the other."""

    def __init__(self, folder: Path, scripts: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._scripts, self._end = scripts, ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def folder(self) -> Path:
        """Where the reader is."""
        return Path(f"/proc/{self._bash.pid}/cwd").readlink()

    def run(self, text: str, *, until: str | None = None) -> Ran:
        """Type `text`.

        Args:
            text: commands.
            until: return once a line with this text was printed, while the commands go on.

        Raises:
            TerminalError: nothing of the kind happened in time.
        """
        self._end = secrets.token_hex(8)
        script = self._scripts / f"{self._end}.sh"
        script.write_text(text, encoding="utf-8")
        # A reader's shell goes on after a failure: the exit code is that of what failed first.
        # Commands have no standard input, or they would read what is typed next.
        self._type(
            f"_failed=0; set -E; trap '_s=$?; [ $_failed -ne 0 ] || _failed=$_s' ERR\n"
            f". '{script}' < /dev/null\n"
            f"trap - ERR; echo; echo {self._end} $_failed\n"
        )
        return self._to_the_end(until)

    def interrupt(self) -> Ran:
        """Ctrl-C to what runs here, and wait for its end."""
        for pid in _children(self._bash.pid):
            _signal(pid, signal.SIGINT)
        return self._to_the_end(None)

    def _to_the_end(self, until: str | None) -> Ran:
        printed: list[str] = []
        while True:
            try:
                line = self._lines.get(timeout=_SECONDS_MAX)
            except queue.Empty:
                raise TerminalError(f"no end after:\n{''.join(printed)}") from None
            if line is None:
                raise TerminalError(f"the shell has ended after:\n{''.join(printed)}")
            done = re.fullmatch(rf"{self._end} (\d+)\n", line)
            if done is None:
                printed.append(line)
                if until is not None and until in line:
                    return Ran(printed="".join(printed), code=0)
                continue
            text = "".join(printed).removesuffix("\n")
            if until is not None:
                raise TerminalError(f"{until!r} was not printed, but:\n{text}")
            return Ran(printed=text, code=int(done.group(1)))

    def close(self) -> None:
        """End all that runs here."""
        for pid in _children(self._bash.pid):
            _signal(pid, signal.SIGTERM)
        assert self._bash.stdin is not None
        with suppress(OSError):
            self._bash.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._bash.wait(30)
        with suppress(ProcessLookupError):  # what a page has left in the background
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()
        self._reader.join(10)

    def _type(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def _read(self) -> None:
        assert self._bash.stdout is not None
        with self._bash.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)


def _children(pid: int) -> list[int]:
    return [
        int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == pid
    ]


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # the process has ended
        return None


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
