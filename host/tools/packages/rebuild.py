"""Checks whether a package comes from given sources: a rebuild, compared entry by entry.

The rebuild needs no signing key: signature files are left out of the comparison, manifests are
compared by their attributes and descriptors by their JSON. Where the package names a pinned
runtime that is still installed, the rebuild makes the images with that one.

Properties that do not depend on the source project are not compared: the signers, a CPI's own name,
version and group policy. The package's signatures are verified; trust in the signers is left to
`package verify`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zstandard

from cpi.archive.reading import Archive, read_archive
from cpi.archive.zstd_frame import ZstdRefusedError, unpack_frame
from cpi.jar.manifest import Manifest
from cpi.jar.signatures import Role, read_manifest, role_of
from cpi.limits import DEFAULT_LIMITS
from cpi.package.descriptor import DESCRIPTOR_PATH
from cpi.package.files import read_limited
from cpi.package.group_policy import GROUP_POLICY_PATH
from cpi.package.model import PackageType, VerifiedPackage
from cpi.package.verify import read_package
from host.domain.packages import CodeWorld
from host.guests.code import COMPONENT_BYTES_MAX
from host.tools.cordapps.build import PreparedCordapp, prepare_cordapp, sign_cordapp
from host.tools.cordapps.code import COMPONENT_ENTRY
from host.tools.cordapps.project import load_project
from host.tools.cordapps.throwaway_key import throwaway_key
from host.tools.cordapps.toolchains import ComponentBuilder, no_toolchains
from sandbox.runtime import Sandbox

MANIFEST_PATH = "META-INF/MANIFEST.MF"

Kind = Literal["missing", "extra", "different"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One entry in which a package differs from the rebuild.

    Attributes:
        entry: such as `app-1.0.0.cpb!/app-workflow-1.0.0.jar!/wasm/python/app.py`.
        kind: the package lacks it, has it without a source, or has something else.
        built: the rebuild's digest or value; None if it has none.
        found: the package's digest or value.
    """

    entry: str
    kind: Kind
    built: str | None
    found: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildVerdict:
    """The outcome; verified if there are no differences.

    Attributes:
        type: of the package.
        checksum: `SHA-256:HEX` of the package.
        runtimes: world -> digest of the runtime that the code is an image of.
        differences: in the order of the package's entries.
    """

    type: PackageType | None
    checksum: str
    runtimes: Mapping[str, str]
    differences: tuple[Difference, ...]

    @property
    def verified(self) -> bool:
        return not self.differences


def check_rebuild(
    project_dir: Path,
    file: Path,
    sandbox: Sandbox,
    progress: Callable[[str], None],
    *,
    build_component: ComponentBuilder = no_toolchains,
) -> RebuildVerdict:
    """Rebuild a project in memory and compare a package with the outcome.

    Args:
        project_dir: holds `cordapp.toml`.
        file: a CPK, CPB or CPI.
        sandbox: makes the images.
        progress: is told each step in a sentence.
        build_component: makes the components of CPKs in other languages than Python.

    Raises:
        CpiError: `file` is not a package with valid signatures, or the sources give no package.
        InvalidInputError: the project cannot be built; by kind as `build_cordapp` says.
        OSError: `file` cannot be read.
    """
    data = read_limited(file)
    package = read_package(data)
    prepared = prepare_cordapp(
        load_project(project_dir),
        sandbox,
        progress,
        runtimes=_runtimes_of(package),
        build_component=build_component,
    )
    progress("Comparing entries")
    built = sign_cordapp(prepared, (throwaway_key(),))
    return RebuildVerdict(
        type=package.type,
        checksum=package.file_checksum,
        runtimes={
            cpk.plan.world.value: cpk.code.descriptor.runtime
            for cpk in prepared.cpks
            if cpk.code.descriptor.runtime is not None
        },
        differences=tuple(_differences(data, package, prepared, built)),
    )


def _runtimes_of(package: VerifiedPackage) -> dict[CodeWorld, str]:
    return {
        CodeWorld(cpk.descriptor.world): cpk.descriptor.runtime
        for cpk in package.cpks
        if cpk.descriptor is not None and cpk.descriptor.runtime is not None
    }


def _differences(
    data: bytes, package: VerifiedPackage, prepared: PreparedCordapp, built: Mapping[str, bytes]
) -> Iterator[Difference]:
    cpb = built[prepared.cpb_name]
    if package.type is PackageType.CPB:
        yield from _compare(cpb, data, "")
    elif package.type is PackageType.CPI:
        yield from _compare_cpi(cpb, data, prepared)
    else:
        (found,) = package.cpks
        own = {cpk.plan.symbolic_name: built[cpk.file_name] for cpk in prepared.cpks}
        own |= {other.cpk.symbolic_name: other.data for other in prepared.foreign}
        if found.symbolic_name in own:
            yield from _compare(own[found.symbolic_name], data, "")
        else:
            name = "Bundle-SymbolicName"
            yield Difference(
                entry=f"{MANIFEST_PATH}#{name}",
                kind="different",
                built=" or ".join(own),
                found=found.symbolic_name,
            )


