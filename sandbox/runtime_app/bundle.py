"""In-memory importer of a CorDapp's sources, and the only importer that a guest is left with."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import builtins
import io
import linecache
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, Never

CLOCK = "the sandbox has no clock: ask the host (flow.now)"
RANDOMNESS = "the sandbox has no randomness: ask the host (flow.random)"
FILES = "the sandbox has no files"
SLEEP = "the sandbox cannot wait: ask the host (flow.sleep)"

_REASONS = {
    "random": RANDOMNESS,
    "secrets": RANDOMNESS,
    "_random": RANDOMNESS,
    "asyncio": "the sandbox has no event loop: host calls are plain calls",
    "threading": "the sandbox has no threads",
    "_thread": "the sandbox has no threads",
    "concurrent": "the sandbox has no threads",
    "multiprocessing": "the sandbox has no processes",
    "subprocess": "the sandbox has no processes",
    "socket": "the sandbox has no network: ask the host (sessions, external-messaging)",
    "ssl": "the sandbox has no network: ask the host (sessions, external-messaging)",
    "http": "the sandbox has no network: ask the host (sessions, external-messaging)",
    "urllib": "the sandbox has no network: ask the host (sessions, external-messaging)",
    "sqlite3": "the sandbox has no database: ask the host (persistence)",
    "logging": "the sandbox has no clock for log records: log through the host (log.write)",
    "queue": "the sandbox has no threads",
    "tempfile": FILES,
    "shutil": FILES,
    "glob": FILES,
    "importlib.resources": FILES,
}
_UNSHARED = ("random", "_random", "secrets", "_thread", "threading")
_CLOCKS = (
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "process_time_ns",
    "thread_time",
    "thread_time_ns",
    "clock_gettime",
    "clock_gettime_ns",
    "get_clock_info",
)


class BundleFinder:
    """Finds modules in a mapping of bundle paths to source texts; refuses every other by name."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # the protocol's signature
        target: ModuleType | None = None,  # noqa: ARG002  # the protocol's signature
    ) -> ModuleSpec:
        """The spec of a bundle module.

        Raises:
            ModuleNotFoundError: the bundle and the runtime do not hold the module.
        """
        place = name.replace(".", "/")
        for file in (f"{place}/__init__.py", f"{place}.py"):
            if file in self._files:
                return self._spec(name, file)
        if any(file.startswith(f"{place}/") for file in self._files):
            return ModuleSpec(name, None, is_package=True)
        reason = _REASONS.get(name) or _REASONS.get(name.partition(".")[0])
        if reason is None and name.partition(".")[0] in sys.stdlib_module_names:
            reason = "it is not among the runtime's standard modules"
        detail = reason or "neither the package nor its dependencies contain it"
        raise ModuleNotFoundError(f"cannot import {name!r}: {detail}", name=name)

    def _spec(self, name: str, file: str) -> ModuleSpec:
        package = file.endswith("/__init__.py")
        spec = ModuleSpec(name, self, origin=file, is_package=package)
        spec.has_location = True
        spec.cached = None
        if package:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """None: the default module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module's source; its code names the bundle path as file."""
        file = module.__spec__.origin
        source = self._files[file]
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(_compiled(source, file), module.__dict__)  # noqa: S102

    def get_source(self, name: str) -> str:
        """The source text, for tracebacks and `inspect`."""
        spec = self.find_spec(name)
        return self._files[spec.origin] if spec.origin else ""


def _compiled(source: str, file: str) -> CodeType:
    """Code of `source`.

    The compiler opens the named file to quote a line of it in a SyntaxError, and opening a file
    ends the instance. A name that cannot be encoded is never opened, so it is compiled under such
    a name first.
    """
    try:
        compile(source, f"\ud800{file}", "exec", dont_inherit=True)
    except SyntaxError as exc:
        exc.filename = file
        raise
    return compile(source, file, "exec", dont_inherit=True)


def install(files: Mapping[str, str]) -> None:
    """Make `files` the only place that imports come from, and shut the doors to the outside."""
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [BundleFinder(files)]
    for name in _UNSHARED:
        sys.modules.pop(name, None)
    for name in _CLOCKS:
        setattr(time, name, _refusal(CLOCK))
    for name in ("localtime", "gmtime", "ctime", "asctime", "strftime"):
        setattr(time, name, _explicit(getattr(time, name), name))
    time.sleep = _refusal(SLEEP)
    os.urandom = os.getrandom = _refusal(RANDOMNESS)
    builtins.open = io.open = io.open_code = os.open = _refusal(FILES)
    for name in ("stat", "lstat", "listdir", "scandir", "mkdir", "remove", "unlink", "rename"):
        setattr(os, name, _refusal(FILES))
    os.environ.clear()
    sys.stdin = None
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = _Discarded()


class _Discarded(io.TextIOBase):
    """Standard output of a guest: accepted and dropped, since nobody reads it."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""


def _refusal(message: str) -> Callable[..., Never]:
    def refused(*_arguments: object, **_options: object) -> Never:
        raise OSError(message)

    return refused


def _explicit(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function`, refusing the call form that would read the clock."""
    needed = 2 if name == "strftime" else 1

    def explicit(*arguments: object) -> Any:
        if len(arguments) < needed or arguments[needed - 1] is None:
            raise OSError(CLOCK)
        return function(*arguments)

    return explicit
