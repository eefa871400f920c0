"""Two kinds of ZIP record, the central record and the local header, which must say the same.

Source: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.9 and 4.3.12.
"""

import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from cpi.archive.end_record import EndRecord
from cpi.archive.sources import Source
from cpi.archive.zip64 import ALL_ONES_2, EXTRA_ZIP64, central_numbers, local_sizes
from cpi.errors import ArchiveError, Code

_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIPTOR = struct.Struct("<3L")
_EXTRA = struct.Struct("<2H")

_CENTRAL_SIGNATURE = b"PK\x01\x02"
_LOCAL_SIGNATURE = b"PK\x03\x04"
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_EXTRA_LIKELY = 64
"""Bytes read beyond a local header's name, so that one read is enough for most."""

_STORED, _DEFLATED = 0, 8
_FLAG_ENCRYPTED = 0x0001
_FLAG_DESCRIPTOR = 0x0008
_FLAG_UTF8 = 0x0800
_FLAGS_OF_DEFLATE = 0x0006
"""How hard the writer tried; nobody reads it."""
_FLAGS_ALLOWED = _FLAGS_OF_DEFLATE | _FLAG_DESCRIPTOR | _FLAG_UTF8
_VERSION_MAX = 45
"""4.5 has ZIP64; later versions have other methods of packing, or encryption."""
_DOS_DIRECTORY = 0x10

_NO_FILE_TYPE = 0o170000
"""All bits, which are no type of file on any system: directories that Plexus Archiver wrote."""

_EXTRAS_MAX = 32
"""Extra fields of one header; each is a few bytes, and a header has room for thousands."""

