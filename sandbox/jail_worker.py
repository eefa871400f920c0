"""The process inside the compile jail.

`python -m sandbox.jail_worker COMPONENT OUTPUT` compiles one component into a file.
`python -m sandbox.jail_worker --check` reads requests, one JSON object a line, and answers each
with a verdict in one line; who started it kills it when an answer does not come in time.
"""

import json
import resource
import sys
from pathlib import Path

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from sandbox.engine import new_engine
from sandbox.errors import ComponentRefusedError, SandboxError
from sandbox.inspect import shape_of
from sandbox.jail import ADDRESS_SPACE_BYTES, CHECK, CPU_SECONDS, REFUSED
from sandbox.static_limits import PLAIN, check_static
from sandbox.world import World, check_world


def compile_file(component: Path, output: Path) -> int:
    """Compile `component` to `output`; the answer is the process's exit code."""
    try:
        compiled = _compiled(new_engine(), component.read_bytes())
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
        check_static(wasm, PLAIN)
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
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _enter_jail()
    sys.exit(check_files() if sys.argv[1] == CHECK else compile_file(*map(Path, sys.argv[1:3])))
