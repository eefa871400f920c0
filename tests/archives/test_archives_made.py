"""Archives as tools make them: read as Java and `unzip` read them, or refused where readers differ."""

import io
import random
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cpi.archive.reading import read_archive
from cpi.archive.writing import write_archive
from cpi.errors import ArchiveError, ManifestError
from cpi.jar.manifest import parse_manifest
from tests.archives.comparison import differences, manifest_differences, read_by_java

SEEDS = Path(__file__).parent.parent / "fuzz" / "seeds" / "archive"
WORDS = [
    *(b"\0\0", b"\xff\xff\xff\xff", b"\x08", b"\x01\0\x10\0", b"PK\7\x08", b"\0\x08"),
    *(b"\x2d\0", b"\x14\0", b"\n"),
]
MANIFEST_WORDS = [
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b": ",
        b":",
        b"\n ",
        b"\r\n ",
        b"\n\n",
        b"\t",
        b"\xc3\xa9",
        b"\xff",
    ),
    *(b"Name: a.txt\n", b"A: B\n", b"Name:", b"name: c\n", b"Magic: x\n", b"-", b"x" * 80),
]

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("java", "jar", "zip", "unzip")),
    reason="java, jar, zip or unzip is not installed",
)

Maker = Callable[[Path, Path], None]


def tool(*words: str) -> Maker:
    """Runs a command in the folder of files; `OUT` stands for the archive."""

    def make(folder: Path, out: Path) -> None:
        command = [str(out) if word == "OUT" else word for word in words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)

    return make


def piped(*words: str) -> Maker:
    """Runs a command whose standard output, which it cannot seek in, is the archive."""

    def make(folder: Path, out: Path) -> None:
        done = subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, timeout=60)
        out.write_bytes(done.stdout)

    return make


def python(write: Callable[[zipfile.ZipFile, Path], None], *, seekable: bool = True) -> Maker:
    def make(folder: Path, out: Path) -> None:
        target = io.BytesIO() if seekable else Unseekable()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
            write(file, folder)
        out.write_bytes(target.getvalue())

    return make


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError("a pipe has no position")


def changed(maker: Maker, change: Callable[[bytes], bytes]) -> Maker:
    def make(folder: Path, out: Path) -> None:
        maker(folder, out)
        out.write_bytes(change(out.read_bytes()))

    return make


