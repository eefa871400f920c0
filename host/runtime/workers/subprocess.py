"""One worker process as its supervisor handles it: its start, its output and its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from host.domain.workers import WorkerKind
from host.runtime.workers.hangup import hangups_held

_LINE_BYTES_MAX = 64 * 1024
_MODULES = {WorkerKind.REST: "host.runtime.workers.rest"}
_MODULE = "host.runtime.workers.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a worker gets from its supervisor: command-line arguments and open descriptors."""

    words: Sequence[str]
    descriptors: Sequence[int]
    environment: Mapping[str, str]


class Child:
    """A started worker process.

    Attributes:
        pid: its process id.
        descriptor: becomes readable when the process has ended.
        output: the worker's stdout; becomes readable with every line, and at its end.
    """

    def __init__(self, kind: WorkerKind, name: str, handover: Handover) -> None:
        """Start the process, in a group of its own so that it gets no signals from the terminal.

        Raises:
            OSError: it cannot be started.
        """
        words = ["--kind", kind, "--name", name, "--parent", str(os.getpid()), *handover.words]
        with hangups_held():
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULES.get(kind, _MODULE), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=handover.descriptors,
                env=dict(handover.environment),
                process_group=0,
            )
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.output, False)
        self.pid = self._process.pid
        self.descriptor = os.pidfd_open(self.pid)
        self._heard = b""
        self._has_hung_up = False

    @property
    def has_hung_up(self) -> bool:
        """Whether the worker has closed its end of `output`, as a process does when it ends."""
        return self._has_hung_up

    def heard(self) -> Sequence[Mapping[str, object]]:
        """Messages of the worker since the last call; other lines are skipped."""
        with suppress(BlockingIOError):
            while data := os.read(self.output, _LINE_BYTES_MAX):
                self._heard += data
            self._has_hung_up = True
        *lines, rest = self._heard.split(b"\n")
        self._heard = rest[-_LINE_BYTES_MAX:]
        facts = []
        for line in lines:
            with suppress(ValueError):
                fact = json.loads(line)
                if isinstance(fact, dict):
                    facts.append(fact)
        return facts

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def end(self) -> int:
        """Reap the ended process; returns its exit status, negative for a signal."""
        status = self._process.wait()
        os.close(self.descriptor)
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        self._process.stdout.close()
        return status
