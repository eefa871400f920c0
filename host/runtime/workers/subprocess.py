"""Worker processes as their supervisor handles them: start, output and end."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from host.domain.errors import HostError
from host.domain.workers import WorkerKind
from host.runtime.workers.hangup import hangups_held

_LINE_BYTES_MAX = 64 * 1024
_ANSWER_BYTES_MAX = 4 * 1024
_MODULE = "host.runtime.workers.fork_server"
_SERVER_SECONDS_MAX = 180.0
"""How long the server may take to answer: at its start it loads modules first."""
_END_SECONDS_MAX = 5.0


class WorkerStartError(HostError):
    """A worker process dies repeatedly while the host starts; its log has the cause."""

    code = "worker-start"


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Asks for a worker. Descriptors go with it: its output, then one for each of `options`."""

    kind: WorkerKind
    words: list[str]
    options: list[str]
    environment: dict[str, str]


class Reap(msgspec.Struct, frozen=True, tag="reap"):
    """Asks to reap a worker that has ended."""

    pid: int


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """A worker was forked. A descriptor of its process goes with it."""

    pid: int


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """How a worker ended: its exit status, negative for a signal."""

    status: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The system refuses another process, with this number of an error."""

    errno: int


_ENCODER = msgspec.json.Encoder()
_ANSWERS = msgspec.json.Decoder(Forked | Ended | Refused)


class _ServerGoneError(Exception):
    """The process from which workers are forked has ended, and they with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a worker gets from its supervisor.

    Attributes:
        words: command-line arguments.
        descriptors: open descriptors, each with the option that names it to the worker.
        environment: variables beside those of the supervisor.
    """

    words: Sequence[str]
    descriptors: Sequence[tuple[str, int]]
    environment: Mapping[str, str] = field(default_factory=dict)


class ForkServer:
    """Forks workers, by a process that has loaded their modules (`…workers.fork_server`).

    If that process ends, its workers end with it, and the next start begins another one.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start the process, with `environment`, which its workers inherit.

        Raises:
            OSError: it cannot be started.
        """
        self._environment = dict(environment)
        self._begin()

    def _begin(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_SERVER_SECONDS_MAX)
        with theirs, hangups_held():
            words = [sys.executable, "-P", "-m", _MODULE, str(os.getpid()), str(theirs.fileno())]
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=self._environment,
                process_group=0,
            )

    def fork(self, kind: WorkerKind, name: str, handover: Handover, output: int) -> tuple[int, int]:
        """Fork a worker that writes to `output`; its process id, and a descriptor of the process.

        Raises:
            OSError: the system refuses another process.
            WorkerStartError: the server ends instead of answering.
        """
        question = Fork(
            kind=kind,
            words=["--kind", kind, "--name", name, *handover.words],
            options=[option for option, _ in handover.descriptors],
            environment=dict(handover.environment),
        )
        given = [output, *(descriptor for _, descriptor in handover.descriptors)]
        for _ in range(2):
            with suppress(_ServerGoneError):
                answer, descriptors = self._ask(question, given)
                if isinstance(answer, Forked):
                    return answer.pid, descriptors[0]
                number = answer.errno if isinstance(answer, Refused) else errno.EPROTO
                raise OSError(number, os.strerror(number))
            self.close()
            self._begin()
        raise WorkerStartError("the process from which workers are forked ends; see its log")

    def reap(self, pid: int) -> int:
        """Reap an ended worker; its exit status, negative for a signal."""
        try:
            answer, _ = self._ask(Reap(pid), ())
        except _ServerGoneError:
            return -signal.SIGKILL  # by the kernel, with the server
        return answer.status if isinstance(answer, Ended) else -signal.SIGKILL

    def _ask(
        self, question: Fork | Reap, given: Sequence[int]
    ) -> tuple[Forked | Ended | Refused, Sequence[int]]:
        try:
            socket.send_fds(self._channel, [_ENCODER.encode(question)], given)
            data, descriptors, _, _ = socket.recv_fds(
                self._channel, _ANSWER_BYTES_MAX, 1, socket.MSG_CMSG_CLOEXEC
            )
        except (ConnectionError, TimeoutError) as failed:
            raise _ServerGoneError from failed
        if not data:
            raise _ServerGoneError
        return _ANSWERS.decode(data), descriptors

    def close(self) -> None:
        """End the process, and with it the workers that it still has."""
        self._channel.close()
        try:
            self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Child:
    """A started worker process.

    Attributes:
        pid: its process id.
        descriptor: becomes readable when the process has ended.
        output: the worker's stdout; becomes readable with every line, and at its end.
    """

    def __init__(self, server: ForkServer, kind: WorkerKind, name: str, handover: Handover) -> None:
        """Start the process.

        Raises:
            OSError: it cannot be started.
            WorkerStartError: the process from which it is forked ends.
        """
        self._server = server
        self.output, theirs = os.pipe()
        try:
            self.pid, self.descriptor = server.fork(kind, name, handover, theirs)
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(theirs)
        os.set_blocking(self.output, False)
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
        status = self._server.reap(self.pid)
        os.close(self.descriptor)
        os.close(self.output)
        return status
