"""Calls for which the sandbox has no system fail as Python fails: with a place, to be caught."""

import json

import pytest
from wasmtime import wat2wasm

from sandbox.errors import ComponentRefusedError
from sandbox.limits import Limits
from sandbox.missing_calls import ANSWERS, fail_missing_calls
from sandbox.pinned import default_runtime, unpack_runtime
from sandbox.world import World

MISSING = {
    "clock": "import time; time.time()",
    "clock of nanoseconds": "import time; time.monotonic_ns()",
    "present instant": "import datetime; datetime.datetime.now()",
    "present instant of a zone": "import datetime; datetime.datetime.now(datetime.UTC)",
    "present instant of a subclass": "import datetime\nclass D(datetime.datetime): pass\nD.now()",
    "present day": "import datetime; datetime.date.today()",
    "random identifier": "import uuid; uuid.uuid4()",
    "identifier by clock": "import uuid; uuid.uuid1()",
    "randomness": "import os; os.urandom(4)",
    "randomness below": "import posix; posix.urandom(4)",
    "wait": "import time; time.sleep(1)",
    "file": "open('x')",
    "file of the io module": "import io; io.FileIO('x')",
    "file of the C module": "import _io; _io.open('x')",
    "file below": "import posix; posix.open('x', 0)",
    "folder": "import os; os.listdir('/')",
    "facts of a file": "import posix; posix.stat('/')",
    "new folder": "import os; os.mkdir('x')",
    "standard output below": "import posix; posix.write(1, b'x')",
    "standard input": "input()",
}
STATEMENTS = (
    "if int('x') > 1:\n    pass",
    "for x in int('x'):\n    pass",
    "while int('x'):\n    pass",
    "try: int('x')\nfinally: pass",
    "with int('x') as y:\n    pass",
    "match int('x'):\n    case _:\n        pass",
    "def f(a=int('x')): pass",
    "class A(int('x')): pass",
    "@int('x')\ndef f(): pass",
    "assert int('x')",
    "y = [\n    int(z)\n    for z in 'x'\n]",
    "(lambda: int('x'))()",
    "f'{int(\"x\")}'",
    "del int('x').y",
    "raise int('x')",
    "return_ = int(\n    'x'\n)",
)


def found(outcome) -> dict[str, str]:
    return json.loads(outcome.value)["failures"][0]


@pytest.mark.parametrize("code", MISSING.values(), ids=MISSING)
def test_a_missing_call_raises_an_os_error_that_a_program_catches(contract, code):
    body = code.replace("\n", "\n    ")
    caught = f"try:\n    {body}\nexcept OSError as exc:\n    raise ValueError(str(exc)) from exc"
    failure = found(contract.call("verify", caught, limits=Limits()))
    assert failure["type"] == "ValueError"
    assert failure["message"]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_traceback_is_formatted_for_every_kind_of_statement(contract, statement):
    code = f"""
import linecache, traceback
source = {statement!r}
linecache.cache["flows.py"] = (len(source), None, source.splitlines(keepends=True), "flows.py")
try:
    exec(compile(source, "flows.py", "exec"), {{}})
except ValueError:
    text = traceback.format_exc()
assert 'File "flows.py", line ' in text, text
assert "int(" in text, text
assert "ValueError: invalid literal for int()" in text, text
"""
    assert contract.call("verify", code, limits=Limits()).value is None


@pytest.mark.parametrize(
    "call",
    [
        "compile('1 +', 'a.py', 'exec')",
        "compile('x = (', 'a.py', 'exec')",
        "compile('1 +', '<string>', 'single')",
        "exec('def f(:')",
        "eval('1 +')",
        "__import__('ast').parse('if x')",
        "__import__('ast').parse('\\tx\\n x')",
        "exec('a = 1\\n\\x00')",
        "exec(b'# -*- coding: none -*-')",
    ],
)
def test_source_that_is_no_python_is_a_syntax_error_that_a_program_catches(contract, call):
    caught = (
        f"try:\n    {call}\nexcept (SyntaxError, ValueError):\n    pass\nelse:\n    raise KeyError"
    )
    assert contract.call("verify", caught, limits=Limits()).value is None


def test_the_rest_of_the_system_is_absent_without_ending_the_run(contract):
    code = """
import linecache, os
assert not os.path.exists("/etc/passwd")
assert list(os.walk("/")) == []
assert linecache.getlines("/etc/passwd") == []
assert not os.isatty(0)
"""
    assert contract.call("verify", code, limits=Limits()).value is None


def test_what_is_printed_becomes_log_lines(workflow):
    lines = []

    def host(interface: str, function: str, request: str) -> str:
        lines.append((interface, function, json.loads(request)))
        return "null"

    code = """
import sys, warnings
print("a", 1)
print("b", end="")
print("c\\ud800")
warnings.warn("deprecated")
sys.stderr.write("half")
"""
    assert workflow.call("run", code, limits=Limits(), host=host).value == "done"
    assert {(interface, function) for interface, function, _ in lines} == {("log", "write")}
    texts = [(line["level"], line["logger"], line["message"]) for _, _, line in lines]
    assert texts[:2] == [("info", "stdout", "a 1"), ("info", "stdout", "bc?")]
    assert ("warn", "stderr", "<string>:6: UserWarning: deprecated") in texts
    assert texts[-1] == ("warn", "stderr", "half")


def test_output_without_end_does_not_use_up_the_log(workflow):
    lines = []

    def host(_interface: str, _function: str, request: str) -> str:
        lines.append(json.loads(request)["message"])
        return "null"

    code = "for _ in range(10_000): print('x' * 50)"
    assert workflow.call("run", code, limits=Limits(), host=host).value == "done"
    assert len(lines) == 16 * 1024 // 50 + 1
    assert lines[-1] == "more output of this run is left out"


def test_the_pinned_runtimes_are_built_with_it():
    for world in World:
        runtime = unpack_runtime(default_runtime(world))
        assert fail_missing_calls(runtime) == runtime


def test_a_component_with_another_libc_is_refused():
    with pytest.raises(ComponentRefusedError, match="expected one libc, found 0"):
        fail_missing_calls(bytes(wat2wasm("(component)")))
    module = '(func (export "__errno_location")) (func (export "clock_gettime"))'
    with pytest.raises(ComponentRefusedError, match="no function access, chdir"):
        fail_missing_calls(bytes(wat2wasm(f"(component (core module {module}))")))
    assert "clock_gettime" in ANSWERS


@pytest.mark.parametrize("code", MISSING.values(), ids=MISSING)
def test_a_missing_call_names_its_place(workflow, code):
    source = f"\n{code}\n"
    last = source.rstrip("\n").count("\n") + 1
    start = f"exec(compile({source!r}, 'iou/flows.py', 'exec'), {{}})"
    outcome = workflow.call("run", start, limits=Limits(), host=lambda *_: "null")
    failure = json.loads(outcome.value)
    places = [frame for frame in failure["trace"] if frame["file"] == "iou/flows.py"]
    assert failure["type"] == "OSError"
    assert places[-1]["line"] == last
    assert failure["trace"][-1]["file"] == "iou/flows.py", failure["trace"]