def all_files(file: zipfile.ZipFile, folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        file.write(path, path.relative_to(folder).as_posix())


def zip64_sizes(file: zipfile.ZipFile, _folder: Path) -> None:
    with file.open("a.txt", "w", force_zip64=True) as entry:
        entry.write(b"text " * 100)


def same_name_twice(file: zipfile.ZipFile, _folder: Path) -> None:
    file.writestr("a.txt", "one")
    with pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("a.txt", "two")


ZIP = tool("zip", "-q", "-r", "OUT", ".", "-i", "*")
READ: dict[str, Maker] = {
    "jar": tool("jar", "--create", "--file", "OUT", "."),
    "jar, no manifest": tool("jar", "--create", "--no-manifest", "--file", "OUT", "."),
    "jar, stored": tool("jar", "--create", "--no-compress", "--file", "OUT", "."),
    "jar, main class": tool("jar", "--create", "--main-class", "a.B", "--file", "OUT", "."),
    "jar to a pipe": piped("jar", "-c", "."),
    "zip": ZIP,
    "zip -0": tool("zip", "-q", "-0", "-r", "OUT", "."),
    "zip -9, no extra fields": tool("zip", "-q", "-9", "-X", "-r", "OUT", "."),
    "zip without folders": tool("zip", "-q", "-D", "-r", "OUT", "."),
    "zip of files alone, flat": tool("zip", "-q", "-j", "OUT", "a.txt", "sub/b.txt"),
    "zip grown": lambda folder, out: [
        tool("zip", "-q", "OUT", "a.txt")(folder, out),
        tool("zip", "-q", "-g", "OUT", "sub/b.txt")(folder, out),
    ][0],
    "zip with an entry deleted": lambda folder, out: [
        ZIP(folder, out),
        tool("zip", "-q", "-d", "OUT", "a.txt")(folder, out),
    ][0],
    "zip -fd: data descriptors": tool("zip", "-q", "-fd", "OUT", "a.txt", "sub/b.txt"),
    "python": python(all_files),
    "python to a pipe: data descriptors": python(all_files, seekable=False),
    "python, ZIP64 sizes in local headers": python(zip64_sizes),
    "trailing bytes": changed(ZIP, lambda data: data + b"\n\n"),
    "comment": lambda folder, out: [
        ZIP(folder, out),
        subprocess.run(["zip", "-q", "-z", out], input=b"note", check=True, timeout=60),
    ][0],
}
REFUSED: dict[str, tuple[Maker, str]] = {
    "zip -fd, stored: data descriptors": (
        tool("zip", "-q", "-fd", "-0", "OUT", "a.txt"),
        "archive-flags",
    ),
    "a ZIP64 locator to nowhere": (
        changed(ZIP, lambda data: data[:-22] + b"PK\6\7" + bytes(16) + data[-22:]),
        "archive-zip64",
    ),
    "zip to a pipe": (piped("zip", "-q", "-r", "-fz", "-", "."), "archive-zip64"),
    "zip -0 to a pipe": (piped("zip", "-q", "-0", "-fz-", "-r", "-", "."), "archive-flags"),
    "zip of a symbolic link": (
        tool("zip", "-q", "-y", "-r", "OUT", ".", "../linked"),
        "archive-file-type",
    ),
    "self-extracting": (changed(ZIP, lambda data: b"#!/bin/sh\nexit\n" + data), "archive-layout"),
    "self-extracting, adjusted": (
        lambda folder, out: [
            changed(ZIP, lambda data: b"#!/bin/sh\nexit\n" + data)(folder, out),
            subprocess.run(["zip", "-q", "-A", out], check=True, timeout=60),
        ][0],
        "archive-layout",
    ),
    "the same name twice": (python(same_name_twice), "archive-duplicate-entry"),
    "encrypted": (tool("zip", "-q", "-P", "secret", "OUT", "a.txt"), "archive-encrypted"),
    "bzip2": (tool("zip", "-q", "-Z", "bzip2", "OUT", "a.txt"), "archive-method"),
    "no entries": (python(lambda _file, _folder: None), "archive-invalid"),
    "two archives, one behind the other": (
        changed(ZIP, lambda data: data + data),
        "archive-layout",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    (files / "sub" / "deep").mkdir(parents=True)
    (files / "empty folder").mkdir()
    (files / "a.txt").write_text("text " * 1000)
    (files / "sub" / "b.txt").write_bytes(bytes(range(256)) * 9)
    (files / "sub" / "deep" / "c.class").write_bytes(b"\xca\xfe\xba\xbe")
    (files / "nothing").touch()
    (files / "META-INF").mkdir()
    (files / "META-INF" / "services.txt").write_text("x")
    (tmp_path / "linked").symlink_to("files/a.txt")
    return files


def test_archives_that_tools_make_are_read_as_java_and_unzip_read_them(
    folder: Path, tmp_path: Path
) -> None:
    paths = []
    for number, (name, make) in enumerate(READ.items()):
        paths.append(tmp_path / f"{number} {name.partition(':')[0]}.zip")
        make(folder, paths[-1])
    wrong = {
        path.name: found
        for path, java in zip(paths, read_by_java(paths), strict=True)
        if (found := list(differences(path, java, is_jar=False)))
    }
    assert not wrong


def test_changed_archives_that_are_accepted_are_read_alike(tmp_path: Path) -> None:
    """Whatever changes in an archive: who accepts it finds what Java and `unzip` find."""
    source, seeds = random.Random(20), [p.read_bytes() for p in sorted(SEEDS.iterdir())]
    accepted = dict.fromkeys(
        changed for _ in range(15_000) if _is_read(changed := _mutant(source, seeds, WORDS))
    )
    paths = [tmp_path / f"{number}.zip" for number in range(len(accepted))]
    for path, data in zip(paths, accepted, strict=True):
        path.write_bytes(data)
    wrong = {
        path.read_bytes().hex(): found
        for path, java in zip(paths, read_by_java(paths), strict=True)
        if (found := list(differences(path, java, is_jar=False)))
    }
    assert not wrong
    assert len(accepted) > 200


def test_changed_manifests_that_are_accepted_are_read_alike(tmp_path: Path) -> None:
    source = random.Random(21)
    seeds = [p.read_bytes() for p in sorted((SEEDS.parent / "manifest").iterdir())]
    accepted = dict.fromkeys(
        changed
        for _ in range(4_000)
        if _is_manifest(changed := _mutant(source, seeds, MANIFEST_WORDS))
    )
    paths = [tmp_path / f"{number}.jar" for number in range(len(accepted))]
    for path, data in zip(paths, accepted, strict=True):
        path.write_bytes(write_archive([("META-INF/MANIFEST.MF", data)]))
    wrong = {}
    for data, java in zip(accepted, read_by_java(paths), strict=True):
        found = [*java.errors, *manifest_differences(parse_manifest(data), java)]
        if found:
            wrong[data] = found
    assert not wrong
    assert len(accepted) > 200


def _is_manifest(data: bytes) -> bool:
    try:
        return parse_manifest(data) is not None
    except ManifestError:
        return False


def _mutant(source: random.Random, seeds: list[bytes], words: Sequence[bytes]) -> bytes:
    data = bytearray(source.choice(seeds))
    for _ in range(source.choice([1, 1, 2, 3])):
        at, word = source.randrange(len(data)), source.choice(words)
        match source.randrange(5):
            case 0:
                data[at] ^= 1 << source.randrange(8)
            case 1:
                data[at : at + len(word)] = word
            case 2:
                del data[at : at + source.randint(1, 4)]
            case 3:
                data[at] = source.randrange(256)
            case _:
                data[at:at] = word
    return bytes(data)


def _is_read(data: bytes) -> bool:
    try:
        archive = read_archive(data)
        return all(archive.read(entry.name) is not None for entry in archive.entries)
    except ArchiveError:
        return False


@pytest.mark.parametrize("kind", REFUSED)
def test_archives_that_readers_read_differently_are_refused(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    make, code = REFUSED[kind]
    out = tmp_path / "made.zip"
    make(folder, out)
    with pytest.raises(ArchiveError) as refused:
        read_archive(out.read_bytes())
    assert refused.value.code == code, refused.value.message
