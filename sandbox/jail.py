"""Compiles components in a separate, killable process with CPU, memory and time limits."""

import os
import subprocess
import sys
from pathlib import Path

from sandbox.errors import CompileRefusedError, ComponentRefusedError

WALL_SECONDS = 120
CPU_SECONDS = 240
ADDRESS_SPACE_BYTES = 6 * 1024**3
CHECK = "--check"
REFUSED = 3
"""Exit code of the worker when the compiler refuses the component."""


def compile_in_jail(component: Path, output: Path, *, wall_seconds: int = WALL_SECONDS) -> None:
    """Compile the file `component` into the file `output`.

    Raises:
        ComponentRefusedError: the component is not valid.
        CompileRefusedError: a limit of the jail was reached, or the compiler died.
    """
    try:
        _run_worker(component, output, wall_seconds)
    except BaseException:
        output.unlink(missing_ok=True)
        raise


def _run_worker(component: Path, output: Path, wall_seconds: int) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sandbox.jail_worker", str(component), str(output)],
            env=jail_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=wall_seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as exc:
        raise CompileRefusedError(
            f"component {component.stem}: compiling took longer than {wall_seconds} seconds"
        ) from exc
    text = done.stderr[-2000:].decode(errors="replace").strip()
    if done.returncode == REFUSED:
        raise ComponentRefusedError(f"component {component.stem}: {text}")
    if done.returncode != 0:
        reason = text.splitlines()[-1] if text else f"exit code {done.returncode}"
        raise CompileRefusedError(f"component {component.stem}: the compiler ended: {reason}")


def jail_environment() -> dict[str, str]:
    """The environment of a jailed process: where modules are found, and nothing of the parent's."""
    root = str(Path(__file__).parent.parent)
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
