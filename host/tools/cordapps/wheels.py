"""Wheel files of third-party packages: chosen by hash, read strictly, pure Python alone.

A wheel's file name states its target platform (PEP 427), and its content must agree: native code
inside is refused by name, whatever the tags say. Nothing of a wheel is executed or unpacked to
disk.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from cpi.archive.reading import Archive, read_archive
from cpi.errors import CpiError
from cpi.limits import ArchiveLimits
from host.tools.cordapps.package_data import data_problem, is_named
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.requirements_lock import Requirement
from host.tools.cordapps.sources import FILE_BYTES_MAX, decoded
from host.tools.cordapps.wheel_record import dist_info_path, metadata_problems, same_version

WHEEL_BYTES_MAX = 16 * 1024 * 1024
WHEEL_FILES_MAX = 2_000
WHEELS_IN_FOLDER_MAX = 1_000
NOTICE_BYTES_MAX = 128 * 1024

_LIMITS = ArchiveLimits(
    archive_bytes_max=WHEEL_BYTES_MAX,
    entries_max=WHEEL_FILES_MAX,
    entry_bytes_max=WHEEL_BYTES_MAX,
    total_bytes_max=4 * WHEEL_BYTES_MAX,
)
_PURE = Tag("py3", "none", "any")
_NATIVE = re.compile(r".*\.(so(\.[0-9.]+)?|pyd|dll|dylib|a|o|lib|wasm|pyc|pyo)", re.IGNORECASE)
_NOTICE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """A wheel of the folder, as its name describes it."""

    path: Path
    name: str
    version: str
    tags: frozenset[Tag]

    @property
    def is_pure(self) -> bool:
        return _PURE in self.tags and all(
            t.abi == "none" and t.platform == "any" for t in self.tags
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """The parts of one wheel that go into a CPK.

    Attributes:
        name, version: as the lock pins it.
        file_name: of the wheel.
        digest: `SHA-256:HEX` of the wheel.
        modules: importable `.py` files: path below the import root -> text.
        data: the other files that the project names: path below the import root -> content.
        notices: licence files: path below `*.dist-info` -> content.
    """

    name: str
    version: str
    file_name: str
    digest: str
    modules: Mapping[str, str]
    data: Mapping[str, bytes]
    notices: Mapping[str, bytes]


def wheels_in(folder: Path, problems: list[str]) -> tuple[WheelFile, ...]:
    """The wheels of a folder, sorted by name; other files are left alone."""
    found = []
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".whl")
    if len(paths) > WHEELS_IN_FOLDER_MAX:
        problems.append(f"{folder.name}: {len(paths)} wheels, at most {WHEELS_IN_FOLDER_MAX}")
        return ()
    for path in paths:
        try:
            found.append(_named(path))
        except ValueError:
            problems.append(f"{path.name}: is not named as a wheel: name-version-tags.whl")
    return tuple(found)


def _named(path: Path) -> WheelFile:
    """What a file's name says.

    Raises:
        ValueError: it is not the name of a wheel.
    """
    if not path.name.isascii():
        raise ValueError(path.name)  # letters that look alike are other projects
    name, version, _, tags = parse_wheel_filename(path.name)
    return WheelFile(path=path, name=name, version=str(version), tags=tags)


def locked_wheel(
    pin: Requirement, wheels: Sequence[WheelFile], plan: CpkPlan, problems: list[str]
) -> Wheel | None:
    """The only pure wheel that a lock's line allows; None after the reason was recorded."""
    folder = plan.vendor_wheels.name if plan.vendor_wheels else ""
    label = f"{pin.name} {pin.version}"
    named = [w for w in wheels if w.name == pin.name and same_version(w.version, pin.version)]
    if not named:
        problems.append(f"{label}: {folder} has no wheel of it")
        return None
    native = [wheel for wheel in named if not wheel.is_pure]
    pure = [(wheel, _read(wheel.path, problems)) for wheel in named if wheel.is_pure]
    if not pure:
        names = ", ".join(wheel.path.name for wheel in native)
        problems.append(f"{label} ({names}): is native code, which cannot run in a sandbox")
        return None
    allowed = [(w, d) for w, d in pure if d and hashlib.sha256(d).hexdigest() in pin.digests]
    if len(allowed) != 1:
        problems += _hash_problems(label, [(w, d) for w, d in pure if d], len(allowed))
        return None
    wheel, data = allowed[0]
    return _wheel(wheel, data or b"", pin, plan.data, problems)


