"""A deterministic writer of ZIP archives: the same entries give the same bytes, always.

Times are 1980-01-01, sizes are in the local headers, no extra fields, no directory entries. Text is
deflated. Compressed content (nested archives, zstd frames) is stored, so that a reader of the outer
file can access its bytes directly.

Portable archives do not depend on the zlib that is installed: see `cpi.archive.deflate`.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache

from cpi.archive.deflate import deflate
from cpi.archive.entry_names import check_entry_name, check_no_twins
from cpi.archive.reading import PackedEntry
from cpi.errors import ArchiveError, Code
from cpi.limits import DEFAULT_LIMITS

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_UTF8 = 0x0800
_STORED, _DEFLATED = 0, 8
_DOS_DATE_1980 = 0x0021
_STORED_SUFFIXES = (".jar", ".cpb", ".zst")
_PORTABLE_ENTRY_BYTES_MAX = 512 * 1024
_PORTABLE_BYTES_MAX = 8 * 1024 * 1024
_KEPT_BYTES_MAX = 32 * 1024
"""Of an entry that is kept with its compressed form, among the 128 that were needed last."""
_NOISE_BYTES_MIN = 16 * 1024


PackedAlready = Callable[[str], PackedEntry | None]
"""Gives an entry's packed form by its name, None where there is none."""


def never_packed(name: str) -> PackedEntry | None:  # noqa: ARG001 - a `PackedAlready`
    """No entry has a packed form yet."""
    return None


def write_archive(
    entries: Iterable[tuple[str, bytes]],
    *,
    portable: bool = False,
    packed_already: PackedAlready = never_packed,
) -> bytes:
    """Write entries in the order given.

    Args:
        entries: names and contents.
        portable: the same bytes with every zlib; slower, and contents above 512 KiB each or 8 MiB
            together are stored.
        packed_already: returns an entry's packed form if there is one, which is stored unchanged.

    Raises:
        ArchiveError: a name or a size that the reader would refuse.
    """
    parts, position, directory, names = list[bytes](), 0, bytearray(), list[str]()
    portable_bytes = 0
    for name, content in entries:
        check_entry_name(name)
        names.append(name)
        raw_name = name.encode()
        entry = packed_already(name)
        if entry is None and portable:
            portable_bytes += len(content) if is_compressible(name) else 0
            entry = _pack_portably(name, content, portable_bytes)
        entry = entry or _pack(name, content)
        flags = 0 if name.isascii() else _UTF8
        common = (
            flags,
            entry.method,
            0,
            _DOS_DATE_1980,
            entry.crc,
            len(entry.data),
            entry.size,
            len(raw_name),
            0,
        )
        directory += _CENTRAL.pack(b"PK\x01\x02", _VERSION, _VERSION, *common, 0, 0, 0, 0, position)
        directory += raw_name
        parts += [_LOCAL.pack(b"PK\x03\x04", _VERSION, *common), raw_name, entry.data]
        position += _LOCAL.size + len(raw_name) + len(entry.data)
    check_no_twins(names)
    if len(names) > DEFAULT_LIMITS.entries_max or position > DEFAULT_LIMITS.archive_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            f"archive would have {len(names)} entries and {position} bytes; allowed are "
            f"{DEFAULT_LIMITS.entries_max} and {DEFAULT_LIMITS.archive_bytes_max}",
        )
    end = _END.pack(b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), position, 0)
    return b"".join((*parts, directory, end))


def is_compressible(name: str) -> bool:
    """Whether content of that name is worth compressing; compressed formats are stored."""
    return not name.lower().endswith(_STORED_SUFFIXES)


def _pack(name: str, content: bytes) -> PackedEntry:
    if not is_compressible(name):
        return _entry(content, None)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    return _entry(content, deflater.compress(content) + deflater.flush())


def _pack_portably(name: str, content: bytes, portable_bytes: int) -> PackedEntry:
    """Compress with our own encoder, which is too slow for large or random content."""
    if (
        not is_compressible(name)
        or len(content) > _PORTABLE_ENTRY_BYTES_MAX
        or portable_bytes > _PORTABLE_BYTES_MAX
        or _is_noise(content)
    ):
        return _entry(content, None)
    small = len(content) <= _KEPT_BYTES_MAX
    return _entry(content, _deflated(content) if small else deflate(content))


# The modules of the SDK are in each CPK: a build compresses them once.
_deflated = lru_cache(maxsize=128)(deflate)


def _is_noise(content: bytes) -> bool:
    """Whether content of some size uses all byte values about equally often."""
    if len(content) < _NOISE_BYTES_MIN:
        return False
    counts = Counter(content)
    return len(counts) == 256 and max(counts.values()) * 256 < 2 * len(content)


def _entry(content: bytes, deflated: bytes | None) -> PackedEntry:
    """Deflated if that is smaller, but not so small that the reader would refuse it."""
    smaller = (
        deflated is not None
        and len(deflated) < len(content)
        and (
            len(content) <= DEFAULT_LIMITS.ratio_free_bytes
            or len(content) <= len(deflated) * DEFAULT_LIMITS.ratio_max
        )
    )
    return PackedEntry(
        method=_DEFLATED if smaller else _STORED,
        crc=zlib.crc32(content),
        size=len(content),
        data=deflated if smaller and deflated is not None else content,
    )