_EXTRAS_REFUSED = {
    0x0017: "strong encryption",
    0x7075: "another name",
    0x9901: "AES encryption",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralRecord:
    """One record of the central directory, after its own checks."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int


def parse_records(source: Source, end: EndRecord, *, name_bytes_max: int) -> list[CentralRecord]:
    """Read the central directory, record by record.

    Raises:
        ArchiveError: a record is cut off or uses what this reader refuses.
    """
    directory = source.read_at(end.directory_offset, end.directory_size)
    records, position = [], 0
    for _ in range(end.entry_count):
        if position + _CENTRAL.size > len(directory):
            raise ArchiveError(Code.ARCHIVE_INVALID, "central directory holds too few records")
        fields = _CENTRAL.unpack_from(directory, position)
        name_size, extra_size, comment_size = fields[10:13]
        body = position + _CENTRAL.size
        position = body + name_size + extra_size + comment_size
        if fields[0] != _CENTRAL_SIGNATURE or position > len(directory):
            raise ArchiveError(Code.ARCHIVE_INVALID, "central directory is damaged")
        raw_name = directory[body : body + name_size]
        extra = directory[body + name_size : body + name_size + extra_size]
        records.append(_central_record(fields, raw_name, extra, name_bytes_max))
    if position != len(directory):
        raise ArchiveError(
            Code.ARCHIVE_INVALID,
            f"central directory has {len(directory) - position} bytes beyond its last record",
        )
    return records


def _central_record(
    fields: tuple[bytes | int, ...], raw_name: bytes, extra: bytes, name_bytes_max: int
) -> CentralRecord:
    _, _, needed, flags, method, _, _, crc, packed, size, _, _, _, disk, _, attributes, offset = (
        int(field) if isinstance(field, int) else 0 for field in fields
    )
    name = _decode_name(raw_name, flags, name_bytes_max)
    extras = _extras(extra, name)
    size, packed, offset = central_numbers(name, extras.get(EXTRA_ZIP64), size, packed, offset)
    if disk == ALL_ONES_2:
        raise ArchiveError(
            Code.ARCHIVE_ZIP64, f"entry {name!r} leaves its disk to ZIP64", entry=name
        )
    if disk:
        raise ArchiveError(Code.ARCHIVE_INVALID, f"entry {name!r} is on disk {disk}", entry=name)
    _check_method(name, needed, flags, method)
    if method == _STORED and packed != size:
        raise ArchiveError(
            Code.ARCHIVE_HEADER_MISMATCH,
            f"stored entry {name!r} has packed size {packed} and size {size}",
            entry=name,
        )
    _check_file_type(name, attributes)
    return CentralRecord(
        name=name,
        raw_name=raw_name,
        flags=flags,
        method=method,
        crc=crc,
        packed_size=packed,
        size=size,
        offset=offset,
    )


def _decode_name(raw: bytes, flags: int, name_bytes_max: int) -> str:
    if not raw or len(raw) > name_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_NAME, f"an entry name has {len(raw)} bytes, allowed 1 to {name_bytes_max}"
        )
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise ArchiveError(Code.ARCHIVE_NAME, f"entry name {raw!r} is not UTF-8") from error
    if not name.isascii() and not flags & _FLAG_UTF8:
        raise ArchiveError(
            Code.ARCHIVE_NAME,
            f"entry name {name!r} is not ASCII and not declared as UTF-8",
            entry=name,
        )
    return name


def _check_method(name: str, needed: int, flags: int, method: int) -> None:
    if flags & _FLAG_ENCRYPTED:
        raise ArchiveError(Code.ARCHIVE_ENCRYPTED, f"entry {name!r} is encrypted", entry=name)
    if flags & ~_FLAGS_ALLOWED:
        raise ArchiveError(
            Code.ARCHIVE_FLAGS, f"entry {name!r} has unknown flags {flags:#06x}", entry=name
        )
    if method not in (_STORED, _DEFLATED):
        raise ArchiveError(
            Code.ARCHIVE_METHOD,
            f"entry {name!r} uses compression method {method}, allowed are 0 and 8",
            entry=name,
        )
    if needed & 0xFF > _VERSION_MAX:
        raise ArchiveError(
            Code.ARCHIVE_METHOD,
            f"entry {name!r} needs ZIP version {needed & 0xFF}, at most {_VERSION_MAX} is read",
            entry=name,
        )
    if method == _STORED and flags & _FLAG_DESCRIPTOR:
        raise ArchiveError(
            Code.ARCHIVE_FLAGS,
            f"entry {name!r}: only DEFLATED entries can have EXT descriptor",
            entry=name,
        )


def _check_file_type(name: str, attributes: int) -> None:
    """Refuse links and devices, whichever system the record names as its origin."""
    kind = stat.S_IFMT(attributes >> 16)
    if kind == _NO_FILE_TYPE:
        kind = 0
    is_directory = name.endswith("/")
    expected = stat.S_IFDIR if is_directory else stat.S_IFREG
    if kind not in (0, expected):
        raise ArchiveError(
            Code.ARCHIVE_FILE_TYPE,
            f"entry {name!r} has file type {kind:#o}, which is no file or directory of that name",
            entry=name,
        )
    if attributes & _DOS_DIRECTORY and not is_directory:
        raise ArchiveError(
            Code.ARCHIVE_FILE_TYPE, f"entry {name!r} is marked as a directory", entry=name
        )


def _extras(extra: bytes, name: str) -> Mapping[int, bytes]:
    """The extra fields by their kinds; of fields that occur twice, only ZIP64's matters."""
    position, count = 0, 0
    found: dict[int, bytes] = {}
    while position < len(extra):
        count += 1
        if count > _EXTRAS_MAX:
            raise ArchiveError(
                Code.ARCHIVE_EXTRA,
                f"entry {name!r} has more than {_EXTRAS_MAX} extra fields",
                entry=name,
            )
        if position + _EXTRA.size > len(extra):
            raise ArchiveError(
                Code.ARCHIVE_EXTRA, f"entry {name!r} has a damaged extra field", entry=name
            )
        kind, size = _EXTRA.unpack_from(extra, position)
        if kind in _EXTRAS_REFUSED:
            raise ArchiveError(
                Code.ARCHIVE_EXTRA,
                f"entry {name!r} has extra field {_EXTRAS_REFUSED[kind]}",
                entry=name,
            )
        if kind == EXTRA_ZIP64 and kind in found:
            raise ArchiveError(
                Code.ARCHIVE_ZIP64, f"entry {name!r} has ZIP64 sizes twice", entry=name
            )
        found[kind] = extra[position + _EXTRA.size : position + _EXTRA.size + size]
        position += _EXTRA.size + size
    if position != len(extra):
        raise ArchiveError(
            Code.ARCHIVE_EXTRA, f"entry {name!r} has an extra field that is cut off", entry=name
        )
    return found


def check_local_header(source: Source, record: CentralRecord, limit: int) -> tuple[int, int]:
    """Compare the local header with its central record.

    Args:
        source: the archive.
        record: the central record; its offset was checked already.
        limit: the first byte that belongs to the central directory.

    Returns:
        The offsets of the packed bytes and of the next local header.

    Raises:
        ArchiveError: the two disagree, or the entry reaches into the central directory.
    """
    if record.offset + _LOCAL.size > limit:
        raise ArchiveError(
            Code.ARCHIVE_LAYOUT, f"entry {record.name!r} is cut off", entry=record.name
        )
    header = source.read_at(record.offset, _LOCAL.size + len(record.raw_name) + _EXTRA_LIKELY)
    signature, _, flags, method, _, _, crc, packed, size, name_size, extra_size = (
        _LOCAL.unpack_from(header)
    )
    header_size = _LOCAL.size + name_size + extra_size
    data_offset = record.offset + header_size
    data_end = data_offset + record.packed_size
    if signature != _LOCAL_SIGNATURE or data_end > limit:
        raise ArchiveError(
            Code.ARCHIVE_LAYOUT,
            f"entry {record.name!r} has no local header at byte {record.offset}, or is cut off",
            entry=record.name,
        )
    if header_size > len(header):
        header = source.read_at(record.offset, header_size)
    name = header[_LOCAL.size : _LOCAL.size + name_size]
    extras = _extras(header[_LOCAL.size + name_size : header_size], record.name)
    if EXTRA_ZIP64 in extras:
        packed, size = local_sizes(
            record.name,
            extras[EXTRA_ZIP64],
            (packed, size),
            has_descriptor=bool(flags & _FLAG_DESCRIPTOR),
        )
    _compare(record, name=name, flags=flags, method=method, sizes=(crc, packed, size))
    if flags & _FLAG_DESCRIPTOR:
        return data_offset, data_end + _descriptor_size(source, data_end, record)
    return data_offset, data_end


def _compare(
    record: CentralRecord, *, name: bytes, flags: int, method: int, sizes: tuple[int, ...]
) -> None:
    """Refuse a local header that differs; numbers may be 0 there if a data descriptor follows."""
    expected = (record.crc, record.packed_size, record.size)
    if flags & _FLAG_DESCRIPTOR:
        sizes = tuple(found or wanted for found, wanted in zip(sizes, expected, strict=True))
    ignored = _FLAGS_OF_DEFLATE | (_FLAG_UTF8 if name.isascii() else 0)
    for what, found, wanted in (
        ("name", name, record.raw_name),
        ("flags", flags & ~ignored, record.flags & ~ignored),
        ("method", method, record.method),
        ("CRC-32 and sizes", sizes, expected),
    ):
        if found != wanted:
            raise ArchiveError(
                Code.ARCHIVE_HEADER_MISMATCH,
                f"entry {record.name!r}: local header has {what} {found!r}, "
                f"central directory has {wanted!r}",
                entry=record.name,
            )


def _descriptor_size(source: Source, position: int, record: CentralRecord) -> int:
    """Bytes that the data descriptor takes: 16 with its optional signature, else 12."""
    found = source.read_at(position, len(_DESCRIPTOR_SIGNATURE) + _DESCRIPTOR.size)
    prefix = len(_DESCRIPTOR_SIGNATURE) if found.startswith(_DESCRIPTOR_SIGNATURE) else 0
    expected = _DESCRIPTOR.pack(record.crc, record.packed_size, record.size)
    if found[prefix : prefix + _DESCRIPTOR.size] != expected:
        raise ArchiveError(
            Code.ARCHIVE_HEADER_MISMATCH,
            f"entry {record.name!r}: data descriptor differs from the central directory",
            entry=record.name,
        )
    return prefix + _DESCRIPTOR.size
