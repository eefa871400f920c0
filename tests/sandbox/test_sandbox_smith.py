"""Generated modules inside a contract: refused with a reason or run within limits, never worse.

`wasm-tools smith` makes valid modules of all shapes and proposals out of seeds. Each becomes a core
module that a proper contract instantiates, so that its memories, tables, segments and its start
function are the engine's business.
"""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.component_check import check_components
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from sandbox.outcome import Returned
from sandbox.runtime import Sandbox
from sandbox.world import World
from tests.sandbox.test_sandbox_components import section, wasm

MODULES = int(os.environ.get("CORDBOX_SMITH_MODULES", "40"))
RUNS = int(os.environ.get("CORDBOX_SMITH_RUNS", "6"))
"""How many of the accepted ones are compiled and run; each costs a jailed process."""
_SEED_BYTES = 1_500
_LIMITS = Limits(fuel_max=5_000_000, memory_bytes_max=16 << 20, wall_ms_max=5_000)
_INSTANTIATE_THE_THIRD_MODULE = b"\x01\x00\x02\x00"
_PLAIN = tuple(
    word
    for proposal in ("gc", "exceptions", "memory64", "threads", "custom-page-sizes")
    for word in (f"--{proposal}-enabled", "false")
)
_START = ("--allow-start-export", "true", "--min-funcs", "3")
_SHAPES = (
    (*_START, "--max-memories", "3", "--max-tables", "3"),
    (*_START, *_PLAIN, "--ensure-termination"),
    (*_START, *_PLAIN),
    (*_START, *_PLAIN, "--max-memories", "3", "--max-tables", "3", "--disallow-traps", "true"),
)
"""All proposals; only ours and terminating; only ours, perhaps endless; many memories, no traps."""


def generated(number: int) -> bytes:
    """A core module without imports, always the same for a number."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("wasm-tools"),
            "smith",
            *("--min-imports", "0", "--max-imports", "0"),
            *_SHAPES[number % len(_SHAPES)],
        ],
        input=hashlib.shake_256(str(number).encode()).digest(_SEED_BYTES),
        capture_output=True,
        check=True,
    )
    return done.stdout


def contracts_holding_generated_modules(folder: Path, shell: bytes) -> list[Path]:
    def write(number: int) -> Path:
        inner = section(1, generated(number)) + section(2, _INSTANTIATE_THE_THIRD_MODULE)
        file = folder / f"{number:06}.wasm"
        file.write_bytes(shell + inner)
        return file

    with ThreadPoolExecutor(4) as executor:
        return list(executor.map(write, range(MODULES)))


def test_generated_modules_are_refused_or_run_within_limits(sandbox, texts, tmp_path):
    contracts = contracts_holding_generated_modules(tmp_path, wasm(texts.contract(texts.accepts)))
    verdicts = list(check_components(contracts, World.CONTRACT))
    assert [v.file for v in verdicts] == contracts
    assert all(v.code and v.message for v in verdicts if not v.accepted)
    accepted = [v.file for v in verdicts if v.accepted]
    assert MODULES / 10 < len(accepted) < MODULES, "the generator makes modules of both kinds"
    ends = {end_of_run(sandbox, file) for file in accepted[:: max(1, len(accepted) // RUNS)]}
    assert ends & {"out-of-fuel", "guest-trap", "stack-overflow", "memory-limit"}, ends
    assert "accepted" in ends


def end_of_run(sandbox: Sandbox, file: Path) -> str:
    """How a verification in the component ends: accepted, or the code of its refusal."""
    try:
        component = sandbox.admit(World.CONTRACT, file.read_bytes())
        guest = sandbox.guest(World.CONTRACT, component.digest)
        outcome = guest.call("verify", "{}", limits=_LIMITS)
    except SandboxError as refused:
        return refused.code
    assert isinstance(outcome, Returned)
    return "failed" if outcome.is_error else "accepted"
