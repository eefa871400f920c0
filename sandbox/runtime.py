"""The sandbox's interface: make an image or admit a component, then call its exports."""

import json
from collections.abc import Callable
from pathlib import Path

from sandbox import pinned
from sandbox.aot_cache import AotCache, Compile
from sandbox.compile_budget import CompileBudget
from sandbox.compiled_files import CompiledFile, CompiledFiles
from sandbox.deadline import Ticker
from sandbox.digests import digest_of, file_stem
from sandbox.engine import EngineKind, new_engine
from sandbox.errors import ComponentUnknownError, WorldMismatchError
from sandbox.files import private_directory, write_whole
from sandbox.guest import Component, Guest
from sandbox.guest_cache import GuestCache, KeyedLocks
from sandbox.images.header import Header
from sandbox.images.restored import Keeping, program_of
from sandbox.images.runtimes import Runtimes
from sandbox.images.store import ImageStore
from sandbox.jail import compile_in_jail
from sandbox.loading import Pool, loaded_guest, opened_pool
from sandbox.older_caches import remove_derived
from sandbox.python_source import PythonSource
from sandbox.static_limits import PLAIN, check_static
from sandbox.world import World

GUESTS_MAX = 128
"""An image that is loaded takes about 10 MiB, whose pages its runs share until they write them."""

COMPILED_FILES_MAX = 32
"""Files of compiled code that stay open for the processes of guests."""

Progress = Callable[[str], None]


