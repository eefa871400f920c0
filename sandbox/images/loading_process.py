"""The process that loads sources: `python -m sandbox.images.loading_process CODE INITIAL OUTPUT`.

The arguments are descriptors: the runtime's compiled code, its initial memory, and a file of
`OUTPUT_BYTES`. Standard input is the text for the loader. The process seals itself before the
loader runs: from then on it can only compute, and write into the memory that it shares with its
parent. There it leaves the instance's memory, and behind it, at `REPORT_AT`, the length (4 bytes,
little-endian) and the text of a JSON object:

    answer      what the loader answered: "", or base64 of the report of a failure
    error       why it could not answer, or None
    size        bytes of the memory

The limits of fuel and memory decide first, and the same everywhere; those that the parent sets for
the process are for what these do not bound.
"""

import ctypes
import json
import mmap
import os
import sys
from typing import Any

from wasmtime import Store, WasmtimeError
from wasmtime import component as wc

from sandbox.engine import EngineKind, new_engine
from sandbox.images import memories
from sandbox.images.header import SIZE_MAX
from sandbox.isolation.seal import Seal
from sandbox.limits import MIB
from sandbox.traps import error_of

FUEL_MAX = 50_000_000_000
REPORT_AT = SIZE_MAX
REPORT_BYTES_MAX = MIB
OUTPUT_BYTES = REPORT_AT + REPORT_BYTES_MAX
_TABLE_ELEMENTS_MAX = 100_000
_FOREVER = 1 << 62
_DATA_BYTES = 512 * MIB
"""Private memory beyond what the process has before it is sealed."""
_FILES_MAX = 16
_LAST = True


def main(code: int, initial: int, output: int) -> None:
    """Load the text of standard input, and exit."""
    seal = Seal()
    seal.before_threads()
    text = sys.stdin.buffer.read().decode("ascii")
    engine = new_engine(EngineKind.RUNTIMES)
    compiled = wc.Component.deserialize_file(engine, f"/dev/fd/{code}")
    linker = wc.Linker(engine)
    linker.define_unknown_imports_as_traps(compiled)
    store = Store(engine)
    store.set_limits(memory_size=SIZE_MAX, table_elements=_TABLE_ELEMENTS_MAX)
    store.set_epoch_deadline(_FOREVER)
    store.set_fuel(FUEL_MAX)
    with memories.creating() as created:
        instance = linker.instantiate(store, compiled)
    (memory,) = created.memories
    memory.map_file(initial, 0, os.fstat(initial).st_size)
    load = instance.get_func(store, "load")
    told = mmap.mmap(output, OUTPUT_BYTES)
    seal.close(parent=os.getppid(), files_max=_FILES_MAX, memory_bytes_max=_DATA_BYTES)
    _leave(told, memory, _loaded(store, load, text))
    os._exit(0)  # what would end an interpreter opens files


def _loaded(store: Store, load: Any, text: str) -> dict[str, str | None]:
    store.set_fuel(FUEL_MAX)
    try:
        return {"answer": load(store, _LAST, text), "error": None}
    except WasmtimeError as exc:
        return {"answer": "", "error": error_of(str(exc)).message}


def _leave(told: mmap.mmap, memory: memories.LinearMemory, found: dict[str, str | None]) -> None:
    report = json.dumps({**found, "size": memory.size}).encode()
    if len(report) > REPORT_BYTES_MAX - 4:
        report = b""
    shared = (ctypes.c_ubyte * OUTPUT_BYTES).from_buffer(told)
    ctypes.memmove(shared, memory.base, memory.size)
    told[REPORT_AT : REPORT_AT + 4 + len(report)] = len(report).to_bytes(4, "little") + report


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
