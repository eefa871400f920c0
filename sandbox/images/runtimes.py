"""Pinned runtimes, compiled once for each host: their code and their initial memory.

In the cache, below `runtimes`: the component; `HEX.memory`, its initial memory; and below
`compiled` the code of the stripped component. The last two are sealed.
"""

import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from wasmtime import Engine, WasmtimeError
from wasmtime import component as wc

from sandbox import pinned
from sandbox.aot_cache import AotCache
from sandbox.compile_budget import RUNTIME
from sandbox.digests import file_stem
from sandbox.engine import EngineKind
from sandbox.errors import ComponentUnknownError, RuntimeDamagedError
from sandbox.files import private_directory
from sandbox.guest import exports_of
from sandbox.guest_cache import KeyedLocks
from sandbox.images.stripped import initial_memory
from sandbox.inspect import shape_of
from sandbox.jail import compile_in_jail
from sandbox.linking import linker_of
from sandbox.pinned import PinnedRuntime
from sandbox.seals import Seals
from sandbox.world import World, check_world


@dataclass(frozen=True, slots=True, eq=False)
class RuntimeCode:
    """A runtime whose instances can be made.

    Attributes:
        digest: of the pinned runtime.
        engine: the engine that it was loaded for, of the kind `RUNTIMES`.
        compiled: its code.
        linker: has all host functions of its world.
        exports: what may be called.
        initial: the file of its initial memory.
    """

    digest: str
    world: World
    engine: Engine
    compiled: wc.Component
    linker: wc.Linker
    exports: Mapping[str, wc.ExportIndex]
    initial: BufferedReader


@dataclass(frozen=True, slots=True)
class RuntimeFiles:
    """The checked files of a runtime, open for reading; the receiver must close them.

    Attributes:
        code: the compiled code.
        initial: the initial memory.
    """

    digest: str
    code: BufferedReader
    initial: BufferedReader

    def copy(self) -> "RuntimeFiles":
        """The same files once more."""
        return RuntimeFiles(self.digest, _again(self.code), _again(self.initial))

    def close(self) -> None:
        """Close both."""
        self.code.close()
        self.initial.close()


def load_runtime(engine: Engine, world: World, files: RuntimeFiles) -> RuntimeCode:
    """Load a runtime from its files; that of the initial memory stays open.

    Raises:
        ComponentUnknownError: the compiled code is not for this engine.
        WorldMismatchError: its imports or exports are not those of `world`.
    """
    path = f"/dev/fd/{files.code.fileno()}"
    try:
        compiled = wc.Component.deserialize_file(engine, path)
    except WasmtimeError as exc:
        raise ComponentUnknownError(f"compiled code of runtime {files.digest} is damaged") from exc
    shape = shape_of(engine, compiled)
    check_world(world, imports=shape.imports, exports=shape.exports, python=True)
    return RuntimeCode(
        digest=files.digest,
        world=world,
        engine=engine,
        compiled=compiled,
        linker=linker_of(world, engine),
        exports=exports_of(compiled, world),
        initial=files.initial,
    )


class Runtimes:
    """The pinned runtimes of one host. Thread-safe; two of them may be compiled at once.

    Args:
        cache_dir: the cache.
        engine: of the kind `RUNTIMES`.
        progress: called with one sentence before a runtime is compiled.
    """

    def __init__(self, cache_dir: Path, engine: Engine, progress: Callable[[str], None]) -> None:
        self._cache_dir = cache_dir
        self._folder = private_directory(cache_dir / "runtimes")
        self._engine = engine
        self._progress = progress
        self._aot = AotCache(cache_dir / "compiled", EngineKind.RUNTIMES)
        self._seals = Seals(self._folder, "initial memory")
        self._locks = KeyedLocks()
        self._loaded: dict[str, RuntimeCode] = {}
        self._checked: dict[str, RuntimeFiles] = {}
        weakref.finalize(self, _close, self._loaded, self._checked)

    def code(self, digest: str) -> RuntimeCode:
        """A runtime, compiled the first time on this host.

        Raises:
            RuntimeUnknownError, RuntimeDamagedError: there is no such runtime, or it is damaged.
            CompileRefusedError: it cannot be compiled here.
        """
        with self._locks.hold(f"code {digest}"):
            found = self._loaded.get(digest)
            if found is None:
                files = self.files(digest)
                try:
                    world = pinned.find_runtime(digest).world
                    found = load_runtime(self._engine, world, files)
                except BaseException:
                    files.initial.close()
                    raise
                finally:
                    files.code.close()
                self._loaded[digest] = found
        return found

    def files(self, digest: str) -> RuntimeFiles:
        """The files of a runtime, for another process of this host; errors as of `code`.

        They are checked once, and stay those that were checked.
        """
        with self._locks.hold(f"files {digest}"):
            found = self._checked.get(digest)
            if found is None:
                found = self._checked[digest] = self._check(digest)
            return found.copy()

    def _check(self, digest: str) -> RuntimeFiles:
        runtime = pinned.find_runtime(digest)
        component = pinned.materialise(runtime, self._cache_dir)
        stem = file_stem(digest) or ""
        code = self._aot.open(stem, component, lambda file, out: self._compile(runtime, file, out))
        try:
            return RuntimeFiles(digest, code, self._initial(component))
        except BaseException:
            code.close()
            raise

    def _initial(self, component: Path) -> BufferedReader:
        path = component.with_suffix(".memory")
        file = self._seals.open(path)
        if file is None:
            self._seals.write(path, initial_memory(component.read_bytes()))
            file = self._seals.open(path)
        if file is None:
            raise RuntimeDamagedError(f"{path.name} cannot be read back")
        return file

    def _compile(self, runtime: PinnedRuntime, component: Path, output: Path) -> None:
        self._progress(f"compiling the Python runtime for {runtime.world}s (once per host)")
        # A verdict must not depend on how much memory a host has or allows.
        trap_growth = runtime.world is World.CONTRACT
        compile_in_jail(
            component, output, RUNTIME, kind=EngineKind.RUNTIMES, trap_growth=trap_growth
        )


def _close(loaded: dict[str, RuntimeCode], checked: dict[str, RuntimeFiles]) -> None:
    for code in loaded.values():
        code.initial.close()
    for files in checked.values():
        files.close()


def _again(file: BufferedReader) -> BufferedReader:
    return os.fdopen(os.dup(file.fileno()), "rb")


def content_of(initial: BufferedReader) -> bytes:
    """The initial memory in a runtime's file; other threads may read it at the same time."""
    size = os.fstat(initial.fileno()).st_size
    return os.pread(initial.fileno(), size, 0)
