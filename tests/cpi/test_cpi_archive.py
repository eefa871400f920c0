"""Hostile archives: each kind is refused, with the code that names it; the honest twin is read."""

import io
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpi.archive.entry_names import check_entry_name
from cpi.archive.reading import read_archive
from cpi.archive.writing import write_archive
from cpi.errors import ArchiveError
from cpi.limits import ArchiveLimits, Budget
from tests.support.properties import examples


@dataclass(frozen=True, kw_only=True)
class E:
    """One entry, each field of both headers open to lies; None means the honest value."""

    name: bytes = b"a.txt"
    content: bytes = b"hello hello hello hello"
    method: int = 8
    flags: int = 0
    needed: int = 20
    crc: int | None = None
    packed: bytes | None = None
    size: int | None = None
    packed_size: int | None = None
    attributes: int = 0
    extra: bytes = b""
    comment: bytes = b""
    disk: int = 0
    offset: int | None = None
    descriptor: bytes | None = None
    local: dict[str, object] = field(default_factory=dict)
    local_extra: bytes = b""
    gap: bytes = b""


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def build(
    *entries: E,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    trailer: bytes = b"",
    order: Callable[[list[bytes]], list[bytes]] = list,
    end: dict[str, int] | None = None,
) -> bytes:
    body, records = bytearray(prefix), []
    for e in entries:
        packed = e.packed if e.packed is not None else e.content
        if e.packed is None and e.method == 8:
            packed = deflate(e.content)
        crc = zlib.crc32(e.content) if e.crc is None else e.crc
        size = len(e.content) if e.size is None else e.size
        packed_size = len(packed) if e.packed_size is None else e.packed_size
        offset = len(body) if e.offset is None else e.offset
        values = {
            "name": e.name,
            "flags": e.flags,
            "method": e.method,
            "crc": crc,
            "packed_size": packed_size,
            "size": size,
            "signature": b"PK\3\4",
        }
        if e.flags & 8:
            values |= {"crc": 0, "packed_size": 0, "size": 0}
        at = {**values, **e.local}
        body += struct.pack(
            "<4s5H3L2H",
            at["signature"],
            e.needed,
            at["flags"],
            at["method"],
            0,
            33,
            at["crc"],
            at["packed_size"],
            at["size"],
            len(at["name"]),
            len(e.local_extra),
        )
        body += at["name"] + e.local_extra + packed
        if e.flags & 8:
            honest = b"PK\7\x08" + struct.pack("<3L", crc, packed_size, size)
            body += honest if e.descriptor is None else e.descriptor
        body += e.gap
        records.append(
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\1\2",
                20,
                e.needed,
                e.flags,
                e.method,
                0,
                33,
                crc,
                packed_size,
                size,
                len(e.name),
                len(e.extra),
                len(e.comment),
                e.disk,
                0,
                e.attributes,
                offset,
            )
            + e.name
            + e.extra
            + e.comment
        )
    body += before_directory
    directory = b"".join(order(records))
    values = {
        "disk": 0,
        "first_disk": 0,
        "here": len(records),
        "count": len(records),
        "size": len(directory),
        "offset": len(body),
        "comment": 0,
        **(end or {}),
    }
    return bytes(
        body
        + directory
        + after_directory
        + struct.pack("<4s4H2LH", b"PK\5\6", *values.values())
        + trailer
    )


A, B = E(), E(name=b"b.txt", content=b"other content, other content")
EMPTY_END = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
WHOLE = build(A, B)


COMMENT_EXTRA = struct.pack("<2H", 0x6375, 0)


def stored(**changes: object) -> E:
    return replace(E(method=0), **changes)


def named(name: str, *, flags: int = 0x800) -> E:
    return E(name=name.encode("utf-8", "surrogatepass"), flags=flags)


def zip64_end(*, count: int, size: int, offset: int, longer: int = 0) -> bytes:
    """A ZIP64 end record and the locator that points at it, for the archive of A and B."""
    at = len(WHOLE) - 22
    numbers = (44 + longer, 45, 45, 0, 0, count, count, size, offset)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", *numbers) + bytes(longer)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)


