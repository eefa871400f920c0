"""Verdicts on component files, given by a jailed process that may die without harm."""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import CompileRefusedError
from sandbox.jail import CHECK, ended_by_cpu_time, jail_environment
from sandbox.world import World

FILE_SECONDS = 60
_ANSWER_BYTES_MAX = 65_536
_DYING_SECONDS = 0.5
"""Time between the closing of a killed process's pipe and its end."""
_FILES_A_WORKER = 1_000
"""The jail limits a process's CPU time; a new process starts with the full amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on one file; `code` and `message` are None when it is accepted."""

    file: Path
    accepted: bool
    code: str | None
    message: str | None


def check_components(
    files: Iterable[Path], world: World | None, *, file_seconds: float = FILE_SECONDS
) -> Iterator[Verdict]:
    """Judge each file: static limits, validity and, if given, the imports and exports of `world`.

    Args:
        files: component files.
        world: the world that each has to fit; None for any.
        file_seconds: time for one file; the jailed process is killed after it.
    """
    worker: _Worker | None = None
    try:
        for number, file in enumerate(files, start=1):
            if worker is None:
                worker = _Worker()
            answer = worker.ask(file, world, file_seconds)
            if answer is None:
                message = worker.epitaph(file_seconds)
                worker = None
                answer = {"code": CompileRefusedError.code, "message": message}
            elif number % _FILES_A_WORKER == 0:
                worker.end()
                worker = None
            code = answer["code"]
            yield Verdict(file=file, accepted=code is None, code=code, message=answer["message"])
    finally:
        if worker is not None:
            worker.end()


class _Worker:
    """One jailed process that answers check requests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.jail_worker", CHECK],
            env=jail_environment(threads=2),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ask(self, file: Path, world: World | None, seconds: float) -> dict[str, str | None] | None:
        """The answer for one file; None if the process died or took too long."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101  # opened as a pipe
        assert stdout is not None  # noqa: S101  # opened as a pipe
        request = {"file": str(file.resolve()), "world": world}
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except OSError:
            return None
        answer = b""
        with selectors.DefaultSelector() as ready:
            ready.register(stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n") and ready.select(seconds):
                part = os.read(stdout.fileno(), _ANSWER_BYTES_MAX)
                answer += part
                if not part or len(answer) > _ANSWER_BYTES_MAX:
                    return None
        return json.loads(answer) if answer.endswith(b"\n") else None

    def epitaph(self, seconds: float) -> str:
        """End the process and return the reason for the missing answer."""
        try:
            returncode: int | None = self._process.wait(timeout=_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            returncode = None
        self.end()
        if returncode is None:
            return f"compiling took longer than {seconds:g} seconds"
        if ended_by_cpu_time(returncode):
            return "compiling needs more CPU time than code of this size may cost"
        if returncode == -signal.SIGABRT:
            return "compiling needs more memory than code of this size may cost, or fails in it"
        return f"the compiler ended with code {returncode}"

    def end(self) -> None:
        """Kill the process and release its pipes."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()
