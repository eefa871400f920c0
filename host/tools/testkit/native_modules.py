"""Standard modules as a sandbox has them, for a CorDapp's code that runs as plain Python.

The CorDapp's modules get builtins of their own, whose `__import__` refuses what a sandbox refuses,
and gives copies of modules whose functions a sandbox refuses or answers differently: other code in
the process keeps the modules as they are. What is imported by `importlib.import_module` is not
seen, and `datetime.now()` is Python's.
"""

import builtins
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name
from io import BytesIO
from pathlib import Path, PosixPath
from types import ModuleType
from typing import Any

from host.tools.cordapps.import_judgement import unreached_message
from host.tools.cordapps.module_names import parents_and_self
from sandbox import module_changes as changes
from sandbox import zones
from sandbox.module_table import MODULES, find_module
from sandbox.runtime_sources import LOADER_DIRECTORY, ZONES_FILE

__tracebackhide__ = True
"""Traces and pytest leave its frames out: the error is where a CorDapp calls."""

Send = Callable[[str, str, str], object]
"""Writes a line to the log of the virtual node: level, logger, message."""

_SHIMS = LOADER_DIRECTORY / "shims"
_SHIMMED = frozenset({"_thread", "socket", "threading"})
"""The runtime's own forms, which run here as well."""
_LOADED_AGAIN = frozenset({"logging", "queue", "random", "statistics"})
"""Loaded a second time, since their functions share state or call each other."""
_IMPORT_FORMS = frozenset({"queue", "statistics"})
"""Those that build on others which have a form of their own."""
_COPIED = frozenset(
    {
        "concurrent.futures", "getpass", "glob", "gzip", "io", "locale", "os", "pathlib", "secrets",
        "shutil", "signal", "subprocess", "tempfile", "time", "timeit", "uuid", "zoneinfo",
    }
)  # fmt: skip
_NATIVE = _SHIMMED | _LOADED_AGAIN | _COPIED

_log: ContextVar[Send | None] = ContextVar("log of the running flow", default=None)


@contextmanager
def logging_to(send: Send | None) -> Iterator[None]:
    """Write the records of the CorDapp's loggers to `send`; None drops them."""
    token = _log.set(send)
    try:
        yield
    finally:
        _log.reset(token)


class _Finder:
    """Finds the modules of CorDapps on `sys.path`, and gives them the builtins of a guest."""

    def __init__(self) -> None:
        self.folders: set[str] = set()
        self.unreached: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None or spec.origin is None:
            return None
        file = Path(spec.origin)
        if _is_test(file.name) or self.folders.isdisjoint(map(str, file.parents)):
            return None
        spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # it has what importing calls
        return spec


class _Loader:
    """Runs a module with the builtins of a guest; everything else is the loader's of the module."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = guest_builtins()
        self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_FINDER = _Finder()


def guard(folders: Iterable[Path], unreached: Iterable[str] = ()) -> None:
    """Give the modules below these folders, that are not imported yet, the builtins of a guest.

    Args:
        folders: of sources and wheels.
        unreached: modules that cordapp.toml declares never to be imported.
    """
    _FINDER.folders.update(str(folder) for folder in folders)
    _FINDER.unreached.update(unreached)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


@cache
def guest_builtins() -> Mapping[str, Any]:
    """The builtins of a CorDapp's modules."""
    refuses_files = changes.refusal("open", MODULES["io"].refusal)
    return {**vars(builtins), "__import__": _import, "open": refuses_files}


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,  # noqa: A002  # the names that Python gives
    locals: Mapping[str, Any] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """`__import__` of a CorDapp's modules.

    Raises:
        ModuleNotFoundError: a sandbox has no such module, or it is declared unreached.
    """
    _refuse_unreached(name, globals, fromlist or (), level)
    if level:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    for wanted in (name, *(f"{name}.{item}" for item in fromlist or ())):
        row = find_module(wanted) if wanted == name else MODULES.get(wanted)
        if row is not None and not row.importable:
            raise ModuleNotFoundError(f"cannot import {wanted!r}: {row.refusal}", name=wanted)
    module = builtins.__import__(name, globals, locals, fromlist or (), level)
    if fromlist:
        return _form(name) if name in _NATIVE else _with_forms(name, module, fromlist)
    top = name.partition(".")[0]
    if top in _NATIVE:
        return _form(top)
    return _with_forms(top, module, [name[len(top) + 1 :]]) if "." in name else module


