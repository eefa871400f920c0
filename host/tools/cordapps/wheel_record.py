"""What a wheel says of itself: the files of its `*.dist-info` folder, judged by PEP 427 and later.

A lock's SHA-256 pins the file of a wheel; `RECORD` tells what its builder put in. A difference
between the two means that the wheel was changed after it was built, or by a broken tool. Installers
are to refuse both, and reviewers read `RECORD`, so a build refuses them too.
"""

import base64
import csv
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from cpi.archive.reading import Archive
from sandbox.module_table import PYTHON_VERSION

RECORD_BYTES_MAX = 1024 * 1024
HEADER_BYTES_MAX = 1024 * 1024

_SUFFIX = ".dist-info"
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_DIGESTS = frozenset({"sha256", "sha384", "sha512"})
_WHEEL_MAJOR = "1"


def dist_info_path(name: str) -> str:
    """The path below `*.dist-info/`, or nothing."""
    folder, _, rest = name.partition("/")
    return rest if folder.endswith(_SUFFIX) else ""


def metadata_problems(archive: Archive, name: str, version: str) -> Iterator[str]:
    """Why the metadata of a wheel is not that of the package `name` in `version`."""
    folders = sorted({e.name.partition("/")[0] for e in archive.entries if dist_info_path(e.name)})
    if len(folders) != 1:
        found = ", ".join(folders) or "none"
        yield f"{len(folders)} folders *{_SUFFIX}, expected one: {found}"
        return
    (folder,) = folders
    if not _is_of(folder.removesuffix(_SUFFIX), name, version):
        yield f"{folder}: expected the folder of {name} {version}"
    missing = [f for f in ("METADATA", "WHEEL", "RECORD") if f"{folder}/{f}" not in archive]
    yield from (f"{folder}/{file} is missing" for file in missing)
    if missing:
        return
    metadata = _headers(archive, f"{folder}/METADATA")
    named, versioned = str(metadata["Name"] or ""), str(metadata["Version"] or "")
    if canonicalize_name(named) != name or not same_version(versioned, version):
        yield f"{folder}/METADATA says {named} {versioned}"
    yield from _python_problems(metadata)
    wheel_version = str(_headers(archive, f"{folder}/WHEEL")["Wheel-Version"] or "")
    if wheel_version.partition(".")[0] != _WHEEL_MAJOR:
        yield f"{folder}/WHEEL has format {wheel_version!r}, expected {_WHEEL_MAJOR}.x"
    yield from _record_problems(archive, folder)


def same_version(one: str, other: str) -> bool:
    """Whether two spellings are of one version; `1.0` and `1.0.0` are two, as their files are."""
    try:
        return str(Version(one)) == str(Version(other))
    except InvalidVersion:
        return False


def _is_of(label: str, name: str, version: str) -> bool:
    """Whether `label` is `name-version`; tools have written `-` and `+` of a version as `_`."""
    named, _, versioned = label.rpartition("-")
    spellings = (versioned, versioned.replace("_", "-"), versioned.replace("_", "+"))
    return canonicalize_name(named) == name and any(
        same_version(spelling, version) for spelling in spellings
    )


def _headers(archive: Archive, path: str) -> Message:
    return BytesHeaderParser().parsebytes(archive.read(path)[:HEADER_BYTES_MAX])


def _python_problems(metadata: Message) -> Iterator[str]:
    """A package for other versions of Python; a specifier that nobody can read says nothing."""
    needed = str(metadata["Requires-Python"] or "")
    try:
        fits = SpecifierSet(needed).contains(PYTHON_VERSION, prereleases=True)
    except InvalidSpecifier:
        return
    if not fits:
        yield f"needs Python {needed}, a sandbox has {PYTHON_VERSION}"


def _record_problems(archive: Archive, folder: str) -> Iterator[str]:
    """Files that differ from RECORD, that it does not list, and listed ones that are missing."""
    path = f"{folder}/RECORD"
    size = archive.by_name[path].size
    if size > RECORD_BYTES_MAX:
        yield f"{path}: {size} bytes, at most {RECORD_BYTES_MAX}"
        return
    try:
        text = archive.read(path).decode("utf-8")
        rows = list(csv.reader(text.splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as refused:
        yield f"{path}: is no table of files: {refused}"
        return
    listed: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            yield f"{path}:{number}: expected path, digest and size"
        elif listed.setdefault(row[0], (row[1], row[2])) != (row[1], row[2]):
            yield f"{path}:{number}: {row[0]} is listed twice"
    exempt = {f"{folder}/{name}" for name in _UNLISTED}
    files = {entry.name: entry.size for entry in archive.entries if not entry.is_directory}
    yield from (
        f"{name}: {path} does not list it" for name in sorted(files.keys() - listed - exempt)
    )
    for name, (digest, length) in listed.items():
        if name not in files:
            if name not in exempt and not name.endswith("/"):
                yield f"{name}: {path} lists it, but the wheel lacks it"
        elif name not in exempt:
            yield from _file_problems(archive, name, digest, length)


def _file_problems(archive: Archive, name: str, digest: str, length: str) -> Iterator[str]:
    algorithm, _, value = digest.partition("=")
    if algorithm not in _DIGESTS:
        found = algorithm or "none"
        yield f"{name}: RECORD has digest {found}, expected one of {', '.join(sorted(_DIGESTS))}"
        return
    actual = base64.urlsafe_b64encode(archive.digest(name, algorithm)).rstrip(b"=").decode()
    if actual != value.rstrip("="):
        yield f"{name}: has {algorithm} {actual}, RECORD says {value}"
    elif length and length != str(archive.by_name[name].size):
        yield f"{name}: has {archive.by_name[name].size} bytes, RECORD says {length}"
