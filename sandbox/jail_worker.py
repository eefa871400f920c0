"""The process inside the compile jail: `python -m sandbox.jail_worker COMPONENT OUTPUT`."""

import resource
import sys
from pathlib import Path

from wasmtime import WasmtimeError
from wasmtime.component import Component

from sandbox.engine import new_engine
from sandbox.jail import ADDRESS_SPACE_BYTES, CPU_SECONDS, REFUSED


def main(component: Path, output: Path) -> int:
    """Compile `component` to `output`; the answer is the process's exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        compiled = Component(new_engine(), component.read_bytes())
    except WasmtimeError as exc:
        print(" ".join(str(exc).split())[:500], file=sys.stderr)  # noqa: T201
        return REFUSED
    output.write_bytes(compiled.serialize())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
