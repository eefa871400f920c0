"""An archive as Cordbox, Java and Info-ZIP's `unzip` read it, and where they differ."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cpi.archive.reading import Archive, read_archive
from cpi.errors import CpiError
from cpi.jar.manifest import Manifest
from cpi.jar.signatures import Role, read_manifest, role_of, verify_jar
from cpi.limits import DEFAULT_LIMITS

ORACLE = Path(__file__).parent / "java" / "ArchiveOracle.java"
Attributes = dict[str, str]


@dataclass(frozen=True)
class Found:
    """One entry as a reader finds it: size in bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str
    signers: int


@dataclass
class JavaReading:
    """What Java's `JarFile` (`file`) and `JarInputStream` (`stream`) read."""

    file: list[Found] = field(default_factory=list)
    stream: list[Found] = field(default_factory=list)
    main: Attributes = field(default_factory=dict)
    stream_main: Attributes = field(default_factory=dict)
    sections: dict[str, Attributes] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class OwnReading:
    """What Cordbox reads: the codes are those of refusals, None if there was none."""

    archive: Archive | None
    manifest: Manifest | None
    code: str | None
    signature_code: str | None


def read_by_java(paths: Sequence[Path]) -> list[JavaReading]:
    done = subprocess.run(
        ["java", "-Xmx512m", "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", ORACLE],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        check=True,
        timeout=1800,
    )
    readings, one = list[JavaReading](), JavaReading()
    for line in done.stdout.splitlines():
        kind, *words = line.split("\t")
        texts = [bytes.fromhex(word[1:]).decode() if word[:1] == "x" else word for word in words]
        if kind == "done":
            readings.append(one)
            one = JavaReading()
        else:
            _take(one, kind, texts)
    assert len(readings) == len(paths), done.stderr
    return readings


def _take(reading: JavaReading, kind: str, texts: list[str]) -> None:
    match kind, texts:
        case ("file" | "stream") as which, [name, size, sha256, signers]:
            getattr(reading, which).append(Found(name, int(size), sha256, int(signers)))
        case "main", [name, value]:
            reading.main[name.lower()] = value
        case "stream-main", [name, value]:
            reading.stream_main[name.lower()] = value
        case "entry", [section, name, value]:
            reading.sections.setdefault(section, {})[name.lower()] = value
        case _:
            reading.errors.append(f"{kind}: {' '.join(texts)}")


def read_here(path: Path, *, is_jar: bool) -> OwnReading:
    archive, manifest = None, None
    try:
        archive = read_archive(path.read_bytes())
        if not is_jar:
            return OwnReading(archive, None, None, None)
        manifest = read_manifest(archive, DEFAULT_LIMITS)
    except CpiError as error:
        return OwnReading(archive, manifest, error.code, error.code)
    try:
        verify_jar(archive, manifest, DEFAULT_LIMITS)
    except CpiError as error:
        return OwnReading(archive, manifest, None, error.code)
    return OwnReading(archive, manifest, None, None)


def differences(path: Path, java: JavaReading, *, is_jar: bool) -> Iterator[str]:
    """Where the readers differ about an archive that Cordbox reads."""
    here = read_here(path, is_jar=is_jar)
    if here.archive is None:
        yield f"refused: {here.code}"
        return
    if here.code is not None:
        yield f"manifest refused: {here.code}"
    yield from java.errors
    own = [
        Found(e.name, e.size, here.archive.digest(e.name, "sha256").hex(), 0)
        for e in here.archive.entries
    ]
    yield from _entries("JarFile", own, java.file)
    yield from _entries("JarInputStream", own[_hidden_from_streams(own) :], java.stream)
    yield from _listing(path, here.archive)
    if here.manifest is not None:
        yield from manifest_differences(here.manifest, java)
    if is_jar and here.code is None:
        yield from _signatures(here, java)


def _entries(reader: str, own: Sequence[Found], theirs: Sequence[Found]) -> Iterator[str]:
    ours = [(each.name, each.size, each.sha256) for each in own]
    other = [(each.name, each.size, each.sha256) for each in theirs]
    if ours != other:
        odd = [pair for pair in zip(ours, other, strict=False) if pair[0] != pair[1]]
        yield f"{reader} reads {len(other)} entries, here {len(ours)}; first: {odd[:1]}"


def _hidden_from_streams(own: Sequence[Found]) -> int:
    """How many entries at the start a JarInputStream reads for itself: the manifest's."""
    hidden = 1 if own[0].name.upper() == "META-INF/" else 0
    has_manifest = len(own) > hidden and role_of(own[hidden].name) is Role.MANIFEST
    return hidden + has_manifest


def _listing(path: Path, archive: Archive) -> Iterator[str]:
    done = subprocess.run(
        ["unzip", "-v", path],
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        timeout=100,
    )
    rows = done.stdout.decode(errors="surrogateescape").splitlines()
    listed = [row.split(None, 7) for row in rows if len(row.split(None, 7)) == 8]
    theirs = [
        (row[7], int(row[0]), int(row[6], 16))
        for row in listed
        if row[0].isdigit() and len(row[6]) == 8
    ]
    ours = [(e.name, e.size, e.crc) for e in archive.entries]
    if theirs != ours:
        odd = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
        yield f"unzip lists {len(theirs)} entries, here {len(ours)}; first: {odd[:1]}"


def manifest_differences(own: Manifest, java: JavaReading) -> Iterator[str]:
    """Where Java reads other attributes in a manifest."""
    main = _lowered(own.main.attributes)
    if main != java.main:
        yield f"main attributes: Java {java.main}, here {main}"
    if main != java.stream_main:
        yield f"main attributes: Java's stream {java.stream_main}, here {main}"
    sections = {name: _without_name(part.attributes) for name, part in own.entries.items()}
    named = {name: attributes for name, attributes in sections.items() if attributes}
    if named != java.sections:
        odd = {
            name for name in {*named, *java.sections} if named.get(name) != java.sections.get(name)
        }
        yield f"sections differ: {sorted(odd)[:3]}"


def _lowered(attributes: Mapping[str, str]) -> Attributes:
    return {name.lower(): value for name, value in attributes.items()}


def _without_name(attributes: Mapping[str, str]) -> Attributes:
    return {name: value for name, value in _lowered(attributes).items() if name != "name"}


def _signatures(here: OwnReading, java: JavaReading) -> Iterator[str]:
    """Signed for Java is a JAR of which each file has a signer, in both of its readers."""
    content = [e for e in java.file if role_of(e.name) is Role.CONTENT]
    by_java = bool(content) and all(e.signers for e in content)
    if by_java and here.signature_code is not None:
        yield f"signed for Java, refused here: {here.signature_code}"
    if not by_java and here.signature_code is None:
        yield "not signed for Java, accepted here"
