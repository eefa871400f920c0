"""Standard modules that a guest loads when it first imports them.

Their code is compiled before the runtime is built and kept compressed, so that a runtime's memory
holds a module's objects only where a guest uses it. The file `shelf.bin` is a line of JSON
{name: [offset, length, is a package], ..} and, after it, a zlib stream of marshalled code for each.
"""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import json
import marshal
import zlib
from importlib.machinery import BuiltinImporter, ModuleSpec
from types import CodeType, ModuleType

import alterations

__tracebackhide__ = True

BUILTIN = frozenset(
    {"_elementtree", "_locale", "_pickle", "_signal", "_zoneinfo", "atexit", "pyexpat"}
)
"""Modules in C that are part of the interpreter and are loaded when they are first imported."""
_index: dict[str, tuple[int, int, bool]] = {}
_content: list[bytes] = []


def keep(shelf: bytes) -> None:
    """Keep the content of `shelf.bin` in memory."""
    head, _, content = shelf.partition(b"\n")
    _index.update(json.loads(head))
    _content[:] = [content]


def find_spec(name: str) -> ModuleSpec | None:
    """The spec of a module of the shelf; None if it holds none of this name."""
    if name in _index:
        return ModuleSpec(name, _Loader, origin="sandbox", is_package=_index[name][2])
    return BuiltinImporter.find_spec(name) if name in BUILTIN else None


class _Loader:
    """Loads modules from the shelf."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """None: the default module object."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Run the module's code, then change what is different in a sandbox."""
        name = module.__spec__.name
        exec(_Loader.get_code(name), module.__dict__)  # noqa: S102
        alterations.alter(name, module)

    @staticmethod
    def get_code(name: str) -> CodeType:
        """The module's code."""
        offset, length, _ = _index[name]
        code: CodeType = marshal.loads(zlib.decompress(_content[0][offset : offset + length]))  # noqa: S302
        return code

    @staticmethod
    def get_source(name: str) -> None:
        """None: only code is kept."""

    @staticmethod
    def is_package(name: str) -> bool:
        """Whether modules can be below it."""
        return _index[name][2]
