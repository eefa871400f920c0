"""The texts that are written from the table of host functions: the WIT, and the loader's imports.

`python -m sandbox.host_api_text` writes both. A change of either requires new pinned runtimes
(`cordbox runtime build`), so it has to wait for a release.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sandbox.host_api import INTERFACES
from sandbox.host_function import Interface

WIT = Path(__file__).parent / "wit" / "guest.wit"
LOADER = Path(__file__).parent / "runtime_app" / "workflow_app.py"

_KEYWORDS = frozenset({"record"})
"""Words of the WIT language that are also names of functions; they are written as `%record`."""
_FUNCTION = "func(request: string) -> result<string, string>"


def wit_text(current: str) -> str:
    """The WIT of the table, with package and worlds' exports as in `current`."""
    head, _, rest = current.partition("\n\n")
    worlds = rest[rest.index("/// Pure verification") :]
    imports = "".join(f"  import {each.name};\n" for each in INTERFACES)
    worlds = re.sub(r"(?:  import [-a-z]+;\n)+", imports, worlds, count=1)
    return f"{head}\n\n{''.join(_interface(each) for each in INTERFACES)}{worlds}"


def _interface(interface: Interface) -> str:
    names = (
        f"%{f.function}" if f.function in _KEYWORDS else f.function for f in interface.functions
    )
    functions = "".join(f"  {name}: {_FUNCTION};\n" for name in names)
    return f"/// {interface.meaning}\ninterface {interface.name} {{\n{functions}}}\n\n"


def loader_text(current: str) -> str:
    """The loader of `current`, with the imports and the functions of the table."""
    interfaces = sorted(INTERFACES, key=lambda each: each.name)
    modules = "".join(f"    {_module(each.name)},\n" for each in interfaces)
    table = "".join(f"    {_row(each)}\n" for each in interfaces)
    text = re.sub(
        r"(?<=from wit_world\.imports import \(\n).*?(?=\))", modules, current, flags=re.DOTALL
    )
    return re.sub(
        r"(?<=^_INTERFACES = \{\n).*?(?=\}$)", table, text, flags=re.DOTALL | re.MULTILINE
    )


def _row(interface: Interface) -> str:
    names = tuple(f.function for f in interface.functions)
    functions = ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "")
    return f'"{interface.name}": ({_module(interface.name)}, ({functions})),'


def _module(interface: str) -> str:
    return interface.replace("-", "_")


def texts() -> Iterator[tuple[Path, str, str]]:
    """Each file with its current and its expected content."""
    for path, write in ((WIT, wit_text), (LOADER, loader_text)):
        current = path.read_text(encoding="utf-8")
        yield path, current, write(current)


if __name__ == "__main__":
    for path, _, wanted in texts():
        path.write_text(wanted, encoding="utf-8")
