"""The end record of a ZIP archive: where the central directory lies, in the eyes of every reader.

Source: APPNOTE.TXT 6.3.10, section 4.3.16.
"""

import re
import struct
from dataclasses import dataclass

from cpi.archive.sources import Source
from cpi.archive.zip64 import ALL_ONES_2, ALL_ONES_4, LOCATOR_SIZE, agreed, read_zip64_end
from cpi.errors import ArchiveError, Code

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_ANY_SIGNATURE = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x05\x06|\x06\x06|\x06\x07|\x07\x08)")
_TRAILER_MAX = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """The end record: where the central directory lies. Offsets and sizes in bytes."""

    entry_count: int
    directory_offset: int
    directory_size: int
    trailing_bytes: int


def find_end(source: Source) -> EndRecord:
    """Find the only end record that any reader could choose.

    Raises:
        ArchiveError: there is none, or a second candidate, or it points outside the file.
    """
    search_from = max(0, source.size - _END.size - _TRAILER_MAX)
    base = max(0, search_from - LOCATOR_SIZE)
    tail = source.read_at(base, source.size - base)
    at = tail.rfind(_END_SIGNATURE, search_from - base)
    if at < 0 or at + _END.size > len(tail):
        raise ArchiveError(Code.ARCHIVE_INVALID, "not a ZIP archive: no end record was found")
    _, disk, first_disk, *numbers, comment_size = _END.unpack_from(tail, at)
    if {disk, first_disk} & {ALL_ONES_2}:
        raise ArchiveError(Code.ARCHIVE_ZIP64, "archive leaves its disk to a ZIP64 end record")
    end_at, count_here, count, size, offset = _directory(source, base + at, numbers)
    if disk or first_disk or count_here != count:
        raise ArchiveError(Code.ARCHIVE_INVALID, "archive is one disk of several")
    if not count or not size:
        raise ArchiveError(Code.ARCHIVE_INVALID, "archive has no entries")
    if offset + size != end_at:
        raise ArchiveError(
            Code.ARCHIVE_LAYOUT,
            f"central directory should end at the end record (byte {end_at}), "
            f"it ends at byte {offset + size}",
        )
    trailing = tail[at + _END.size :]
    _check_trailer(trailing, comment_size)
    if end_at != base + at and comment_size != len(trailing):
        raise ArchiveError(
            Code.ARCHIVE_TRAILING,
            f"{len(trailing) - comment_size} bytes lie behind the end record, "
            "before which Java does not find a ZIP64 end record then",
        )
    _check_no_second_end(tail, at, search_from - base, base)
    return EndRecord(
        entry_count=count,
        directory_offset=offset,
        directory_size=size,
        trailing_bytes=len(trailing),
    )


def _directory(source: Source, end_at: int, plain: list[int]) -> tuple[int, int, int, int, int]:
    """Where the central directory should end, and its counts, size and offset."""
    zip64 = read_zip64_end(source, end_at)
    count_here, count, size, offset = plain
    if zip64 is None:
        other: tuple[int | None, ...] = (None,) * 4
    else:
        other = zip64.count_here, zip64.count, zip64.directory_size, zip64.directory_offset
    return (
        end_at if zip64 is None else zip64.position,
        agreed("number of entries", count_here, ALL_ONES_2, other[0]),
        agreed("number of entries", count, ALL_ONES_2, other[1]),
        agreed("size of the central directory", size, ALL_ONES_4, other[2]),
        agreed("offset of the central directory", offset, ALL_ONES_4, other[3]),
    )


def _check_trailer(trailing: bytes, comment_size: int) -> None:
    if comment_size > len(trailing):
        raise ArchiveError(
            Code.ARCHIVE_INVALID,
            f"archive comment should have {comment_size} bytes, {len(trailing)} are left",
        )
    if _ANY_SIGNATURE.search(trailing):
        raise ArchiveError(Code.ARCHIVE_TRAILING, "a ZIP record lies behind the end record")


def _check_no_second_end(tail: bytes, chosen: int, search_from: int, base: int) -> None:
    """Refuse a second end record whose comment ends exactly at the end of the file."""
    position = tail.find(_END_SIGNATURE, search_from)
    while 0 <= position < chosen:
        if position + _END.size <= len(tail):
            comment_size = _END.unpack_from(tail, position)[-1]
            if position + _END.size + comment_size == len(tail):
                raise ArchiveError(
                    Code.ARCHIVE_SECOND_END,
                    f"archive has end records at bytes {base + position} and {base + chosen}",
                )
        position = tail.find(_END_SIGNATURE, position + 1)
