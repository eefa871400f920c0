"""Compiles components in a separate, killable process with CPU, memory and time limits."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.compile_budget import CompileBudget
from sandbox.engine import EngineKind
from sandbox.errors import CompileLostError, CompileRefusedError, ComponentRefusedError
from sandbox.limits import MIB

CHECK = "--check"
TRAP_GROWTH = "--trap-growth"
REFUSED = 3
"""Exit code of the worker when the compiler refuses the component."""
_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
_NO_MEMORY = b"memory allocation of"
"""The message that the compiler's allocator writes before it aborts."""


def compile_in_jail(
    component: Path,
    output: Path,
    budget: CompileBudget,
    *,
    kind: EngineKind = EngineKind.COMPONENTS,
    trap_growth: bool = False,
) -> None:
    """Compile the file `component` into the file `output`, for at most `budget`.

    Args:
        component: its file.
        output: the file for the compiled code.
        budget: the limits of the compiler.
        kind: the kind of engine that the code is for.
        trap_growth: make a refused growth of a memory end the run: see `sandbox.growth`.

    Raises:
        ComponentRefusedError: the component is not valid.
        CompileRefusedError: the budget is exceeded, or the compiler crashed.
        CompileLostError: it was killed from outside, for example by the kernel's out-of-memory
            killer.
    """
    try:
        _run_worker(component, output, budget, [kind, *([TRAP_GROWTH] if trap_growth else [])])
    except BaseException:
        output.unlink(missing_ok=True)
        raise


def _run_worker(component: Path, output: Path, budget: CompileBudget, how: Sequence[str]) -> None:
    arguments = [str(component), str(output), str(budget.cpu_seconds), str(budget.memory_bytes)]
    arguments += how
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sandbox.jail_worker", *arguments],
            env=jail_environment(threads=budget.threads),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=budget.wall_seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as exc:
        raise CompileRefusedError(
            f"component {component.stem}: compiling took longer than {budget.wall_seconds:g} s"
        ) from exc
    text = done.stderr[-2000:].decode(errors="replace").strip()
    if done.returncode == REFUSED:
        raise ComponentRefusedError(f"component {component.stem}: {text}")
    if done.returncode in _FROM_OUTSIDE:
        raise CompileLostError(f"component {component.stem}: the compiler was killed")
    if done.returncode != 0:
        raise CompileRefusedError(
            f"component {component.stem}: {_reason(done.returncode, done.stderr, budget)}"
        )


def _reason(returncode: int, stderr: bytes, budget: CompileBudget) -> str:
    """Why a jailed process ended."""
    if ended_by_cpu_time(returncode):
        return f"compiling needs more than {budget.cpu_seconds:.2f} s of CPU time"
    if returncode == -signal.SIGABRT and _NO_MEMORY in stderr:
        return f"compiling needs more than {budget.memory_bytes // MIB} MiB of memory"
    lines = stderr[-2000:].decode(errors="replace").strip().splitlines()
    return f"the compiler ended with code {returncode}" + (f": {lines[-1]}" if lines else "")


def ended_by_cpu_time(returncode: int) -> bool:
    """Whether a jailed process was killed at its limit of CPU time."""
    return returncode in {-signal.SIGPROF, -signal.SIGXCPU}


def jail_environment(*, threads: int = 0) -> dict[str, str]:
    """The environment of a jailed process: only the module path, nothing of the parent's.

    Args:
        threads: how many threads compile; 0 for one a core.
    """
    root = str(Path(__file__).parent.parent)
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    fixed = {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **fixed, "RAYON_NUM_THREADS": str(threads)}
