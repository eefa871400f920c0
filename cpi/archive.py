"""A strict reader of ZIP archives, by the central directory.

It accepts only archives that a reader of the central directory and a reader of the stream of
local headers (Java's JarInputStream, which Corda uses) must understand in the same way: entries
lie without gap or overlap from byte 0, in the order of the central directory, each local header
says what its central record says, the central directory follows the last entry and the end record
follows the central directory. Everything else is refused, with the place and the reason.

One tolerance, which Corda has too: bytes behind the end record (a comment, or a trailer that is
not announced) are ignored if they hold no ZIP signature. `Archive.trailing_bytes` counts them and
the verifier warns about them; they are part of the file checksum.

ZIP64 is refused: the size limits never need it.

Source: APPNOTE.TXT 6.3.10 (PKWARE); JAR File Specification.
"""

import hashlib
import zlib
from dataclasses import dataclass, field
from functools import cached_property

from cpi.archive_records import (
    CentralRecord,
    EndRecord,
    check_local_header,
    find_end,
    parse_records,
)
from cpi.entry_names import check_entry_name, check_no_twins
from cpi.errors import ArchiveError, Code
from cpi.limits import DEFAULT_LIMITS, ArchiveLimits, Budget

_DEFLATED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: where its packed bytes lie and what they must unpack to. Sizes in bytes."""

    name: str
    method: int
    crc: int
    packed_size: int
    size: int
    data_offset: int

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A checked archive over its bytes; contents are unpacked once, when first read."""

    data: bytes
    entries: tuple[Entry, ...]
    trailing_bytes: int
    _contents: dict[str, bytes] = field(default_factory=dict, repr=False)
    _digests: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def read(self, name: str) -> bytes:
        """The unpacked content of an entry that exists.

        Raises:
            ArchiveError: the packed bytes do not give the declared size and CRC-32.
        """
        content = self._contents.get(name)
        if content is None:
            content = self._contents[name] = _unpack(self.data, self.by_name[name])
        return content

    def digest(self, name: str, algorithm: str) -> bytes:
        """The digest of an entry's content, computed once; `algorithm` as hashlib names it."""
        key = (name, algorithm)
        value = self._digests.get(key)
        if value is None:
            value = self._digests[key] = hashlib.new(algorithm, self.read(name)).digest()
        return value


def read_archive(
    data: bytes, *, limits: ArchiveLimits = DEFAULT_LIMITS, budget: Budget | None = None
) -> Archive:
    """Check an archive's whole structure; contents are checked when they are read.

    Args:
        data: the archive.
        limits: sizes and counts that are refused.
        budget: the totals of the package that this archive is nested in; counts down.

    Raises:
        ArchiveError: with the first thing that is wrong.
    """
    if len(data) > limits.archive_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            f"archive has {len(data)} bytes, more than {limits.archive_bytes_max}",
        )
    end = find_end(data)
    if end.entry_count > limits.entries_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_MANY_ENTRIES,
            f"archive has {end.entry_count} entries, more than {limits.entries_max}",
        )
    records = parse_records(data, end, name_bytes_max=limits.name_bytes_max)
    for record in records:
        check_entry_name(record.name)
        _check_size(record, limits)
    check_no_twins([record.name for record in records])
    entries = _lay_out(data, records, end)
    (budget or Budget(limits)).spend(
        entries=len(entries), unpacked_bytes=sum(entry.size for entry in entries)
    )
    return Archive(data=data, entries=entries, trailing_bytes=end.trailing_bytes)


def _lay_out(data: bytes, records: list[CentralRecord], end: EndRecord) -> tuple[Entry, ...]:
    """Walk the local headers from byte 0, as a stream reader does, and compare."""
    entries, position = [], 0
    for record in records:
        if record.offset != position:
            place = "overlaps the entry before it" if record.offset < position else "leaves a gap"
            raise ArchiveError(
                Code.ARCHIVE_LAYOUT,
                f"entry {record.name!r} is at byte {record.offset}, expected {position}: "
                f"it {place}",
                entry=record.name,
            )
        data_offset, position = check_local_header(data, record, end.directory_offset)
        entries.append(
            Entry(
                name=record.name,
                method=record.method,
                crc=record.crc,
                packed_size=record.packed_size,
                size=record.size,
                data_offset=data_offset,
            )
        )
    if position != end.directory_offset:
        raise ArchiveError(
            Code.ARCHIVE_LAYOUT,
            f"{end.directory_offset - position} unclaimed bytes lie between the last entry "
            "and the central directory",
        )
    return tuple(entries)


def _check_size(record: CentralRecord, limits: ArchiveLimits) -> None:
    name = record.name
    if name.endswith("/") and record.size:
        raise ArchiveError(
            Code.ARCHIVE_FILE_TYPE, f"directory {name!r} holds {record.size} bytes", entry=name
        )
    if record.size > limits.entry_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            f"entry {name!r} unpacks to {record.size} bytes, more than {limits.entry_bytes_max}",
            entry=name,
        )
    if (
        record.size > limits.ratio_free_bytes
        and record.size > record.packed_size * limits.ratio_max
    ):
        raise ArchiveError(
            Code.ARCHIVE_RATIO,
            f"entry {name!r} unpacks {record.packed_size} bytes to {record.size}, "
            f"more than {limits.ratio_max} times as many",
            entry=name,
        )


def _unpack(data: bytes, entry: Entry) -> bytes:
    packed = data[entry.data_offset : entry.data_offset + entry.packed_size]
    content = _inflate(packed, entry) if entry.method == _DEFLATED else packed
    if len(content) != entry.size:
        raise ArchiveError(
            Code.ARCHIVE_CORRUPT,
            f"entry {entry.name!r} unpacks to another size than the declared {entry.size} bytes",
            entry=entry.name,
        )
    crc = zlib.crc32(content)
    if crc != entry.crc:
        raise ArchiveError(
            Code.ARCHIVE_CORRUPT,
            f"entry {entry.name!r} has CRC-32 {crc:08x}, its record says {entry.crc:08x}",
            entry=entry.name,
        )
    return content


def _inflate(packed: bytes, entry: Entry) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than declared is enough to see that the declaration was wrong.
        content = inflater.decompress(packed, entry.size + 1)
        if not inflater.eof and len(content) <= entry.size:
            content += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise ArchiveError(
            Code.ARCHIVE_CORRUPT,
            f"entry {entry.name!r} does not inflate: {error}",
            entry=entry.name,
        ) from error
    if not inflater.eof or inflater.unused_data:
        raise ArchiveError(
            Code.ARCHIVE_CORRUPT,
            f"the deflate stream of entry {entry.name!r} does not end where its record says",
            entry=entry.name,
        )
    return content
