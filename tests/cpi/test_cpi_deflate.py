"""Our own deflate encoder: every inflater reads it, and no installed zlib changes it."""

import hashlib
import random
import shutil
import subprocess
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpi.archive import writing as archive_writer
from cpi.archive.deflate import deflate
from cpi.archive.reading import read_archive
from cpi.archive.writing import write_archive
from cpi.package.verify import read_package
from tests.cpi import support

TEXT = Path(archive_writer.__file__).read_bytes() + Path(support.__file__).read_bytes()


def inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(packed) + inflater.flush()
    assert inflater.eof
    assert inflater.unused_data == b""
    return content


def fibonacci() -> bytes:
    """Counts whose Huffman codes would be longer than deflate allows."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    values = [symbol for symbol, count in enumerate(counts) for _ in range(count)]
    random.Random(1).shuffle(values)
    return bytes(values)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"ab" * 3,
        b"a" * 70_000,
        bytes(range(256)) * 5,
        TEXT,
        TEXT[:999] + random.Random(2).randbytes(40_000) + TEXT[:999],
        fibonacci(),
    ],
    ids=["empty", "byte", "pair", "run", "all-bytes", "text", "far-match", "long-codes"],
)
def test_it_inflates_to_what_it_was(data: bytes) -> None:
    assert inflated(deflate(data)) == data


@given(st.binary(max_size=2_000) | st.text(alphabet="ab \n", max_size=2_000).map(str.encode))
def test_anything_inflates_to_what_it_was(data: bytes) -> None:
    assert inflated(deflate(data)) == data


def test_it_is_as_small_as_zlib_within_a_hundredth() -> None:
    best = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    assert len(deflate(TEXT)) <= 1.01 * len(best.compress(TEXT) + best.flush())


def test_its_bytes_are_pinned() -> None:
    """A change of these bytes changes every package: rebuilds of older ones would differ."""
    data = b"".join(b"line %d of %d\n" % (n * n, n % 7) for n in range(2_000))
    digest = hashlib.sha256(deflate(data)).hexdigest()
    assert digest == "1acf991125055d27117dd37b84b7ed4f4abe71380887ffbe35da6921d8b3256b"


def test_built_packages_use_no_other_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise AssertionError("zlib compresses")

    expected = support.cpi()
    monkeypatch.setattr(archive_writer.zlib, "compressobj", missing)
    assert support.cpi() == expected
    read_package(expected)


def test_limits_noise_and_packed_files_are_stored() -> None:
    contents = {
        "big.txt": b"a" * (512 * 1024 + 1),
        "noise.bin": random.Random(3).randbytes(100_000),
        "inner.jar": b"a" * 1_000,
        "text.py": TEXT,
    }
    archive = read_archive(write_archive(contents.items(), portable=True))
    assert {entry.name: entry.method for entry in archive.entries} == {
        "big.txt": 0,
        "noise.bin": 0,
        "inner.jar": 0,
        "text.py": 8,
    }
    assert {name: archive.read(name) for name in contents} == contents


def test_beyond_eight_mib_content_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_writer, "_PORTABLE_BYTES_MAX", 3 * len(TEXT))
    archive = read_archive(write_archive([(f"{n}.py", TEXT) for n in range(5)], portable=True))
    assert [entry.method for entry in archive.entries] == [8, 8, 8, 0, 0]


@pytest.mark.parametrize("portable", [True, False])
def test_what_the_reader_would_refuse_as_a_bomb_is_stored(*, portable: bool) -> None:
    data = b"a" * 300_000
    archive = read_archive(write_archive([("zeros.txt", data)], portable=portable))
    assert archive.read("zeros.txt") == data


@pytest.mark.skipif(shutil.which("jar") is None, reason="no Java here")
def test_java_reads_it(tmp_path: Path) -> None:
    (tmp_path / "x.jar").write_bytes(write_archive([("a/text.py", TEXT)], portable=True))
    subprocess.run(["jar", "xf", "x.jar"], cwd=tmp_path, check=True)
    assert (tmp_path / "a" / "text.py").read_bytes() == TEXT


def test_small_entries_of_several_archives_are_compressed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    def counted(content: bytes) -> bytes:
        seen.append(content)
        return deflate(content)

    monkeypatch.setattr(archive_writer, "_deflated", lru_cache(maxsize=2)(counted))
    small, other = TEXT[:5_000], TEXT[:6_000]
    entries = [("a.txt", small), ("b.txt", other)]
    first, again = (write_archive(entries, portable=True) for _ in range(2))
    assert seen == [small, other]
    assert first == again
    assert [read_archive(again).read(name) for name, _ in entries] == [small, other]
