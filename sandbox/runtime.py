"""The sandbox as others use it: derive or admit a component, then call its exports."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import pinned
from sandbox.aot_cache import AotCache
from sandbox.deadline import Ticker
from sandbox.derive import Deriver
from sandbox.digests import digest_of, file_stem
from sandbox.engine import new_engine
from sandbox.errors import ComponentUnknownError, WorldMismatchError
from sandbox.files import private_directory, write_whole
from sandbox.guest import Component, Guest
from sandbox.inspect import shape_of
from sandbox.jail import compile_in_jail
from sandbox.python_source import PythonSource
from sandbox.static_limits import PLAIN, check_static
from sandbox.world import World, check_world

Progress = Callable[[str], None]


class Sandbox:
    """One engine, and the components that this host has stored. Thread-safe.

    Args:
        cache_dir: holds components and compiled code; of this user only. All of it can be made
            again from packages.
        progress: told in one sentence before each step that takes seconds.
    """

    def __init__(self, *, cache_dir: Path, progress: Progress | None = None) -> None:
        self._cache_dir = private_directory(cache_dir)
        self._components = private_directory(cache_dir / "components")
        self._progress: Progress = progress or (lambda _text: None)
        self._deriver = Deriver(cache_dir)
        self._aot = AotCache(cache_dir / "compiled", compile_component=self._compile)
        self._ticker = Ticker(new_engine())
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._guests: dict[str, Guest] = {}

    def default_runtime(self, world: World) -> str:
        """The digest of the newest pinned runtime of `world`.

        Raises:
            RuntimeUnknownError: none is installed.
        """
        return pinned.default_runtime(world).digest

    def derive(
        self, world: World, source: PythonSource, *, runtime: str | None = None
    ) -> Component:
        """Derive the component of Python sources; from the cache if it has been derived here.

        Args:
            world: the component's world.
            source: the Python sources.
            runtime: digest of the pinned runtime; the newest of the world by default.

        Raises:
            RuntimeUnknownError, RuntimeDamagedError: there is no such runtime, or it is damaged.
            WorldMismatchError: the runtime is one of another world.
            DeriveFailedError: the sources cannot be imported; names file, line and exception.
        """
        chosen = pinned.find_runtime(runtime or self.default_runtime(world))
        if chosen.world is not world:
            raise WorldMismatchError(
                f"runtime {chosen.digest}: expected one of world {world}, found {chosen.world}"
            )
        digest = self._deriver.derive(source, chosen, self._progress)
        return self._record(digest, world, chosen.digest)

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
        with self._one_at_a_time(digest):
            if not path.exists():
                write_whole(path, wasm)
            self._load(Component(digest=digest, world=world, runtime=None, path=path))
            return self._record(digest, world, None)

    def guest(self, world: World, component_digest: str) -> Guest:
        """The guest of a stored component, compiled in the jail the first time.

        Raises:
            ComponentUnknownError: it was not derived or admitted with this cache directory.
            WorldMismatchError: it is one of another world.
            CompileRefusedError: a limit of the compile jail.
        """
        with self._one_at_a_time(component_digest):
            guest = self._guests.get(component_digest)
            if guest is None:
                guest = self._load(self._recall(component_digest))
                self._guests[component_digest] = guest
        if guest.component.world is not world:
            raise WorldMismatchError(
                f"component {component_digest}: expected world {world}, "
                f"found {guest.component.world}"
            )
        return guest

    @contextmanager
    def _one_at_a_time(self, digest: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:
            yield

    def _load(self, component: Component) -> Guest:
        stem = file_stem(component.digest) or ""
        engine = self._ticker.engine
        compiled = self._aot.load(engine, stem, self._path(component.digest))
        shape = shape_of(engine, compiled)
        check_world(
            component.world,
            imports=shape.imports,
            exports=shape.exports,
            python=component.runtime is not None,
        )
        return Guest(component, compiled, self._ticker)

    def _compile(self, component: Path, output: Path) -> None:
        self._progress(f"compiling component {component.stem[:16]} (once per host)")
        compile_in_jail(component, output)

    def _record(self, digest: str, world: World, runtime: str | None) -> Component:
        path = self._path(digest)
        record = json.dumps({"world": world, "runtime": runtime}).encode()
        note = path.with_suffix(".json")
        if not note.exists() or note.read_bytes() != record:
            write_whole(note, record)
        return Component(digest=digest, world=world, runtime=runtime, path=path)

    def _recall(self, digest: str) -> Component:
        path = self._path(digest)
        try:
            record = json.loads(path.with_suffix(".json").read_bytes())
            world, runtime = World(record["world"]), record["runtime"]
        except (FileNotFoundError, ValueError, KeyError, TypeError) as exc:
            raise ComponentUnknownError(f"component {digest} is not stored here") from exc
        return Component(digest=digest, world=world, runtime=runtime, path=path)

    def _path(self, digest: str) -> Path:
        stem = file_stem(digest)
        if stem is None:
            raise ComponentUnknownError(f"component {digest!r}: expected SHA-256:HEX")
        return self._components / f"{stem}.wasm"