ZIP64_OF_A = struct.pack("<2H2Q", 1, 16, len(A.content), len(deflate(A.content)))
LEFT_TO_ZIP64 = {"packed_size": 0xFFFFFFFF, "size": 0xFFFFFFFF}


LOCAL_OF_A = len(build(A)) - 22 - 46 - len(A.name)
"""Where the directory of an archive of A alone begins."""
RECORD_OF_B = build(replace(B, offset=LOCAL_OF_A))[-22 - 46 - len(B.name) : -22]


HOSTILE: dict[str, tuple[bytes, str]] = {
    # no archive, or not the whole of one
    "empty file": (b"", "archive-invalid"),
    "no zip": (b"hello" * 100, "archive-invalid"),
    "end record alone": (EMPTY_END, "archive-invalid"),
    "cut end record": (WHOLE[:-3], "archive-invalid"),
    "cut in the middle": (WHOLE[: len(WHOLE) // 2], "archive-invalid"),
    "directory size 0": (build(A, end={"size": 0}), "archive-invalid"),
    "no central signature": (
        build(A, order=lambda r: [b"PK\0\0" + r[0][4:]]),
        "archive-invalid",
    ),
    "record without a local header": (
        build(A, order=lambda r: [*r, RECORD_OF_B], end={"here": 2, "count": 2}),
        "archive-layout",
    ),
    "several disks": (build(A, end={"disk": 1}), "archive-invalid"),
    "disk elsewhere": (build(A, end={"disk": 0xFFFF}), "archive-zip64"),
    "too many records": (build(A, end={"here": 2, "count": 2}), "archive-invalid"),
    "counts differ": (build(A, B, end={"here": 1}), "archive-invalid"),
    "count too low": (build(A, B, end={"here": 1, "count": 1}), "archive-invalid"),
    "count too high": (build(A, end={"here": 2, "count": 2}), "archive-invalid"),
    "entry on another disk": (build(replace(A, disk=1)), "archive-invalid"),
    "entry's disk elsewhere": (build(replace(A, disk=0xFFFF)), "archive-zip64"),
    "comment longer than file": (build(A, end={"comment": 5}), "archive-invalid"),
    # two readers, two archives
    "same name twice": (build(A, A), "archive-duplicate-entry"),
    "case twin": (build(A, E(name=b"A.TXT")), "archive-duplicate-entry"),
    "unicode twin": (
        build(named("\u00e9.txt"), named("e\u0301.txt")),
        "archive-duplicate-entry",
    ),
    "compatibility twin": (build(named("file"), named("\ufb01le")), "archive-duplicate-entry"),
    "sharp s twin": (build(named("strasse"), named("stra\u00dfe")), "archive-duplicate-entry"),
    "file and directory": (
        build(E(name=b"a"), E(name=b"a/", content=b"", method=0)),
        "archive-duplicate-entry",
    ),
    "file as directory": (build(E(name=b"a"), E(name=b"a/b")), "archive-duplicate-entry"),
    "second end record": (
        build(A, B, end={"comment": 22}, trailer=build(A)[-22:]),
        "archive-layout",
    ),
    "end record inside content": (
        build(
            stored(content=struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 9, 9, 73)), trailer=b""
        ),
        "archive-second-end-record",
    ),
    "central record in the trailer": (
        build(A, end={"comment": 10}, trailer=b"PK\1\2" + b"x" * 6),
        "archive-trailing-data",
    ),
    "self-extracting prefix": (build(A, prefix=b"#!/bin/sh\n"), "archive-layout"),
    "gap between entries": (build(replace(A, gap=b"hidden"), B), "archive-layout"),
    "bytes before the directory": (build(A, before_directory=b"hidden"), "archive-layout"),
    "bytes behind the directory": (build(A, after_directory=b"hidden"), "archive-layout"),
    "hidden local entry": (
        build(A, before_directory=build(B)[:60]),
        "archive-layout",
    ),
    "directory in other order": (
        build(A, B, order=lambda r: r[::-1]),
        "archive-layout",
    ),
    "overlapping entries": (build(A, replace(B, offset=0)), "archive-layout"),
    "offset beyond the file": (build(replace(A, offset=1 << 20)), "archive-layout"),
    "entry reaches into the directory": (
        build(stored(content=b"x" * 9, packed=b"x" * 9, packed_size=400, size=400)),
        "archive-layout",
    ),
    "no local signature": (build(replace(A, local={"signature": b"PK\0\0"})), "archive-layout"),
    "other local name": (build(replace(A, local={"name": b"b.txt"})), "archive-header-mismatch"),
    "other local flags": (build(replace(A, local={"flags": 8})), "archive-header-mismatch"),
    "name in UTF-8 for one reader": (
        build(replace(named("é"), local={"flags": 0})),
        "archive-header-mismatch",
    ),
    "other local method": (build(replace(A, local={"method": 0})), "archive-header-mismatch"),
    "other local crc": (build(replace(A, local={"crc": 1})), "archive-header-mismatch"),
    "other local size": (build(replace(A, local={"size": 1})), "archive-header-mismatch"),
    "other local packed size": (
        build(replace(A, local={"packed_size": 1})),
        "archive-header-mismatch",
    ),
    "stored with two sizes": (
        build(stored(packed=b"xyz", packed_size=3, size=4)),
        "archive-header-mismatch",
    ),
    "descriptor of other size": (
        build(replace(A, flags=8, descriptor=b"PK\7\x08" + struct.pack("<3L", 1, 2, 3))),
        "archive-header-mismatch",
    ),
    "descriptor missing": (build(replace(A, flags=8, descriptor=b"")), "archive-header-mismatch"),
    "stored with descriptor": (build(stored(flags=8)), "archive-flags"),
    # ZIP64
    "zip64 count": (build(A, end={"here": 0xFFFF, "count": 0xFFFF}), "archive-zip64"),
    "zip64 offset": (build(A, end={"offset": 0xFFFFFFFF}), "archive-zip64"),
    "zip64 entry size": (build(replace(A, size=0xFFFFFFFF)), "archive-zip64"),
    "zip64 extra": (
        build(replace(A, extra=struct.pack("<2HQ", 1, 8, 5))),
        "archive-zip64",
    ),
    "zip64 local extra": (
        build(replace(A, local_extra=struct.pack("<2HQ", 1, 8, 5))),
        "archive-zip64",
    ),
    "zip64 locator": (
        build(A, after_directory=b"PK\6\7" + bytes(16)),
        "archive-zip64",
    ),
    "zip64 locator to nowhere": (
        build(A, after_directory=struct.pack("<4sIQI", b"PK\6\7", 0, 10**12, 1)),
        "archive-zip64",
    ),
    "zip64 locator to another end": (
        build(A, B, after_directory=zip64_end(count=1, size=9, offset=0)),
        "archive-zip64",
    ),
    "zip64 end of other bytes": (
        build(A, B, after_directory=zip64_end(count=2, size=100, offset=len(WHOLE) - 124)),
        "archive-zip64",
    ),
    "zip64 end before trailing bytes": (
        build(
            A,
            B,
            after_directory=zip64_end(count=2, size=102, offset=len(WHOLE) - 124),
            trailer=b"\n",
        ),
        "archive-trailing-data",
    ),
    "zip64 end of several disks": (
        build(
            A,
            B,
            after_directory=zip64_end(count=2, size=102, offset=len(WHOLE) - 124)[:-1] + b"\x02",
        ),
        "archive-zip64",
    ),
    "zip64 end without its signature": (
        build(
            A,
            B,
            after_directory=b"PK\0\0" + zip64_end(count=2, size=102, offset=len(WHOLE) - 124)[4:],
        ),
        "archive-zip64",
    ),
    "zip64 end that is longer": (
        build(
            A, B, after_directory=zip64_end(count=2, size=102, offset=len(WHOLE) - 124, longer=8)
        ),
        "archive-zip64",
    ),
    "zip64 sizes with a descriptor": (
        build(replace(A, flags=8, local_extra=ZIP64_OF_A)),
        "archive-zip64",
    ),
    "zip64 sizes twice": (build(replace(A, local_extra=ZIP64_OF_A * 2)), "archive-zip64"),
    "other zip64 sizes": (
        build(replace(A, local_extra=struct.pack("<2H2Q", 1, 16, 1, 2))),
        "archive-zip64",
    ),
    "other zip64 sizes alone": (
        build(replace(A, local=LEFT_TO_ZIP64, local_extra=struct.pack("<2H2Q", 1, 16, 1, 2))),
        "archive-header-mismatch",
    ),
    "zip64 sizes that are not needed": (
        build(replace(A, extra=struct.pack("<2HQ", 1, 8, 23))),
        "archive-zip64",
    ),
    "zip64 sizes of another length": (
        build(replace(A, size=0xFFFFFFFF, extra=struct.pack("<2H2Q", 1, 16, 23, 9))),
        "archive-zip64",
    ),
    "zip64 end without locator": (
        build(A, B, after_directory=zip64_end(count=2, size=102, offset=0)[:56]),
        "archive-layout",
    ),
    # features
    "encrypted": (build(replace(A, flags=1)), "archive-encrypted"),
    "strong encryption": (build(replace(A, flags=0x41)), "archive-encrypted"),
    "patch data": (build(replace(A, flags=0x20)), "archive-flags"),
    "masked headers": (build(replace(A, flags=0x2000)), "archive-flags"),
    "bzip2": (build(replace(A, method=12)), "archive-method"),
    "deflate64": (build(replace(A, method=9)), "archive-method"),
    "zstd": (build(replace(A, method=93)), "archive-method"),
    "needs version 4.6": (build(replace(A, needed=46)), "archive-method"),
    "unicode path extra": (
        build(replace(A, extra=struct.pack("<2H", 0x7075, 0))),
        "archive-extra-field",
    ),
    "aes extra": (build(replace(A, extra=struct.pack("<2H", 0x9901, 0))), "archive-extra-field"),
    "cut extra": (build(replace(A, extra=b"\xfe")), "archive-extra-field"),
    "extra longer than field": (
        build(replace(A, extra=struct.pack("<2H", 0xCAFE, 9))),
        "archive-extra-field",
    ),
    # file types
    "symlink": (build(replace(A, attributes=0o120777 << 16)), "archive-file-type"),
    "device": (build(replace(A, attributes=0o060666 << 16)), "archive-file-type"),
    "fifo": (build(replace(A, attributes=0o010666 << 16)), "archive-file-type"),
    "directory without slash": (build(replace(A, attributes=0x10)), "archive-file-type"),
    "unix directory without slash": (
        build(replace(A, attributes=0o040755 << 16)),
        "archive-file-type",
    ),
    "directory with content": (build(E(name=b"d/")), "archive-file-type"),
    # names
    "empty name": (build(E(name=b"")), "archive-entry-name"),
    "name too long": (build(E(name=b"n" * 513)), "archive-entry-name"),
    "name not utf-8": (build(E(name=b"\xff\xfe", flags=0x800)), "archive-entry-name"),
    "name not declared utf-8": (build(named("\u00e9", flags=0)), "archive-entry-name"),
    "surrogate in name": (build(named("\ud800")), "archive-entry-name"),
    "parent": (build(E(name=b"../x")), "archive-entry-name"),
    "parent inside": (build(E(name=b"a/../../x")), "archive-entry-name"),
    "dot segment": (build(E(name=b"a/./x")), "archive-entry-name"),
    "empty segment": (build(E(name=b"a//x")), "archive-entry-name"),
    "absolute": (build(E(name=b"/etc/passwd")), "archive-entry-name"),
    "drive": (build(E(name=b"C:/x")), "archive-entry-name"),
    "stream": (build(E(name=b"x:y")), "archive-entry-name"),
    "backslash": (build(E(name=b"a\\b")), "archive-entry-name"),
    "nul in name": (build(E(name=b"a.txt\0.jar")), "archive-entry-name"),
    "line end in name": (build(E(name=b"a\nb")), "archive-entry-name"),
    "bidi override": (build(named("a\u202etxt.exe")), "archive-entry-name"),
    "zero width": (build(named("a\u200bb")), "archive-entry-name"),
    "trailing dot": (build(E(name=b"a./b")), "archive-entry-name"),
    "trailing space": (build(E(name=b"a /b")), "archive-entry-name"),
    # sizes
    "ratio": (build(E(content=bytes(4 * 1024 * 1024 + 1))), "archive-ratio"),
    "declared too large": (build(replace(A, size=300_000_000)), "archive-too-large"),
}

CORRUPT: dict[str, bytes] = {
    "crc wrong": build(replace(A, crc=1)),
    "stored crc wrong": build(stored(crc=1)),
    "declared shorter than content": build(replace(A, size=5)),
    "declared longer than content": build(replace(A, size=500)),
    "deflate stream ends early": build(replace(A, packed=deflate(A.content) + b"tail")),
    "deflate stream cut": build(replace(A, packed=deflate(A.content)[:-2])),
    "no deflate stream": build(replace(A, packed=b"\xff" * 20)),
    "bomb behind a small declaration": build(replace(A, packed=deflate(bytes(10_000_000)), size=9)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archive_is_refused(kind: str) -> None:
    data, code = HOSTILE[kind]
    with pytest.raises(ArchiveError) as refused:
        read_archive(data)
    assert refused.value.code == code, refused.value.message


@pytest.mark.parametrize("kind", CORRUPT)
def test_corrupt_content_is_refused_when_read(kind: str) -> None:
    archive = read_archive(CORRUPT[kind])
    with pytest.raises(ArchiveError) as refused:
        archive.read("a.txt")
    assert refused.value.code == "archive-corrupt"


@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        build(replace(A, flags=8), B),
        build(
            replace(
                A,
                flags=8,
                descriptor=struct.pack(
                    "<3L", zlib.crc32(A.content), len(deflate(A.content)), len(A.content)
                ),
            ),
            B,
        ),
        build(replace(A, flags=8, extra=struct.pack("<2H", 0xCAFE, 0)), B),
        build(replace(A, attributes=0o100644 << 16), replace(B, comment=b"fine")),
        build(stored(), B, end={"comment": 4}, trailer=b"note"),
        build(A, B, trailer=b"trailing"),
        build(replace(A, needed=45, local_extra=ZIP64_OF_A), B),
        build(replace(A, needed=45, local=LEFT_TO_ZIP64, local_extra=ZIP64_OF_A), B),
        build(
            replace(
                A,
                size=0xFFFFFFFF,
                local={"size": len(A.content)},
                extra=struct.pack("<2HQ", 1, 8, len(A.content)),
            ),
            B,
        ),
        build(A, B, after_directory=zip64_end(count=2, size=102, offset=len(WHOLE) - 124)),
        build(
            A,
            B,
            after_directory=zip64_end(count=2, size=102, offset=len(WHOLE) - 124),
            end={"here": 0xFFFF, "count": 0xFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF},
        ),
        build(replace(A, attributes=0o170755 << 16), B),
        build(replace(A, local_extra=struct.pack("<2H", 0xCAFE, 4000) + bytes(4000)), B),
        build(replace(A, flags=6, local={"flags": 0x800}), B),
        build(
            replace(A, flags=8, local={"crc": 0, "size": len(A.content)}, extra=COMMENT_EXTRA), B
        ),
    ],
    ids=[
        "plain",
        "descriptor",
        "short-descriptor",
        "jdk-extra",
        "unix",
        "comment",
        "trailing",
        "ant-zip64",
        "zip64-in-local-header",
        "zip64-in-central-record",
        "zip64-end-that-says-the-same",
        "zip64-end-alone",
        "plexus-file-type",
        "long-local-extra",
        "flags-that-nobody-reads",
        "sizes-before-descriptor",
    ],
)
def test_honest_archive_is_read(data: bytes) -> None:
    archive = read_archive(data)
    assert [e.name for e in archive.entries] == ["a.txt", "b.txt"]
    assert archive.read("a.txt") == A.content
    assert archive.read("b.txt") == B.content


def test_trailing_bytes_are_counted() -> None:
    assert read_archive(build(A, trailer=b"trailing")).trailing_bytes == 8
    assert read_archive(WHOLE).trailing_bytes == 0


def test_limits_count_entries_and_nested_totals() -> None:
    limits = ArchiveLimits(entries_max=1)
    with pytest.raises(ArchiveError) as refused:
        read_archive(WHOLE, limits=limits)
    assert refused.value.code == "archive-too-many-entries"
    with pytest.raises(ArchiveError) as refused:
        read_archive(WHOLE, limits=ArchiveLimits(archive_bytes_max=10))
    assert refused.value.code == "archive-too-large"
    budget = Budget(ArchiveLimits(total_bytes_max=100))
    read_archive(WHOLE, budget=budget)
    with pytest.raises(ArchiveError) as refused:
        read_archive(WHOLE, budget=budget)
    assert refused.value.code == "archive-too-large"


def test_python_and_the_reader_agree_on_a_plain_archive() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/y.txt", "text" * 50)
    assert read_archive(buffer.getvalue()).read("x/y.txt") == b"text" * 50


_SEGMENT = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["C", "Zl", "Zp"], exclude_characters='/\\:. "'
    ),
    min_size=1,
    max_size=12,
)
_NAMES = st.lists(_SEGMENT, min_size=1, max_size=3).map("/".join)