def _refuse_unreached(
    name: str, names: Mapping[str, Any] | None, fromlist: Sequence[str], level: int
) -> None:
    package = (names or {}).get("__package__") or ""
    base = resolve_name("." * level + name, package) if level else name
    for wanted in (base, *(f"{base}.{item}" for item in fromlist)):
        for declared in _FINDER.unreached.intersection(parents_and_self(wanted)):
            raise ModuleNotFoundError(unreached_message(declared))


def _with_forms(name: str, module: ModuleType, parts: Iterable[str]) -> ModuleType:
    """`module`, or a copy of it with the guest's forms of modules below it."""
    forms = {part: _form(f"{name}.{part}") for part in parts if f"{name}.{part}" in _NATIVE}
    return _copy(module, forms) if forms else module


@cache
def _form(name: str) -> ModuleType:
    """The guest's form of a module."""
    row = MODULES[name]
    if name in _SHIMMED:
        module = ModuleType(name)
        source = (_SHIMS / f"{name}.py").read_text(encoding="utf-8")
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        exec(compile(source, str(_SHIMS / f"{name}.py"), "exec"), vars(module))  # noqa: S102  # ours
    elif name in _LOADED_AGAIN:
        module = _loaded_again(name)
    else:
        module = _copy(importlib.import_module(name), {})
    if name == "pathlib":
        _own_paths(module)
    if name not in {"threading", "_thread", "zoneinfo"}:
        changes.refuse(module, row.refuses, row.refusal)
    change = _CHANGES.get(name)
    if change is not None:
        change(module)
    return module


def _copy(module: ModuleType, forms: Mapping[str, ModuleType]) -> ModuleType:
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update({**vars(module), **forms})
    return copy


def _loaded_again(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"this Python has no module {name!r}", name=name)
    module = importlib.util.module_from_spec(spec)
    if name in _IMPORT_FORMS:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
    spec.loader.exec_module(module)
    return module


def _own_paths(module: Any) -> None:
    """Put a class Path in the place of this Python's that can be changed."""
    module.Path = type("Path", (PosixPath,), {"__module__": "pathlib"})
    module.PosixPath = module.Path


def _send(level: str, text: str, record: Any) -> None:
    send = _log.get()
    if send is not None:
        send(level, record.name, text)


def _own_zones(module: Any) -> None:
    zones.keep(ZONES_FILE.read_bytes())
    module.ZoneInfo = _zone_class(module)
    module.available_timezones = lambda: set(zones.names())
    module.TZPATH = ()
    module.reset_tzpath = changes.refusal("zoneinfo.reset_tzpath", MODULES["zoneinfo"].refusal)


def _zone_class(module: Any) -> type:
    real = module.ZoneInfo
    refuse_paths = importlib.import_module("zoneinfo._tzpath").find_tzfile

    @cache
    def zone(cls: Any, key: str) -> Any:
        refuse_paths(key)  # what it finds is not read: other machines have other files
        try:
            return cls.from_file(BytesIO(zones.read(key)), key)
        except KeyError:
            raise module.ZoneInfoNotFoundError(
                f"No time zone found with key {key}: tzdata {zones.version()} has none"
            ) from None

    return type("ZoneInfo", (real,), {"__module__": "zoneinfo", "__new__": staticmethod(zone)})


_OTHER_ADVICE = {"random": ("getrandom", "urandom"), "subprocess": ("kill", "popen", "system")}
"""Functions of `os` that the sandbox refuses in the words of another module."""


def _own_os(module: Any) -> None:
    for other, names in _OTHER_ADVICE.items():
        changes.refuse(module, names, MODULES[other].refusal)
    module.environ = {}
    module.getenv = module.environ.get
    module.walk = lambda *_arguments, **_options: iter(())  # passes over what it cannot read


def _only_python(module: Any) -> None:
    module.SimpleQueue = module._PySimpleQueue  # noqa: SLF001  # the one in C would wait


_CHANGES: Mapping[str, Callable[[Any], None]] = {
    "locale": lambda m: changes.refuse_locales(m, MODULES["locale"].refusal),
    "logging": lambda m: changes.send_records(m, _send, MODULES["io"].refusal),
    "os": _own_os,
    "queue": _only_python,
    "random": lambda m: changes.refuse_unseeded(m, MODULES["random"].refusal),
    "zoneinfo": _own_zones,
}


def _is_test(file_name: str) -> bool:
    return file_name.startswith("test_") or file_name == "conftest.py"
