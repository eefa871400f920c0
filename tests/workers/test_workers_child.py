"""What a supervisor hears of its workers, and that those die with the process they are forked of."""

import os
import select
import signal
from pathlib import Path

import pytest

from host.domain.workers import WorkerKind
from host.runtime.workers.subprocess import Child, ForkServer, Handover

CHATTER = """
import os, sys
sys.path.insert(0, {root!r})
import host.runtime.workers.process as process

def chat(words, work):
    hear = int(words[words.index("--hear") + 1])
    os.write(1, b"a plugin says hello")
    os.read(hear, 1)
    os.write(1, b'\\n{{"event": "ready"}}\\n')
    os._exit(words.count("--exit") * 7)

process.run_process = chat
"""
"""Instead of a worker: it prints half a line, waits for a byte, and then tells that it is ready."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(CHATTER.format(root=str(Path.cwd())))
    path = os.pathsep.join([str(folder), str(Path.cwd())])
    server = ForkServer({**os.environ, "PYTHONPATH": path})
    yield server
    server.close()


@pytest.fixture
def chatting(server):
    """A worker's process that hears what is written to the other end."""
    hear, say = os.pipe()

    def started(*words):
        handover = Handover(words=words, descriptors=[("--hear", hear)])
        child = Child(server, WorkerKind.FLOW, "flow-0", handover)
        return child, say

    yield started
    os.close(hear)
    os.close(say)


def await_readable(descriptor):
    assert select.select([descriptor], [], [], 30)[0]


def test_what_is_no_report_is_not_taken_for_the_end(chatting):
    child, say = chatting()
    await_readable(child.output)
    assert (child.heard(), child.has_hung_up) == ([], False)
    os.write(say, b"!")
    heard = []
    while not child.has_hung_up:
        await_readable(child.output)
        heard += child.heard()
    assert heard == [{"event": "ready"}]
    assert child.end() == 0


def test_how_a_worker_ended_is_told(chatting):
    child, say = chatting("--exit")
    os.write(say, b"!")
    await_readable(child.descriptor)
    assert child.end() == 7
    child, _ = chatting()
    child.send(signal.SIGKILL)
    await_readable(child.descriptor)
    assert child.end() == -signal.SIGKILL


def test_workers_end_with_the_process_they_are_forked_of_and_the_next_has_another(server, chatting):
    first, second = chatting()[0], chatting()[0]
    server._process.kill()
    await_readable(first.descriptor)
    assert first.end() == -signal.SIGKILL
    third, say = chatting()
    await_readable(second.descriptor)
    assert second.end() == -signal.SIGKILL  # asked of the new server, whose child it is not
    os.write(say, b"!")
    await_readable(third.descriptor)
    assert third.end() == 0
