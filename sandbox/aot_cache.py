"""Compiled components, kept by the host: keyed by digest and fingerprint, sealed with a MAC.

Loaded code is executed without further checks, so an entry is loaded only if its MAC, made with
this host's secret, is correct. A damaged or foreign entry is deleted and compiled again.
"""

import hashlib
import os
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from sandbox.engine import EngineKind, fingerprint
from sandbox.errors import ComponentUnknownError
from sandbox.files import locked, private_directory
from sandbox.seals import Seals

Compile = Callable[[Path, Path], None]
"""Compiles the component file (first) into a file (second)."""
_Found = TypeVar("_Found")


class AotCache:
    """Compiled code of components in `folder`, for engines of one kind."""

    def __init__(self, folder: Path, kind: EngineKind = EngineKind.COMPONENTS) -> None:
        self._folder = private_directory(folder)
        self._fingerprint = fingerprint(kind)
        self._seals = Seals(folder, self._fingerprint)

    def load(
        self, engine: Engine, stem: str, component: Path, compile_component: Compile
    ) -> Component:
        """The compiled component, from the cache or compiled now; once per digest and host.

        Args:
            engine: an engine of the cache's kind.
            stem: the digest's file stem.
            component: the component's file.
            compile_component: makes the compiled code when it is missing.

        Raises:
            ComponentUnknownError: the component's file is missing or has other bytes.
            ComponentRefusedError, CompileRefusedError: as from the jail.
        """
        return self._have(stem, component, compile_component, lambda path: self._load(engine, path))

    def again(self, engine: Engine, stem: str) -> Component | None:
        """A component that `load` has loaded, for another engine of the kind; None if it cannot."""
        return self._load(engine, self._entry(stem))

    def open(self, stem: str, component: Path, compile_component: Compile) -> BufferedReader:
        """The file of the compiled component, for another process of this host to map.

        The open file stays the checked one, even if its name is replaced. Arguments and errors are
        those of `load`.
        """
        return self._have(stem, component, compile_component, self._seals.open)

    def _entry(self, stem: str) -> Path:
        return self._folder / f"{stem}-{self._fingerprint[:16]}.cwasm"

    def _have(
        self,
        stem: str,
        component: Path,
        compile_component: Compile,
        find: Callable[[Path], _Found | None],
    ) -> _Found:
        """The result of `find` for the entry, which is compiled first if `find` returns None."""
        path = self._entry(stem)
        found = find(path)
        if found is not None:
            return found
        with locked(self._folder / f"{stem}.lock"):
            found = find(path)
            if found is not None:
                return found
            self._make(stem, component, path, compile_component)
            found = find(path)
        if found is None:
            raise ComponentUnknownError(f"compiled code of {stem} cannot be loaded")
        return found

    def _make(self, stem: str, component: Path, path: Path, compile_component: Compile) -> None:
        if not component.exists() or _sha256(component) != stem:
            raise ComponentUnknownError(f"component {stem} is not stored here, or is damaged")
        for left in self._folder.glob(f"{stem}-*.new"):
            # Left behind by a process that was killed while it held this lock.
            left.unlink(missing_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        try:
            compile_component(component, fresh)
            self._seals.keep(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def _load(self, engine: Engine, path: Path) -> Component | None:
        file = self._seals.open(path)
        if file is None:
            return None
        with file:
            try:
                return Component.deserialize_file(engine, str(path))
            except WasmtimeError:
                return None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