def _hash_problems(
    label: str, wheels: Sequence[tuple[WheelFile, bytes | None]], allowed: int
) -> Iterator[str]:
    for wheel, data in wheels:
        if allowed:
            yield f"{label} ({wheel.path.name}): the lock allows {allowed} wheels, expected one"
        else:
            digest = hashlib.sha256(data or b"").hexdigest()
            yield f"{label} ({wheel.path.name}): SHA-256 {digest} is not in the lock"


def _read(path: Path, problems: list[str]) -> bytes | None:
    try:
        with path.open("rb") as stream:
            data = stream.read(WHEEL_BYTES_MAX + 1)
    except OSError as refused:
        problems.append(f"{path.name}: {refused.strerror}")
        return None
    if len(data) > WHEEL_BYTES_MAX:
        problems.append(f"{path.name}: larger than {WHEEL_BYTES_MAX} bytes")
        return None
    return data


def _wheel(
    wheel: WheelFile, data: bytes, pin: Requirement, wanted: Sequence[str], problems: list[str]
) -> Wheel | None:
    label = f"{pin.name} {pin.version} ({wheel.path.name})"
    try:
        archive = read_archive(data, limits=_LIMITS)
        found = list(_problems(archive, pin))
        modules = {} if found else _modules(archive, found)
        files = {} if found else _data(archive, wanted, found)
        notices = {} if found else _notices(archive)
    except CpiError as refused:
        found = [refused.message]
        modules, files, notices = {}, {}, {}
    if found:
        problems += [f"{label}: {problem}" for problem in found]
        return None
    return Wheel(
        name=pin.name,
        version=pin.version,
        file_name=wheel.path.name,
        digest="SHA-256:" + hashlib.sha256(data).hexdigest().upper(),
        modules=modules,
        data=files,
        notices=notices,
    )


def _problems(archive: Archive, pin: Requirement) -> Iterator[str]:
    """Native code, modules where no import finds them, and metadata of another package."""
    for entry in archive.entries:
        if _NATIVE.fullmatch(entry.name):
            yield f"{entry.name} is native or compiled code, which cannot run in a sandbox"
        parts = PurePosixPath(entry.name).parts
        if parts[0].endswith(".data") and parts[1:2] in (("purelib",), ("platlib",)):
            yield f"{entry.name}: an installer would move it; such wheels are not supported"
        if parts[1:] == () and _changes_the_path(entry.name):
            yield f"{entry.name}: would change an installation's import path; a sandbox has none"
    yield from metadata_problems(archive, pin.name, pin.version)


def _changes_the_path(name: str) -> bool:
    """Whether a file at the root is one of `site`; those of namespace packages are not needed."""
    return name.endswith(".pth") and not name.endswith("-nspkg.pth")


def _modules(archive: Archive, problems: list[str]) -> dict[str, str]:
    result = {}
    for entry in archive.entries:
        if not _is_module(entry.name):
            continue
        if entry.size > FILE_BYTES_MAX:
            problems.append(f"{entry.name}: {entry.size} bytes, at most {FILE_BYTES_MAX}")
            continue
        text = decoded(entry.name, archive.read(entry.name), problems)
        if text is not None:
            result[entry.name] = text
    if not result and not problems:
        problems.append("holds no Python module")
    return {path: text for path, text in result.items() if not _is_shadowed(path, result)}


def _is_shadowed(path: str, modules: Mapping[str, str]) -> bool:
    """Whether a package of the same name is beside a module: Python imports the package."""
    return f"{path.removesuffix('.py')}/__init__.py" in modules


def _data(archive: Archive, wanted: Sequence[str], problems: list[str]) -> dict[str, bytes]:
    result = {}
    for entry in archive.entries:
        if not entry.is_directory and is_named(entry.name, wanted):
            problem = data_problem(entry.name, entry.size)
            if problem is None:
                result[entry.name] = archive.read(entry.name)
            else:
                problems.append(problem)
    return result


def _is_module(name: str) -> bool:
    """Whether an import can find the file."""
    path = PurePosixPath(name)
    parts = path.with_suffix("").parts
    return path.suffix == ".py" and all(part.isidentifier() and part.isascii() for part in parts)


def _notices(archive: Archive) -> dict[str, bytes]:
    """Licence texts, which most licences require to be distributed with the code."""
    return {
        rest: archive.read(entry.name)
        for entry in archive.entries
        if (rest := dist_info_path(entry.name))
        and not entry.is_directory
        and entry.size <= NOTICE_BYTES_MAX
        and (rest.startswith("licenses/") or _NOTICE.match(rest))
    }
