"""Building new pinned runtimes with componentize-py, and checking the installed ones.

componentize-py's output differs at every build, so a runtime is built once and kept as data.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import wasmtime
from wasmtime.component import Component, Linker

from sandbox import missing_calls
from sandbox.digests import digest_of, file_stem
from sandbox.errors import RuntimeDamagedError, SandboxError, ToolMissingError
from sandbox.files import write_whole
from sandbox.pinned import DIRECTORY, PinnedRuntime, compress, pinned_runtimes, unpack_runtime
from sandbox.runtime_sources import SHELF, loader_digest, runtime_sources, zones_version
from sandbox.world import World

WIT_DIRECTORY = Path(__file__).parent / "wit"
_NOTE = (
    "componentize-py does not build reproducibly: a rebuild gives another digest and another hash "
    "seed. These bytes are the artefact, with a libc changed by sandbox/missing_calls.py; the "
    "digests below say what they were built from."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeCheck:
    """The verdict on one installed runtime.

    Attributes:
        current: built from the WIT and the loader that are installed with it.
    """

    runtime: PinnedRuntime
    error: SandboxError | None
    current: bool


def build_shelf() -> bytes:
    """The standard modules that guests load on demand, compiled by the runtime's own Python.

    Raises:
        ToolMissingError: componentize-py is not installed, or it failed.
    """
    component = _componentize(World.CONTRACT, "shelf_app", runtime_sources())
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    instance = Linker(engine).instantiate(store, Component(engine, component))
    describe = instance.get_func(store, "describe")
    if describe is None:
        raise ToolMissingError("componentize-py built a component without the export describe")
    return base64.b64decode(describe(store))


def build_runtime(world: World, shelf: bytes) -> bytes:
    """A new runtime component of `world`: componentize-py's, with a libc whose calls fail.

    Args:
        world: what the component exports and imports.
        shelf: of `build_shelf`.

    Raises:
        ToolMissingError: componentize-py is not installed, or it failed.
        ComponentRefusedError: the libc has another form than `sandbox.missing_calls` expects.
    """
    sources = {**runtime_sources(), SHELF: shelf}
    return missing_calls.fail_missing_calls(_componentize(world, f"{world}_app", sources))


def _componentize(world: World, app: str, sources: Mapping[str, bytes]) -> bytes:
    tool = shutil.which("componentize-py") or _beside_python("componentize-py")
    if tool is None:
        raise ToolMissingError(
            "componentize-py is not installed: pip install cordbox[runtime-build]"
        )
    with tempfile.TemporaryDirectory(prefix="cordbox-runtime-") as folder:
        root = Path(folder) / "sources"
        for path, content in sources.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        output = Path(folder) / "runtime.wasm"
        arguments = ["-q", "-d", str(WIT_DIRECTORY), "-w", f"{world}-runtime", "componentize"]
        arguments += ["--stub-wasi", "-p", str(root), app, "-o", str(output)]
        done = subprocess.run(
            [tool, *arguments], env=_environment(folder), capture_output=True, check=False
        )
        if done.returncode != 0:
            detail = done.stderr.decode(errors="replace").strip().splitlines()
            reason = detail[-1] if detail else f"exit code {done.returncode}"
            raise ToolMissingError(f"componentize-py cannot build {app}: {reason}")
        return output.read_bytes()


def pin_runtimes(components: dict[World, bytes], *, built: str, directory: Path) -> None:
    """Add built runtimes to `directory`, the second one as a patch of the first."""
    base: tuple[str, bytes] | None = None
    added = []
    for world, component in components.items():
        digest = digest_of(component)
        packed = compress(component, base=base[1] if base else b"")
        suffix = "patch.zst" if base else "zst"
        name = f"{world}-{(file_stem(digest) or '')[:16]}.wasm.{suffix}"
        write_whole(directory / name, packed, mode=0o644)
        added.append(
            PinnedRuntime(
                world=world,
                digest=digest,
                size=len(component),
                file=name,
                base=base[0] if base else None,
                wit_digest=wit_digest(),
                loader_digest=loader_digest(),
                componentize_py=version("componentize-py"),
                tzdata=zones_version(),
                built=built,
            )
        )
        base = base or (digest, component)
    entries = [asdict(r) for r in (*pinned_runtimes(directory), *added)]
    document = json.dumps({"note": _NOTE, "runtimes": entries}, indent=2) + "\n"
    write_whole(directory / "provenance.json", document.encode(), mode=0o644)
    pinned_runtimes.cache_clear()


def check_runtimes(directory: Path = DIRECTORY) -> Iterator[RuntimeCheck]:
    """Recompute the digest of every installed runtime."""
    wit = wit_digest()
    loader = loader_digest()
    for runtime in pinned_runtimes(directory):
        error: SandboxError | None = None
        try:
            unpack_runtime(runtime, directory)
        except RuntimeDamagedError as exc:
            error = exc
        current = (runtime.wit_digest, runtime.loader_digest) == (wit, loader)
        yield RuntimeCheck(runtime=runtime, error=error, current=current)


def wit_digest() -> str:
    """Digest over names and contents of the WIT."""
    found = sorted(WIT_DIRECTORY.glob("*.wit"))
    files = {file.name: file.read_text(encoding="utf-8") for file in found}
    return digest_of(json.dumps(files, sort_keys=True).encode())


def _environment(folder: str) -> dict[str, str]:
    """An environment in which the tool finds no packages of this machine."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": folder, "VIRTUAL_ENV": folder, "PYTHONDONTWRITEBYTECODE": "1"}


def _beside_python(name: str) -> str | None:
    try:
        version(name)
    except PackageNotFoundError:
        return None
    import sys  # noqa: PLC0415

    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else None
