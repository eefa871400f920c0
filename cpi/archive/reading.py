"""A strict reader of ZIP archives, by the central directory.

It accepts only archives that a reader of the central directory and a reader of the stream of
local headers (Java's JarInputStream, which Corda uses) must understand in the same way: entries
lie without gap or overlap from byte 0, in the order of the central directory, each local header
says what its central record says, the central directory follows the last entry and the end record
follows the central directory. Everything else is refused, with the place and the reason.

One tolerance, which Corda has too: bytes behind the end record (a comment, or a trailer that is
not announced) are ignored if they hold no ZIP signature. `Archive.trailing_bytes` counts them and
the verifier warns about them; they are part of the file checksum.

ZIP64 is read where all readers take the same numbers from it (`cpi.archive.zip64`).

Source: APPNOTE.TXT 6.3.10 (PKWARE); JAR File Specification.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from cpi.archive.end_record import EndRecord, find_end
from cpi.archive.entry_names import check_entry_name, check_no_twins
from cpi.archive.records import (
    CentralRecord,
    check_local_header,
    parse_records,
)
from cpi.archive.sources import Source, Window, chunks_of, source_of
from cpi.archive.unpacking import checked, inflate
from cpi.digests import STRONG_DIGESTS
from cpi.errors import ArchiveError, Code
from cpi.limits import DEFAULT_LIMITS, ArchiveLimits, Budget

_STORED, _DEFLATED = 0, 8


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedEntry:
    """An entry as it lies in an archive: `data` is packed by `method`. Sizes in bytes."""

    method: int
    crc: int
    size: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A checked archive over its source. Contents are unpacked when read, and not kept."""

    source: Source
    entries: tuple[Entry, ...]
    trailing_bytes: int
    _digests: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def chunks(self, name: str) -> Iterator[bytes]:
        """The unpacked content of an entry that exists, piece by piece.

        Raises:
            ArchiveError: the packed bytes do not give the declared size and CRC-32. This is known
                only after the last piece, so earlier pieces must not be trusted yet.
        """
        entry = self.by_name[name]
        pieces = chunks_of(self.source, entry.data_offset, entry.packed_size)
        if entry.method == _DEFLATED:
            pieces = inflate(pieces, name=name, size=entry.size)
        return checked(pieces, name=name, size=entry.size, crc=entry.crc)

    def read(self, name: str) -> bytes:
        """The whole unpacked content of an entry that exists.

        Raises:
            ArchiveError: the packed bytes do not give the declared size and CRC-32, or no longer
                the digest that was taken of them.
        """
        content = b"".join(self.chunks(name))
        for algorithm in STRONG_DIGESTS.values():
            known = self._digests.get((name, algorithm))
            if known is not None and hashlib.new(algorithm, content).digest() != known:
                raise ArchiveError(
                    Code.PACKAGE_CHANGED, f"entry {name!r} changed after it was verified"
                )
        return content

    def packed(self, name: str) -> PackedEntry:
        """An existing entry in packed form; call `read` first to be sure that it is undamaged."""
        entry = self.by_name[name]
        data = self.source.read_at(entry.data_offset, entry.packed_size)
        return PackedEntry(method=entry.method, crc=entry.crc, size=entry.size, data=data)

    def start(self, name: str, size: int) -> bytes:
        """The content of an entry, but no more than its first `size` bytes.

        Raises:
            ArchiveError: as for `read`, if this is the whole content.
        """
        if self.by_name[name].size <= size:
            return self.read(name)
        content = bytearray()
        for piece in self.chunks(name):
            content += piece
            if len(content) >= size:
                break
        return bytes(content[:size])

    def open(self, name: str) -> Source:
        """The content of an entry that exists as a source: a window of this one if it is stored.

        Raises:
            ArchiveError: as for `chunks`; a stored entry's CRC-32 is left to `digest`.
        """
        entry = self.by_name[name]
        if entry.method == _STORED:
            return Window(self.source, entry.data_offset, entry.size)
        return self.source.keep(self.chunks(name))

    def digest(self, name: str, algorithm: str) -> bytes:
        """The digest of an entry's content, computed once; `algorithm` as hashlib names it.

        Raises:
            ArchiveError: as for `chunks`.
        """
        key = (name, algorithm)
        value = self._digests.get(key)
        if value is None:
            digest = hashlib.new(algorithm)
            for piece in self.chunks(name):
                digest.update(piece)
            value = self._digests[key] = digest.digest()
        return value


def read_archive(
    data: bytes | Source, *, limits: ArchiveLimits = DEFAULT_LIMITS, budget: Budget | None = None
) -> Archive:
    """Check an archive's whole structure; contents are checked when they are read.

    Args:
        data: the archive.
        limits: sizes and counts that are refused.
        budget: the totals of the package that this archive is nested in; counts down.

    Raises:
        ArchiveError: with the first thing that is wrong.
    """
    source = source_of(data)
    if source.size > limits.archive_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            f"archive has {source.size} bytes, more than {limits.archive_bytes_max}",
        )
    end = find_end(source)
    if end.entry_count > limits.entries_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_MANY_ENTRIES,
            f"archive has {end.entry_count} entries, more than {limits.entries_max}",
        )
    if end.directory_size > limits.directory_bytes_max:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            f"central directory has {end.directory_size} bytes, "
            f"more than {limits.directory_bytes_max}",
        )
    records = parse_records(source, end, name_bytes_max=limits.name_bytes_max)
    for record in records:
        check_entry_name(record.name)
        _check_size(record, limits)
    check_no_twins([record.name for record in records])
    entries = _lay_out(source, records, end)
    (budget or Budget(limits)).spend(
        entries=len(entries), unpacked_bytes=sum(entry.size for entry in entries)
    )
    return Archive(source=source, entries=entries, trailing_bytes=end.trailing_bytes)


def _lay_out(source: Source, records: list[CentralRecord], end: EndRecord) -> tuple[Entry, ...]:
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
        data_offset, position = check_local_header(source, record, end.directory_offset)
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
