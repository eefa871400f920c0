"""What a supervisor hears of a worker whose code prints where the worker is to report."""

import os
import select
from pathlib import Path

import pytest

from host.domain.workers import WorkerKind
from host.runtime.workers.subprocess import Child, Handover

CHATTER = """
import os
os.write(1, b"a plugin says hello")
os.read({hear}, 1)
os.write(1, b'\\n{{"event": "ready"}}\\n')
os._exit(0)
"""


@pytest.fixture
def chatting(tmp_path):
    """A process that prints half a line, waits for a byte, and then tells that it is ready."""
    hear, say = os.pipe()
    (tmp_path / "sitecustomize.py").write_text(CHATTER.format(hear=hear))
    path = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    child = Child(
        WorkerKind.FLOW,
        "flow-0",
        Handover(words=[], descriptors=[hear], environment={**os.environ, "PYTHONPATH": path}),
    )
    os.close(hear)
    yield child, say
    os.close(say)
    child.end()


def await_output(child):
    assert select.select([child.output], [], [], 30)[0]


def test_what_is_no_report_is_not_taken_for_the_end(chatting):
    child, say = chatting
    await_output(child)
    assert (child.heard(), child.has_hung_up) == ([], False)
    os.write(say, b"!")
    heard = []
    while not child.has_hung_up:
        await_output(child)
        heard += child.heard()
    assert heard == [{"event": "ready"}]