@pytest.mark.property
@settings(deadline=None, max_examples=examples(60))
@given(st.dictionaries(_NAMES, st.binary(max_size=300), min_size=1, max_size=6))
def test_what_is_written_is_read_back(contents: dict[str, bytes]) -> None:
    folded = [unicodedata.normalize("NFKC", n).casefold() for n in contents]
    if len({f.partition("/")[0] for f in folded}) != len(folded):
        return
    try:
        for name in contents:
            check_entry_name(name)
        data = write_archive(contents.items())
    except ArchiveError:
        return
    assert data == write_archive(contents.items())
    archive = read_archive(data)
    assert {e.name: archive.read(e.name) for e in archive.entries} == contents
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert file.namelist() == list(contents)


@pytest.mark.property
@settings(deadline=None, max_examples=examples(400))
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_nothing_unseen(at: int, change: int) -> None:
    """Every byte counts, except times, versions made by and attributes, which nobody trusts."""
    data = bytearray(WHOLE)
    data[at] ^= change
    try:
        archive = read_archive(bytes(data))
        contents = {e.name: archive.read(e.name) for e in archive.entries}
    except ArchiveError:
        return
    assert contents == {"a.txt": A.content, "b.txt": B.content}


@pytest.mark.property
@settings(deadline=None, max_examples=examples(200))
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_junk_is_refused_with_an_archive_error(head: bytes, tail: bytes) -> None:
    for data in (head, head + WHOLE, head + WHOLE[30:] + tail, b"PK\5\6" + tail):
        try:
            read_archive(data)
        except ArchiveError:
            continue


@pytest.mark.parametrize("name", ["../x", "a\\b", "a\0", "x" * 513])
def test_the_writer_refuses_what_the_reader_refuses(name: str) -> None:
    with pytest.raises(ArchiveError):
        read_archive(write_archive([(name, b"")]))


def test_the_writer_makes_no_archive_of_more_entries_than_the_reader_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cpi.archive.writing.DEFAULT_LIMITS", ArchiveLimits(entries_max=1))
    with pytest.raises(ArchiveError) as refused:
        write_archive([("a", b""), ("b", b"")])
    assert refused.value.code == "archive-too-large"
