"""The process from which the workers of a host are forked.

It has loaded what every kind of worker needs, which is most of a worker's start, and nothing of the
host: it opens none of its files, gets no password, and starts no thread. So a fork of it is as good
as a new process, is there at once, and shares the memory of what is loaded.

The supervisor asks over a socket, one question at a time (`host.runtime.workers.subprocess`):

- kind and words of a worker, with descriptors: its output, and those that options of it name;
  the answer is its process id, with a descriptor of the process, or the system's error number;
- the id of a process to reap; the answer is its exit status, negative for a signal.

The end of the socket ends the server. The kernel kills its workers with it, as it kills it with the
supervisor.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

import host.runtime.workers.kinds  # noqa: F401  # for the forks, which use it
from host.domain.workers import WorkerKind
from host.runtime.workers.process import Employment, die_with, name_process, run_process
from host.runtime.workers.service import run_service
from host.runtime.workers.subprocess import Ended, Fork, Forked, Reap, Refused

QUESTION_BYTES_MAX = 64 * 1024
DESCRIPTORS_MAX = 250

_ENCODER = msgspec.json.Encoder()
_QUESTIONS = msgspec.json.Decoder(Fork | Reap)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What a fork is to do: `words` are its arguments, `parent` the process that forked it."""

    kind: WorkerKind
    words: Sequence[str]
    parent: int


def main(channel: socket.socket) -> None:
    """Answer the supervisor until it closes its end; in a fork, be the worker."""
    # What is loaded lives to the end: no fork has to search it for cycles, nor to copy it then.
    gc.freeze()
    job = _served(channel)
    if job is None:
        return
    die_with(job.parent)
    name_process(f"cordbox {job.kind}")
    run_process(job.words, _work_of(job.kind))


def _served(channel: socket.socket) -> _Job | None:
    """None when the supervisor has closed its end; in a fork, its job."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(
            channel, QUESTION_BYTES_MAX, DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return None
        question = _QUESTIONS.decode(data)
        if isinstance(question, Reap):
            channel.sendall(_ENCODER.encode(Ended(_reaped(question.pid))))
        elif (job := _forked(channel, question, descriptors)) is not None:
            return job


def _reaped(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return -signal.SIGKILL  # with the server before this one
    return os.waitstatus_to_exitcode(status)


def _forked(channel: socket.socket, question: Fork, given: Sequence[int]) -> _Job | None:
    """Fork and answer; in the fork, what it is to do."""
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as refused:
        channel.sendall(_ENCODER.encode(Refused(refused.errno or 0)))
        pid = -1
    if pid == 0:
        channel.close()
        return _begun(question, given, server)
    for descriptor in given:
        os.close(descriptor)
    if pid > 0:
        process = os.pidfd_open(pid)
        socket.send_fds(channel, [_ENCODER.encode(Forked(pid))], [process])
        os.close(process)
    return None


def _begun(question: Fork, given: Sequence[int], server: int) -> _Job:
    # A process group of its own, so that it gets no signals from the terminal.
    os.setpgid(0, 0)
    output, *named = given
    os.dup2(output, sys.stdout.fileno())
    os.close(output)
    os.environ.update(question.environment)
    words = [*question.words]
    for option, descriptor in zip(question.options, named, strict=True):
        words += [option, str(descriptor)]
    return _Job(kind=question.kind, words=words, parent=server)


def _work_of(kind: WorkerKind) -> Callable[[Employment], None]:
    if kind is not WorkerKind.REST:
        return run_service
    # Imported here: one worker of a host serves HTTPS, and the others shall not wait for it.
    from host.runtime.workers.rest import run_rest  # noqa: PLC0415

    return run_rest


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    main(socket.socket(fileno=int(sys.argv[2])))
