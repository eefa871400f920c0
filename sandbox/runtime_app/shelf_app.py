"""Compiles the modules of the shelf, in a component of its own that is built before the runtimes.

Only the runtime's Python can compile for itself. What compiling leaves in memory does not become
part of a runtime this way.
"""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import base64
import json
import keyword
import marshal
import os
import zlib

import alterations
import shelf
import standard_modules
import wit_world

_FOLDERS = (f"{os.path.dirname(__file__)}/shims", os.path.dirname(keyword.__file__))
"""Where a module's source is looked for: shims stand for modules of the standard library."""


def _shelf() -> bytes:
    """The content of `shelf.bin`."""
    index, content = {}, bytearray()
    for name in standard_modules.ON_DEMAND:
        source, package = _source(name)
        if source is None:
            continue
        shown = f"/python/{name.replace('.', '/')}.py"
        code = marshal.dumps(compile(source, shown, "exec", dont_inherit=True))
        packed = zlib.compress(code, 9)
        index[name] = (len(content), len(packed), package)
        content += packed
    return json.dumps(index, separators=(",", ":")).encode() + b"\n" + content


def _source(name: str) -> tuple[str | None, bool]:
    """The source of a module and whether it is a package; None for one that is loaded already.

    Raises:
        LookupError: it has no source, or a text that was to be changed does not occur once.
    """
    place = name.replace(".", "/")
    for folder in _FOLDERS:
        for path, package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
            if os.path.exists(f"{folder}/{path}"):
                if name in standard_modules.LOADED and folder is not _FOLDERS[0]:
                    return None, package
                with open(f"{folder}/{path}", encoding="utf-8") as file:
                    return _changed(name, file.read()), package
    if name in standard_modules.LOADED or name in shelf.BUILTIN:
        return None, False
    raise LookupError(f"the standard library has no source of {name}")


def _changed(name: str, source: str) -> str:
    for text, replacement in alterations.SOURCE_CHANGES.get(name, ()):
        if source.count(text) != 1:
            raise LookupError(f"{name}: expected once: {text!r}")
        source = source.replace(text, replacement)
    return source


_TEXT = base64.b64encode(_shelf()).decode()


class WitWorld(wit_world.WitWorld):
    """The exports of world `contract`, of which only `describe` answers."""

    def load(self, last: bool, part: str) -> str:  # noqa: FBT001, ARG002  # the WIT's signature
        return ""

    def describe(self) -> str:
        return _TEXT

    def verify(self, transaction: str) -> None:
        """Never called."""