def _compare_cpi(cpb: bytes, data: bytes, prepared: PreparedCordapp) -> Iterator[Difference]:
    """The CPB inside a CPI, whatever its file name; a project has no source for the rest."""
    archive = read_archive(data)
    names = _content(archive)
    inside = [name for name in names if name.endswith(".cpb")]
    if not inside:
        yield Difference(entry=prepared.cpb_name, kind="missing", built=_digest(cpb), found=None)
    for name in inside:
        yield from _compare(cpb, archive.read(name), f"{name}!/")
    for name in names:
        if name != GROUP_POLICY_PATH and name not in inside:
            yield Difference(
                entry=name, kind="extra", built=None, found=_digest(archive.read(name))
            )


def _compare(built: bytes, found: bytes, prefix: str) -> Iterator[Difference]:
    """Two archives of one kind, and the archives inside them."""
    one, other = read_archive(built), read_archive(found)
    yield from _compare_manifests(
        read_manifest(one, DEFAULT_LIMITS),
        read_manifest(other, DEFAULT_LIMITS),
        f"{prefix}{MANIFEST_PATH}",
    )
    if other.trailing_bytes:
        count = f"{other.trailing_bytes} bytes"
        yield Difference(entry=f"{prefix}(behind the end)", kind="extra", built=None, found=count)
    for name in dict.fromkeys((*_content(other), *_content(one))):
        left = one.read(name) if name in one else None
        right = other.read(name) if name in other else None
        if left == right:
            continue
        if left is None or right is None:
            yield _difference(f"{prefix}{name}", left, right)
        elif name.endswith(".jar"):
            yield from _compare(left, right, f"{prefix}{name}!/")
        elif name == COMPONENT_ENTRY and _hold_the_same(left, right):
            continue  # another version of zstd compresses the same component to other bytes
        elif name == DESCRIPTOR_PATH:
            yield from _compare_values(_json(left), _json(right), f"{prefix}{name}#$")
        else:
            yield _difference(f"{prefix}{name}", left, right)


def _compare_manifests(built: Manifest, found: Manifest, path: str) -> Iterator[Difference]:
    """Main attributes, and attributes of entries other than digests, which follow the entries."""
    yield from _compare_values(dict(built.main.attributes), dict(found.main.attributes), f"{path}#")
    one = {name: _undigested(section.attributes) for name, section in built.entries.items()}
    other = {name: _undigested(section.attributes) for name, section in found.entries.items()}
    for name in sorted(one.keys() | other.keys()):
        yield from _compare_values(one.get(name, {}), other.get(name, {}), f"{path}#{name}")


def _undigested(attributes: Mapping[str, str]) -> dict[str, object]:
    kept = {name.lower(): (name, value) for name, value in attributes.items()}
    return {
        name: value
        for lowered, (name, value) in kept.items()
        if lowered != "name" and "-digest" not in lowered
    }


def _compare_values(built: object, found: object, path: str) -> Iterator[Difference]:
    """Two JSON values, by path; lists are compared as wholes."""
    if isinstance(built, dict) and isinstance(found, dict):
        for key in sorted(built.keys() | found.keys()):
            place = f"{path}{'' if path.endswith('#') else '.'}{key}"
            if key not in found:
                yield Difference(entry=place, kind="missing", built=_text(built[key]), found=None)
            elif key not in built:
                yield Difference(entry=place, kind="extra", built=None, found=_text(found[key]))
            else:
                yield from _compare_values(built[key], found[key], place)
    elif built != found:
        yield Difference(entry=path, kind="different", built=_text(built), found=_text(found))


def _difference(entry: str, built: bytes | None, found: bytes | None) -> Difference:
    kind: Kind = "extra" if built is None else "missing" if found is None else "different"
    return Difference(
        entry=entry,
        kind=kind,
        built=None if built is None else _digest(built),
        found=None if found is None else _digest(found),
    )


def _content(archive: Archive) -> list[str]:
    return [entry.name for entry in archive.entries if role_of(entry.name) is Role.CONTENT]


def _hold_the_same(left: bytes, right: bytes) -> bool:
    try:
        return _unpacked(left) == _unpacked(right)
    except (zstandard.ZstdError, ZstdRefusedError):
        return False


def _unpacked(data: bytes) -> bytes:
    size = min(zstandard.frame_content_size(data), COMPONENT_BYTES_MAX)
    return b"".join(unpack_frame([data], size=size))


def _json(data: bytes) -> object:
    value: object = json.loads(data)
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _digest(data: bytes) -> str:
    return "SHA-256:" + hashlib.sha256(data).hexdigest().upper()
