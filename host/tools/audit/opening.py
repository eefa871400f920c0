"""Opening a package for an audit: verified as far as it can be, and read even if it cannot.

Auditors also need to inspect packages that no host would accept. Their archives still have to be
well formed, since two readers could interpret a malformed one differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cpi.archive.reading import Archive, read_archive
from cpi.crypto.certificate import AnyCertificate
from cpi.digests import sha256_text
from cpi.errors import CpiError, Issue, PackageRefusedError
from cpi.jar.manifest import Manifest
from cpi.jar.signatures import read_manifest
from cpi.limits import DEFAULT_LIMITS, Budget
from cpi.package.attributes import detect_type, read_cpk_attributes, read_name_and_version
from cpi.package.contents import EntryContents
from cpi.package.dependencies import DEPENDENCIES_PATH, parse_dependencies
from cpi.package.descriptor import DESCRIPTOR_PATH, CodeDescriptor, parse_descriptor
from cpi.package.group_policy import GROUP_POLICY_PATH
from cpi.package.model import CpkDependency, PackageId, PackageType, VerifiedCpk, VerifiedPackage
from cpi.package.verify import read_package, verify_package
from host.tools.audit.model import Note, Trust

_SIGNATURE_SUFFIXES = (".SF", ".RSA", ".DSA", ".EC")
_LIBRARIES = "META-INF/privatelib/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A package and its verification. Its content can be trusted only as far as `trust` says."""

    package: VerifiedPackage
    trust: Trust
    notes: tuple[Note, ...]


def open_package(data: bytes, trusted: Sequence[AnyCertificate]) -> Opened:
    """Open a package: with trust, without trust, or at least as an archive.

    Args:
        data: the whole file.
        trusted: trust anchors; without any, trust is not judged.

    Raises:
        CpiError: it is not a package, or its archives are not well formed.
    """
    try:
        package = read_package(data)
    except PackageRefusedError as refused:
        return Opened(
            package=_read_unverified(data),
            trust=Trust.NOT_VERIFIED,
            notes=tuple(note_of(issue) for issue in refused.issues),
        )
    if not trusted:
        return Opened(package=package, trust=Trust.NOT_JUDGED, notes=())
    try:
        return Opened(
            package=verify_package(data, package_type=None, trusted=trusted),
            trust=Trust.TRUSTED,
            notes=(),
        )
    except PackageRefusedError as refused:
        notes = tuple(note_of(issue) for issue in refused.issues)
        return Opened(package=package, trust=Trust.UNTRUSTED, notes=notes)


def note_of(issue: Issue) -> Note:
    """A finding of the verifier as a note."""
    return Note(code=issue.code.value, message=issue.message, entry=issue.entry)


def _read_unverified(data: bytes) -> VerifiedPackage:
    """The content of a package with invalid signatures or broken rules; it has no signers."""
    budget = Budget(DEFAULT_LIMITS)
    archive, manifest = _open(data, budget)
    kind = detect_type(manifest.main)
    cpks: tuple[VerifiedCpk, ...]
    if kind is PackageType.CPK:
        cpks = _cpks_of({"": data}, budget)
        identity = cpks[0].id if cpks else None
    else:
        cpb = archive if kind is PackageType.CPB else _inner_cpb(archive, budget)
        files = {} if cpb is None else {n: cpb.read(n) for n in _names(cpb) if _at_root(n, ".jar")}
        cpks = _cpks_of(files, budget)
        names, _ = read_name_and_version(manifest.main, kind)
        identity = (
            PackageId(name=names.name, version=names.version, signer_summary_hash="")
            if names
            else None
        )
    policy = archive.read(GROUP_POLICY_PATH) if GROUP_POLICY_PATH in _names(archive) else None
    return VerifiedPackage(
        type=kind,
        id=identity,
        file_checksum=sha256_text(data),
        signers=(),
        cpk_signer_summary_hash="",
        cpi_signer_summary_hash="",
        cpks=cpks,
        group_policy=policy.decode(errors="replace") if policy is not None else None,
        warnings=(),
    )


def _open(data: bytes, budget: Budget) -> tuple[Archive, Manifest]:
    archive = read_archive(data, limits=DEFAULT_LIMITS, budget=budget)
    return archive, read_manifest(archive, DEFAULT_LIMITS)


def _inner_cpb(archive: Archive, budget: Budget) -> Archive | None:
    names = [name for name in _names(archive) if _at_root(name, ".cpb")]
    return _open(archive.read(names[0]), budget)[0] if names else None


def _names(archive: Archive) -> list[str]:
    return [entry.name for entry in archive.entries if not entry.name.endswith("/")]


def _at_root(name: str, suffix: str) -> bool:
    return "/" not in name and name.endswith(suffix)


def _cpks_of(files: dict[str, bytes], budget: Budget) -> tuple[VerifiedCpk, ...]:
    """CPKs with readable attributes; the verifier's refusal already names the others."""
    found = (_cpk(name, data, budget) for name, data in files.items())
    return tuple(cpk for cpk in found if cpk is not None)


def _cpk(file_name: str, data: bytes, budget: Budget) -> VerifiedCpk | None:
    try:
        archive, manifest = _open(data, budget)
    except CpiError:
        return None
    attributes, _ = read_cpk_attributes(manifest.main)
    if attributes is None:
        return None
    names = [n for n in _names(archive) if not n.upper().endswith(_SIGNATURE_SUFFIXES)]
    entries = EntryContents(archive, names)
    return VerifiedCpk(
        id=PackageId(name=attributes.name, version=attributes.version, signer_summary_hash=""),
        symbolic_name=attributes.symbolic_name,
        file_name=file_name,
        file_checksum=sha256_text(data),
        world_type=attributes.kind,
        attributes=manifest.main.attributes,
        entries=entries,
        libraries=tuple(name for name in names if name.startswith(_LIBRARIES)),
        dependencies=_dependencies(entries),
        descriptor=_descriptor(entries),
        min_platform_version=attributes.min_platform_version,
        signers=(),
    )


def _descriptor(entries: EntryContents) -> CodeDescriptor | None:
    """Also None for one that breaks its schema: the verifier's refusal reports that."""
    try:
        return parse_descriptor(entries[DESCRIPTOR_PATH])
    except (KeyError, CpiError):
        return None


def _dependencies(entries: EntryContents) -> tuple[CpkDependency, ...]:
    try:
        return parse_dependencies(entries[DEPENDENCIES_PATH])
    except (KeyError, CpiError):
        return ()
