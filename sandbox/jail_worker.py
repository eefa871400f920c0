"""The process inside the compile jail.

`python -m sandbox.jail_worker COMPONENT OUTPUT CPU_SECONDS MEMORY_BYTES KIND [--trap-growth]`
compiles one component into a file, for an engine of that kind.
`python -m sandbox.jail_worker --check` reads requests, one JSON object a line, and answers each
with a verdict in one line; its parent kills it when an answer is late.
"""

import json
import math
import resource
import signal
import sys
from pathlib import Path

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from sandbox.compile_budget import CompileBudget
from sandbox.engine import EngineKind, new_engine
from sandbox.errors import ComponentRefusedError, SandboxError
from sandbox.growth import trap_refused_growth
from sandbox.images.joined import join_modules
from sandbox.images.stripped import strip_runtime
from sandbox.inspect import shape_of
from sandbox.jail import CHECK, REFUSED, TRAP_GROWTH
from sandbox.limits import MIB
from sandbox.own_memory import data_bytes
from sandbox.static_limits import PLAIN, check_static
from sandbox.world import World, check_world

_OUTPUT_BYTES_MAX = 1024 * MIB
_ADDRESSES_A_BYTE = 8
"""Allocators reserve far more addresses than they use."""
_ADDRESS_BYTES = 4 * 1024 * MIB


def compile_file(component: Path, output: Path, kind: EngineKind, *, trap_growth: bool) -> int:
    """Compile `component` to `output`; the answer is the process's exit code."""
    try:
        wasm = component.read_bytes()
        if kind is EngineKind.RUNTIMES:
            wasm = join_modules(strip_runtime(wasm))
        compiled = _compiled(new_engine(kind), trap_refused_growth(wasm) if trap_growth else wasm)
    except ComponentRefusedError as exc:
        print(exc.message, file=sys.stderr)  # noqa: T201  # read by the parent
        return REFUSED
    output.write_bytes(compiled.serialize())
    return 0


def check_files() -> int:
    """Answer check requests until standard input ends."""
    engine = new_engine()
    for line in sys.stdin:
        request = json.loads(line)
        verdict = _check(engine, Path(request["file"]), request["world"])
        print(json.dumps(verdict), flush=True)  # noqa: T201  # read by the parent
    return 0


def _check(engine: Engine, file: Path, world: str | None) -> dict[str, str | None]:
    try:
        wasm = file.read_bytes()
        code_bytes = check_static(wasm, PLAIN)
        budget = CompileBudget.of_code(code_bytes)
        _allow(budget.cpu_seconds, budget.memory_bytes)
        shape = shape_of(engine, _compiled(engine, wasm))
        if world is not None:
            check_world(World(world), imports=shape.imports, exports=shape.exports, python=False)
    except SandboxError as exc:
        return {"code": exc.code, "message": exc.message}
    except OSError as exc:
        return {"code": "file-access", "message": str(exc.strerror)}
    return {"code": None, "message": None}


def _compiled(engine: Engine, wasm: bytes) -> Component:
    try:
        return Component(engine, wasm)
    except WasmtimeError as exc:
        raise ComponentRefusedError(" ".join(str(exc).split())[:500]) from exc


def _enter_jail() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES_MAX, _OUTPUT_BYTES_MAX))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF, signal.SIGXCPU})


def _allow(cpu_seconds: float, memory_bytes: int) -> None:
    """Limit the process's further usage; the kernel kills it when it exceeds the limit."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole_seconds = math.ceil(used.ru_utime + used.ru_stime + cpu_seconds) + 1
    _lower(resource.RLIMIT_CPU, whole_seconds)
    _lower(resource.RLIMIT_DATA, data_bytes() + memory_bytes)
    _lower(resource.RLIMIT_AS, _ADDRESS_BYTES + _ADDRESSES_A_BYTE * memory_bytes)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _lower(limit: int, value: int) -> None:
    """Set the soft limit, so that each file of a check can have its own."""
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    _enter_jail()
    if sys.argv[1] == CHECK:
        sys.exit(check_files())
    _allow(float(sys.argv[3]), int(sys.argv[4]))
    sys.exit(
        compile_file(
            Path(sys.argv[1]),
            Path(sys.argv[2]),
            EngineKind(sys.argv[5]),
            trap_growth=TRAP_GROWTH in sys.argv[6:],
        )
    )
