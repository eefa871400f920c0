"""ZIP64 structures, which some tools write into small archives too.

They are read where every reader takes the same values from them: the end record repeats what the
plain one says, or replaces numbers that are all ones there; an extra field of a central record
holds just the numbers that are all ones in the record; that of a local header holds both sizes.
With a data descriptor they are refused: readers differ in its width. Java reads four bytes for a
size, others eight.

Source: APPNOTE.TXT 6.3.10, sections 4.3.14, 4.3.15 and 4.5.3; JDK 17 `ZipFile`, `ZipInputStream`.
"""

import struct
from dataclasses import dataclass

from cpi.archive.sources import Source
from cpi.errors import ArchiveError, Code

EXTRA_ZIP64 = 0x0001
ALL_ONES_2, ALL_ONES_4 = 0xFFFF, 0xFFFF_FFFF
LOCATOR_SIZE = 20

_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END = struct.Struct("<4sQ2H2L4Q")
_END_SIGNATURE = b"PK\x06\x06"
_END_SIZE_FIELD = _END.size - 12
"""What the record says its size is: without its signature and this number."""
_LOCAL = struct.Struct("<2Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Zip64End:
    """A ZIP64 end record at byte `position`: counts of entries, offset and size in bytes."""

    position: int
    count_here: int
    count: int
    directory_size: int
    directory_offset: int


def read_zip64_end(source: Source, end_at: int) -> Zip64End | None:
    """The ZIP64 end record before the plain end record at byte `end_at`; None if there is none.

    Raises:
        ArchiveError: there is a locator, but no such record directly before it.
    """
    locator_at = end_at - LOCATOR_SIZE
    locator = source.read_at(max(0, locator_at), LOCATOR_SIZE)
    if locator_at < 0 or not locator.startswith(_LOCATOR_SIGNATURE):
        return None
    _, disk, position, disks = _LOCATOR.unpack(locator)
    if disk or disks != 1 or position != locator_at - _END.size:
        raise _refused(
            f"ZIP64 locator should point to byte {locator_at - _END.size} of one disk, "
            f"it points to byte {position} of disk {disk} of {disks}"
        )
    record = source.read_at(position, _END.size)
    signature, size, _, _, disk, first_disk, here, count, directory_size, offset = _END.unpack(
        record
    )
    if signature != _END_SIGNATURE or size != _END_SIZE_FIELD or disk or first_disk:
        raise _refused(f"no ZIP64 end record of {_END.size} bytes is at byte {position}")
    return Zip64End(
        position=position,
        count_here=here,
        count=count,
        directory_size=directory_size,
        directory_offset=offset,
    )


def agreed(what: str, plain: int, ones: int, zip64: int | None) -> int:
    """The number that both end records give; `ones` in the plain one leaves it to the other.

    Raises:
        ArchiveError: they differ, or the number is nowhere.
    """
    if zip64 is None and plain != ones:
        return plain
    if zip64 is None:
        raise _refused(f"{what} is left to a ZIP64 end record, which is missing")
    if plain not in (ones, zip64):
        raise _refused(f"{what} is {plain} in the end record, {zip64} in its ZIP64 record")
    return zip64


def central_numbers(
    name: str, body: bytes | None, size: int, packed_size: int, offset: int
) -> tuple[int, int, int]:
    """Size, packed size and offset of a central record with its ZIP64 extra field.

    Args:
        name: the entry, for messages.
        body: content of the extra field, None if there is none.
        size: as the record has it.
        packed_size: the same.
        offset: the same.

    Raises:
        ArchiveError: the field does not hold just the numbers that are all ones.
    """
    plain = (size, packed_size, offset)
    wanted = 8 * plain.count(ALL_ONES_4)
    if body is None and not wanted:
        return plain
    if body is None or len(body) != wanted or not wanted:
        found = "no" if body is None else f"{len(body)} bytes of"
        raise _refused(f"entry {name!r} has {found} ZIP64 sizes, needed are {wanted} bytes", name)
    numbers = iter(struct.unpack(f"<{wanted // 8}Q", body))
    one, two, three = (next(numbers) if value == ALL_ONES_4 else value for value in plain)
    return one, two, three


def local_sizes(
    name: str, body: bytes, sizes: tuple[int, int], *, has_descriptor: bool
) -> tuple[int, int]:
    """Packed size and size that a local header and its ZIP64 extra field both give.

    Args:
        name: the entry, for messages.
        body: content of the extra field.
        sizes: packed size and size of the header.
        has_descriptor: a data descriptor follows the entry.

    Raises:
        ArchiveError: they differ, or the field has another form.
    """
    if has_descriptor:
        raise _refused(f"entry {name!r} has ZIP64 sizes and a data descriptor", name)
    if len(body) != _LOCAL.size:
        raise _refused(
            f"entry {name!r} has {len(body)} bytes of ZIP64 sizes, expected {_LOCAL.size}", name
        )
    size, packed_size = _LOCAL.unpack(body)
    if sizes[0] not in (ALL_ONES_4, packed_size) or sizes[1] not in (ALL_ONES_4, size):
        raise _refused(
            f"entry {name!r} has sizes {sizes[0]} and {sizes[1]}, "
            f"but {packed_size} and {size} as ZIP64",
            name,
        )
    return packed_size, size


def _refused(message: str, entry: str | None = None) -> ArchiveError:
    return ArchiveError(Code.ARCHIVE_ZIP64, message, entry=entry)