class Sandbox:
    """One engine, and the components that this host has stored. Thread-safe.

    Args:
        cache_dir: contains components and compiled code, accessible to this user only. Everything
            in it can be rebuilt from packages.
        progress: called with one sentence before each step that takes seconds.
        guests_max: how many guests stay loaded; reloading another one takes milliseconds.
        restored_instances: whether an instance of a Python guest is restored after a run and kept
            for the next one, where the system allows it; else each run has a new instance.
    """

    def __init__(
        self,
        *,
        cache_dir: Path,
        progress: Progress | None = None,
        guests_max: int = GUESTS_MAX,
        restored_instances: bool = True,
    ) -> None:
        self._cache_dir = private_directory(cache_dir)
        remove_derived(cache_dir)
        self._components = private_directory(cache_dir / "components")
        self._progress: Progress = progress or (lambda _text: None)
        self._aot = AotCache(cache_dir / "compiled")
        self._engine = new_engine()
        engine = new_engine(EngineKind.RUNTIMES)
        self._ticker = Ticker(self._engine, engine)
        self._runtimes = Runtimes(cache_dir, engine, self._progress)
        self._images = ImageStore(cache_dir, self._runtimes)
        self._keeping = Keeping.opened() if restored_instances else None
        self._pool: Pool | None = None
        self._has_tried_pool = False
        self._admissions = KeyedLocks()
        self._guests = GuestCache(guests_max)
        self._compiled_files = CompiledFiles(COMPILED_FILES_MAX)

    def default_runtime(self, world: World) -> str:
        """The digest of the newest pinned runtime of `world`.

        Raises:
            RuntimeUnknownError: none is installed.
        """
        return pinned.default_runtime(world).digest

    def make_image(
        self, world: World, source: PythonSource, *, runtime: str | None = None
    ) -> Component:
        """Make the image of Python sources; from the cache if it has been made here.

        Args:
            world: the world of the code.
            source: the Python sources.
            runtime: digest of the pinned runtime; the newest of the world by default.

        Raises:
            RuntimeUnknownError, RuntimeDamagedError: there is no such runtime, or it is damaged.
            WorldMismatchError: the runtime is one of another world.
            LoadFailedError: the sources cannot be imported; names file, line and exception.
        """
        chosen = pinned.find_runtime(runtime or self.default_runtime(world))
        if chosen.world is not world:
            raise WorldMismatchError(
                f"runtime {chosen.digest}: expected one of world {world}, found {chosen.world}"
            )
        header = self._images.make(source, chosen.digest, self._progress)
        return self._of_image(header)

    def admit(self, world: World, wasm: bytes) -> Component:
        """Store a self-contained component after checking it; it is compiled on the way.

        Raises:
            ComponentRefusedError: a static limit, or not a valid component.
            CompileRefusedError: a limit of the compile jail.
            WorldMismatchError: its imports or exports are not those of `world`.
        """
        check_static(wasm, PLAIN)
        digest = digest_of(wasm)
        path = self._path(digest)
        with self._admissions.hold(digest):
            known = path.exists()
            if not known:
                write_whole(path, wasm)
            try:
                self._load(Component(digest=digest, world=world, runtime=None, path=path))
            except BaseException:
                if not known:
                    path.unlink(missing_ok=True)
                raise
            return self._record(digest, world)

    def guest(self, world: World, component_digest: str) -> Guest:
        """The guest of a stored component, compiled in the jail the first time.

        Raises:
            ComponentUnknownError: it was not made or admitted with this cache directory.
            WorldMismatchError: it is one of another world.
            CompileRefusedError: a limit of the compile jail.
        """
        guest = self._guests.get(
            component_digest, lambda: self._load(self._recall(component_digest))
        )
        if guest.component.world is not world:
            raise WorldMismatchError(
                f"component {component_digest}: expected world {world}, "
                f"found {guest.component.world}"
            )
        return guest

    def compiled(self, world: World, component_digest: str) -> CompiledFile:
        """The compiled code of a stored component, for another process to map.

        Raises: as `guest`.
        """
        found = self._compiled_files.get(
            component_digest, lambda: self._open_compiled(self._recall(component_digest))
        )
        if found.component.world is not world:
            found.close()
            raise WorldMismatchError(
                f"component {component_digest}: expected world {world}, "
                f"found {found.component.world}"
            )
        return found

    def wasm(self, component: Component) -> bytes:
        """The bytes of a stored component; of an image, those of its pinned runtime.

        Raises:
            RuntimeUnknownError, RuntimeDamagedError: there is no such runtime, or it is damaged.
        """
        if component.runtime is None:
            return component.path.read_bytes()
        return pinned.unpack_runtime(pinned.find_runtime(component.runtime))

    def image_size(self, component: Component) -> int | None:
        """Bytes of the memory of an image; None for a self-contained component.

        Raises:
            ComponentUnknownError: the image is not stored here.
        """
        if component.runtime is None:
            return None
        header = self._images.header(component.digest)
        if header is None:
            raise ComponentUnknownError(f"image {component.digest} is not stored here")
        return header.size

    def _open_compiled(self, component: Component) -> CompiledFile:
        if component.runtime is not None:
            files = self._runtimes.files(component.runtime)
            files.initial.close()
            image = self._images.open(component.digest)
            return CompiledFile(component=component, file=files.code, image=image.files.copy())
        stem = file_stem(component.digest) or ""
        file = self._aot.open(stem, component.path, self._compiler(component))
        return CompiledFile(component=component, file=file)

    def _load(self, component: Component) -> Guest:
        if component.runtime is not None:
            program = program_of(
                self._runtimes.code(component.runtime),
                self._images.open(component.digest),
                self._keeping,
            )
            return Guest(component, program, self._ticker)
        stem = file_stem(component.digest) or ""
        compiled = self._aot.load(
            self._engine, stem, self._path(component.digest), self._compiler(component)
        )
        guest = loaded_guest(component, self._engine, compiled, self._ticker)
        if component.world is not World.CONTRACT:
            return guest
        return self._pooled(component) or guest

    def _pooled(self, component: Component) -> Guest | None:
        """The guest of a contract that fits into the pool, once its compiled code is stored."""
        with self._admissions.hold("pool"):
            if not self._has_tried_pool:
                self._has_tried_pool, self._pool = True, opened_pool()
        pool = self._pool
        if pool is None:
            return None
        compiled = self._aot.again(pool.engine, file_stem(component.digest) or "")
        if compiled is None:
            return None
        return loaded_guest(component, pool.engine, compiled, pool.ticker, pool.places)

    def _compiler(self, component: Component) -> Compile:
        def compile_now(file: Path, output: Path) -> None:
            self._progress(f"compiling component {file.stem[:16]} (once per host)")
            budget = CompileBudget.of_code(check_static(file.read_bytes(), PLAIN))
            # A verdict must not depend on how much memory a host has or allows.
            trap_growth = component.world is World.CONTRACT
            compile_in_jail(file, output, budget, trap_growth=trap_growth)

        return compile_now

    def _of_image(self, header: Header) -> Component:
        return Component(
            digest=header.digest,
            world=pinned.find_runtime(header.runtime).world,
            runtime=header.runtime,
            path=self._images.path(header.digest),
        )

    def _record(self, digest: str, world: World) -> Component:
        path = self._path(digest)
        record = json.dumps({"world": world}).encode()
        note = path.with_suffix(".json")
        if not note.exists() or note.read_bytes() != record:
            write_whole(note, record)
        return Component(digest=digest, world=world, runtime=None, path=path)

    def _recall(self, digest: str) -> Component:
        path = self._path(digest)
        header = self._images.header(digest)
        if header is not None:
            return self._of_image(header)
        try:
            record = json.loads(path.with_suffix(".json").read_bytes())
            world, is_older = World(record["world"]), record.get("runtime") is not None
        except (FileNotFoundError, ValueError, KeyError, TypeError) as exc:
            raise ComponentUnknownError(f"component {digest} is not stored here") from exc
        if is_older:
            raise ComponentUnknownError(f"component {digest} was made by an older release")
        return Component(digest=digest, world=world, runtime=None, path=path)

    def _path(self, digest: str) -> Path:
        stem = file_stem(digest)
        if stem is None:
            raise ComponentUnknownError(f"component {digest!r}: expected SHA-256:HEX")
        return self._components / f"{stem}.wasm"
