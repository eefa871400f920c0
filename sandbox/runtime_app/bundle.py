"""In-memory importer of a CorDapp's sources, and the only importer that a guest is left with."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import binascii
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

import shelf
from module_table import MODULES, find_module

__tracebackhide__ = True
"""No frame of this module is the CorDapp's: traces and pytest leave them out."""

CLOCK = MODULES["time"].refusal
RANDOMNESS = MODULES["uuid"].refusal
FILES = MODULES["io"].refusal
PROCESSES = MODULES["subprocess"].refusal
SLEEP = "the sandbox cannot wait: write self.flow_engine.sleep(millis) in a flow"
INPUT = "the sandbox has no standard input"

_FOLDER = os.path.dirname(__file__)
_UNSHARED = ("_thread", "threading")
"""Loaded modules of which a guest gets another form."""
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
    "chmod",
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
    """Finds modules in a mapping of bundle paths to source texts.

    Refuses every other by name, unless a finder that guest code has added finds it.

    The mapping also holds data files of packages, whose texts are the base64 of their content.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
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
            return ModuleSpec(name, self, is_package=True)
        # Some packages make modules while they run (`six.moves`), by a finder of their own.
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = shelf.find_spec(name)
        while spec is None:
            finder = next(others, None)
            if finder is None:
                raise ModuleNotFoundError(f"cannot import {name!r}: {_reason(name)}", name=name)
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
        return spec

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
        if file is None:
            return  # a folder without __init__.py
        source = self._files[file]
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        code = compile(source, file, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102

    def get_source(self, name: str) -> str:
        """The source text, for tracebacks and `inspect`."""
        spec = self.find_spec(name)
        return self._files[spec.origin] if spec.origin else ""

    def get_data(self, path: str) -> bytes:
        """The content of a file of the bundle, for `pkgutil.get_data` and `importlib.resources`.

        Args:
            path: its bundle path, such as `stdnum/iban.dat`.

        Raises:
            FileNotFoundError: the bundle has no such file.
        """
        path = os.path.normpath(path)
        if path not in self._files:
            raise FileNotFoundError(
                f"{path}: no such data file in the package (cordapp.toml lists them in data)"
            )
        text = self._files[path]
        return text.encode() if path.endswith(".py") else binascii.a2b_base64(text)

    def data_names(self) -> list[str]:
        """Bundle paths of all data files."""
        return [path for path in self._files if not path.endswith(".py")]


def _reason(name: str) -> str:
    row = find_module(name)
    if row is not None and not row.importable:
        return row.refusal
    if name.partition(".")[0] in sys.stdlib_module_names:
        return "it is not among the runtime's standard modules"
    return "neither the package nor its dependencies contain it"


def install(files: Mapping[str, str], output: io.TextIOBase, errors: io.TextIOBase) -> None:
    """Make `files` the only place that imports come from, and shut the doors to the outside.

    Args:
        files: the bundle: path to source text, or to the base64 of a data file.
        output: standard output of the guest.
        errors: standard error of the guest, to which warnings are written.
    """
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [BundleFinder(files)]
    for name, module in list(sys.modules.items()):
        # A bundle may have modules of the same names as the loader.
        own = os.path.dirname(getattr(module, "__file__", None) or "") == _FOLDER
        row = find_module(name)
        if own or name in _UNSHARED or (row is not None and not row.importable):
            del sys.modules[name]
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
    for name in ("kill", "popen", "system"):
        setattr(os, name, _refusal(PROCESSES))
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
