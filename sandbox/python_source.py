"""Python sources of one guest, and the form in which they enter a runtime.

This module produces every byte of the form, compression included: another version of a compression
library would produce other bytes, and so another snapshot of the memory.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sandbox.deflate import compress
from sandbox.errors import SourceRefusedError

FILES_MAX = 2_000
BYTES_MAX = 4 * 1024 * 1024
ENTRY_MODULES_MAX = 1_000
_PATH = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True)
class PythonSource:
    """Sources of one guest.

    Attributes:
        files: bundle path, such as `iou/contracts.py`, to source text.
        entry_modules: modules imported in this order at pre-initialisation.

    Raises:
        SourceRefusedError: a path, a module name or a size is not allowed.
    """

    files: Mapping[str, str]
    entry_modules: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.files) > FILES_MAX:
            raise SourceRefusedError(f"{len(self.files)} source files, at most {FILES_MAX}")
        if len(self.entry_modules) > ENTRY_MODULES_MAX:
            raise SourceRefusedError(
                f"{len(self.entry_modules)} entry modules, at most {ENTRY_MODULES_MAX}"
            )
        for path in self.files:
            if not _PATH.fullmatch(path):
                raise SourceRefusedError(f"source path {path!r}: expected package/module.py")
        for name in self.entry_modules:
            if not _MODULE.fullmatch(name):
                raise SourceRefusedError(f"entry module {name!r}: expected package.module")
        if len(self.canonical) > BYTES_MAX:
            raise SourceRefusedError(f"sources of {len(self.canonical)} bytes, at most {BYTES_MAX}")

    @cached_property
    def canonical(self) -> bytes:
        """The canonical form: JSON with sorted keys, no spaces, ASCII only."""
        content = {"entry": list(self.entry_modules), "files": dict(self.files)}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """`SHA-256:HEX` over the canonical form."""
        return f"SHA-256:{hashlib.sha256(self.canonical).hexdigest().upper()}"

    def packed(self) -> bytes:
        """The canonical form as a zlib stream; the same bytes everywhere."""
        return compress(self.canonical)
