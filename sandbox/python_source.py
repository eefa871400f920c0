"""Python sources of one guest, with data files of its packages, and how they enter a runtime.

This module produces every byte of the form, which loaders leave in the memory: a compression
library of another version would produce other bytes, and so another image.
"""

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from sandbox.errors import SourceRefusedError

FILES_MAX = 2_000
BYTES_MAX = 4 * 1024 * 1024
ENTRY_MODULES_MAX = 1_000
DATA_BYTES_MAX = 1024 * 1024
_STORED_BYTES = 65_535
"""Bytes of the largest stored block of a deflate stream."""
_PATH = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py")
_DATA = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+!@-]*/)*[A-Za-z0-9_][A-Za-z0-9_.+!@-]*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


def is_data(path: str) -> bool:
    """Whether a bundle path is one of a data file, not of a module."""
    return not path.endswith(".py")


def is_data_path(path: str) -> bool:
    """Whether a data file can have this bundle path."""
    return is_data(path) and _DATA.fullmatch(path) is not None


def data_text(content: bytes) -> str:
    """The text by which a data file stands in a bundle: its base64."""
    return base64.b64encode(content).decode()


def data_bytes(text: str) -> bytes:
    """The content of a data file.

    Raises:
        ValueError: `text` is not base64.
    """
    return base64.b64decode(text, validate=True)


def canonical_form(files: Mapping[str, str], entry_modules: Iterable[str]) -> bytes:
    """What a runtime loads, and `BYTES_MAX` limits; see `PythonSource.canonical`."""
    content = {"entry": list(entry_modules), "files": dict(files)}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class PythonSource:
    """Sources of one guest.

    Attributes:
        files: bundle path to text: of a module, such as `iou/contracts.py`, its source; of a data
            file, such as `stdnum/iban.dat`, the base64 of its content.
        entry_modules: modules that the loader imports, in this order.

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
        data = 0
        for path, text in self.files.items():
            if is_data(path):
                data += _data_size(path, text)
            elif not _PATH.fullmatch(path):
                raise SourceRefusedError(f"source path {path!r}: expected package/module.py")
        for name in self.entry_modules:
            if not _MODULE.fullmatch(name):
                raise SourceRefusedError(f"entry module {name!r}: expected package.module")
        if data > DATA_BYTES_MAX:
            raise SourceRefusedError(f"data files of {data} bytes, at most {DATA_BYTES_MAX}")
        if len(self.canonical) > BYTES_MAX:
            raise SourceRefusedError(f"sources of {len(self.canonical)} bytes, at most {BYTES_MAX}")

    @cached_property
    def canonical(self) -> bytes:
        """The canonical form: JSON with sorted keys, no spaces, ASCII only."""
        return canonical_form(self.files, self.entry_modules)

    @cached_property
    def digest(self) -> str:
        """`SHA-256:HEX` over the canonical form."""
        return f"SHA-256:{hashlib.sha256(self.canonical).hexdigest().upper()}"

    def packed(self) -> bytes:
        """The canonical form as a zlib stream that stores it uncompressed (RFC 1950, RFC 1951)."""
        data = self.canonical
        parts = [b"\x78\x01"]
        for start in range(0, len(data), _STORED_BYTES):
            part = data[start : start + _STORED_BYTES]
            size = len(part).to_bytes(2, "little")
            is_last = start + len(part) == len(data)
            parts += [bytes((is_last,)), size, bytes(b ^ 0xFF for b in size), part]
        return b"".join((*parts, zlib.adler32(data).to_bytes(4, "big")))


def _data_size(path: str, text: str) -> int:
    """The size of a data file.

    Raises:
        SourceRefusedError: its path or its base64 is none.
    """
    if not is_data_path(path):
        raise SourceRefusedError(f"data path {path!r}: expected package/name")
    try:
        return len(data_bytes(text))
    except (ValueError, binascii.Error):
        raise SourceRefusedError(f"data file {path!r}: is not base64") from None
