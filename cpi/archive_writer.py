"""A deterministic writer of ZIP archives: the same entries give the same bytes, always.

Times are 1980-01-01, sizes stand in the local headers, no extra fields, no directory entries.
Text is deflated; what is packed already (nested archives, zstd frames) is stored, so that its
bytes stay visible to whoever looks into the outer file.
"""

import struct
import zlib
from collections.abc import Iterable

from cpi.entry_names import check_entry_name, check_no_twins
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


def write_archive(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Write entries in the order given.

    Raises:
        ArchiveError: a name or a size that the reader would refuse.
    """
    body, directory, names = bytearray(), bytearray(), []
    for name, content in entries:
        check_entry_name(name)
        names.append(name)
        raw_name = name.encode()
        method, packed = _pack(name, content)
        flags = 0 if name.isascii() else _UTF8
        common = (
            flags,
            method,
            0,
            _DOS_DATE_1980,
            zlib.crc32(content),
            len(packed),
            len(content),
            len(raw_name),
            0,
        )
        directory += _CENTRAL.pack(
            b"PK\x01\x02", _VERSION, _VERSION, *common, 0, 0, 0, 0, len(body)
        )
        directory += raw_name
        body += _LOCAL.pack(b"PK\x03\x04", _VERSION, *common)
        body += raw_name
        body += packed
    check_no_twins(names)
    if len(names) > DEFAULT_LIMITS.entries_max or len(body) > DEFAULT_LIMITS.archive_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            f"archive would have {len(names)} entries and {len(body)} bytes; allowed are "
            f"{DEFAULT_LIMITS.entries_max} and {DEFAULT_LIMITS.archive_bytes_max}",
        )
    end = _END.pack(b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), len(body), 0)
    return bytes(body + directory + end)


def _pack(name: str, content: bytes) -> tuple[int, bytes]:
    if name.lower().endswith(_STORED_SUFFIXES):
        return _STORED, content
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    packed = deflater.compress(content) + deflater.flush()
    return (_DEFLATED, packed) if len(packed) < len(content) else (_STORED, content)
