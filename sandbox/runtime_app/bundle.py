"""In-memory importer of a CorDapp's sources, and the only importer that a guest is left with."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import builtins
import datetime as dt
import gc
import io
import linecache
import os
import posix
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Never

__tracebackhide__ = True
"""No frame of this module is the CorDapp's: traces and pytest leave them out."""

CLOCK = (
    "the sandbox has no clock: write self.clock.now() in a flow, transaction.time_window in a"
    " contract"
)
RANDOMNESS = (
    "the sandbox has no randomness: write self.random.bytes(..) or self.random.uuid() in a flow"
)
FILES = "the sandbox has no files"
SLEEP = "the sandbox cannot wait: write self.flow_engine.sleep(millis) in a flow"
INPUT = "the sandbox has no standard input"
_NETWORK = (
    "the sandbox has no network: a flow reaches members by self.flow_messaging, other systems by"
    " self.external_messaging"
)
_THREADS = "the sandbox has no threads"
_PROCESSES = "the sandbox has no processes"

_REASONS = {
    "random": RANDOMNESS,
    "secrets": RANDOMNESS,
    "_random": RANDOMNESS,
    "asyncio": "the sandbox has no event loop: calls of a flow's services are plain calls",
    "threading": _THREADS,
    "_thread": _THREADS,
    "concurrent": _THREADS,
    "multiprocessing": _PROCESSES,
    "subprocess": _PROCESSES,
    "socket": _NETWORK,
    "ssl": _NETWORK,
    "http": _NETWORK,
    "urllib": _NETWORK,
    "sqlite3": "the sandbox has no database: a flow stores entities by self.persistence_service",
    "logging": "write self.log.info(..) in a flow",
    "queue": _THREADS,
    "tempfile": FILES,
    "shutil": FILES,
    "glob": FILES,
    "importlib.resources": FILES,
}
_UNSHARED = ("random", "_random", "secrets", "_thread", "threading")
_FILE_CALLS = (
    "open",
    "stat",
    "lstat",
    "listdir",
    "scandir",
    "mkdir",
    "remove",
    "unlink",
    "rename",
    "replace",
    "rmdir",
    "chdir",
    "link",
    "symlink",
    "readlink",
    "truncate",
    "access",
    "utime",
)
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
        code = compile(source, file, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102

    def get_source(self, name: str) -> str:
        """The source text, for tracebacks and `inspect`."""
        spec = self.find_spec(name)
        return self._files[spec.origin] if spec.origin else ""


def install(files: Mapping[str, str], output: io.TextIOBase, errors: io.TextIOBase) -> None:
    """Make `files` the only place that imports come from, and shut the doors to the outside.

    Args:
        files: the bundle: path to source text.
        output: standard output of the guest.
        errors: standard error of the guest, to which warnings are written.
    """
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
    _replace_method(dt.datetime, "now", CLOCK)
    _replace_method(dt.datetime, "utcnow", CLOCK)
    os.urandom = posix.urandom = os.getrandom = _refusal(RANDOMNESS)
    builtins.open = io.open = io.open_code = _refusal(FILES)
    for name in _FILE_CALLS:
        setattr(os, name, _refusal(FILES))
        setattr(posix, name, _refusal(FILES))
    os.environ.clear()
    builtins.input = _refusal(INPUT)
    sys.stdin = None
    sys.stdout = sys.__stdout__ = output
    sys.stderr = sys.__stderr__ = errors


def _replace_method(cls: type, name: str, message: str) -> None:
    """Have a class method of a class in C refuse, whose attributes cannot be set.

    The C code fails by itself, since the runtime answers no system call; this says why, and what
    to write instead. The class's dictionary is behind a proxy, which refers to it.
    """
    (attributes,) = gc.get_referents(cls.__dict__)
    attributes[name] = classmethod(_refusal(message))
    with warnings.catch_warnings(action="ignore"):
        sys._clear_type_cache()  # noqa: SLF001  # the interpreter was not told of the change


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
