"""JAR signatures: which signers cover which entries. Trust in the signers is judged elsewhere.

The rules are those of Java's JarInputStream, which Corda's verifier reads packages with, and on
each point where other readers are laxer, the stricter one:

- the manifest is the first entry (only a `META-INF/` directory may precede it), the signature files
  follow it directly;
- every file is named in the manifest, and every file named there exists;
- every signer covers every file; digests are SHA-256, SHA-384 or SHA-512;
- every digest in a signature file must be correct: that of the manifest, or of its main attributes,
  and of each section that it names;
- `META-INF/SIG-*` and `META-INF/INDEX.LIST` are refused, signed or not, because readers disagree
  on whether they count as content.

Source: JAR File Specification, "Signed JAR File"; corda-runtime-os `JarVerifier.kt`.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from cpi.archive.reading import Archive, Entry
from cpi.crypto.cms import SignedMessage, verify_signed_data
from cpi.crypto.timestamps import Timestamp, read_timestamp
from cpi.digests import STRONG_DIGESTS
from cpi.errors import Code, Issue, ManifestError, SignatureError
from cpi.jar.manifest import Manifest, Section, parse_manifest
from cpi.limits import ArchiveLimits

_META_INF = "META-INF/"
_BLOCK_SUFFIXES = (".RSA", ".EC", ".DSA")
_ISSUES_MAX = 20


class Role(Enum):
    """The role of an entry in the JAR signature."""

    CONTENT = auto()
    DIRECTORY = auto()
    MANIFEST = auto()
    SIGNATURE_FILE = auto()
    BLOCK = auto()
    RESERVED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class JarSigner:
    """A valid signature: `name` is the base name of its files, such as `META-INF/ALICE`."""

    name: str
    block: SignedMessage
    timestamp: Timestamp | None
    covered: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedJar:
    """An archive with valid signatures over every file in it."""

    archive: Archive
    manifest: Manifest
    signers: tuple[JarSigner, ...]
    content: tuple[str, ...]
    """Names of all files other than signature files, in archive order."""
    warnings: tuple[Issue, ...]


def role_of(name: str) -> Role:
    """The role of an entry of that name in the JAR signature."""
    if name.endswith("/"):
        return Role.DIRECTORY
    upper = name.upper()
    if not upper.startswith(_META_INF) or "/" in upper[len(_META_INF) :]:
        return Role.CONTENT
    base = upper[len(_META_INF) :]
    if base == "MANIFEST.MF":
        return Role.MANIFEST
    if base.startswith("SIG-") or base == "INDEX.LIST":
        return Role.RESERVED
    if base.endswith(".SF"):
        return Role.SIGNATURE_FILE
    return Role.BLOCK if base.endswith(_BLOCK_SUFFIXES) else Role.CONTENT


def read_manifest(archive: Archive, limits: ArchiveLimits) -> Manifest:
    """Step "manifest": find it at its place and parse it.

    Raises:
        ManifestError: it is missing, not the first entry, too large, or malformed.
    """
    entries = archive.entries
    first = entries[0]
    if first.name.upper() == _META_INF and len(entries) > 1:
        first = entries[1]
    if role_of(first.name) is not Role.MANIFEST:
        raise ManifestError(
            Code.MANIFEST_MISSING,
            "Manifest file is missing or is not the first entry in package: "
            f"expected META-INF/MANIFEST.MF, found {first.name!r}",
        )
    allowed = limits.manifest_bytes(len(entries))
    if first.size > allowed:
        raise ManifestError(
            Code.ARCHIVE_TOO_LARGE,
            f"manifest has {first.size} bytes, more than {allowed} for {len(entries)} entries",
            entry=first.name,
        )
    return parse_manifest(archive.read(first.name), entry=first.name, sections_max=len(entries))


def verify_jar(archive: Archive, manifest: Manifest, limits: ArchiveLimits) -> SignedJar:
    """Step "signatures": check every signature and every file's digest.

    Raises:
        SignatureError: a signature is invalid, or does not cover everything.
        CpiError: a signature file cannot be read.
    """
    for entry in archive.entries:
        if role_of(entry.name) is Role.RESERVED:
            raise SignatureError(
                Code.SIGNATURE_RESERVED_NAME,
                f"entry {entry.name} has a name that readers treat differently",
                entry=entry.name,
            )
    content = tuple(e.name for e in archive.entries if role_of(e.name) is Role.CONTENT)
    pairs, stray = _signature_files(archive)
    if len(pairs) > limits.signers_max:
        raise SignatureError(
            Code.SIGNATURE_FORMAT,
            f"package has {len(pairs)} signers, at most {limits.signers_max}",
        )
    signers = tuple(
        _verify_signer(archive, manifest, signature_file, block, limits)
        for signature_file, block in pairs
    )
    if not signers:
        where = f"File {content[0]} is not signed in package" if content else ""
        raise SignatureError(Code.NOT_SIGNED, where or "No signed files found in package")
    _check_content(archive, manifest, signers, content)
    warnings = tuple(
        Issue(
            code=Code.SIGNATURE_STRAY_FILE,
            message=f"{name} has no counterpart and is ignored; it is not covered by any signature",
            entry=name,
        )
        for name in stray
    )
    return SignedJar(
        archive=archive, manifest=manifest, signers=signers, content=content, warnings=warnings
    )


def _signature_files(archive: Archive) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of signature file and block, and the names that have no counterpart."""
    files: dict[str, Entry] = {}
    blocks: dict[str, Entry] = {}
    late = set[str]()
    content_seen = False
    for entry in archive.entries:
        role = role_of(entry.name)
        content_seen = content_seen or role is Role.CONTENT
        if role not in (Role.SIGNATURE_FILE, Role.BLOCK):
            continue
        base = entry.name.upper().rpartition(".")[0]
        table = files if role is Role.SIGNATURE_FILE else blocks
        if base in table:
            raise SignatureError(
                Code.SIGNATURE_FORMAT,
                f"{table[base].name} and {entry.name} are blocks of one signature file",
                entry=entry.name,
            )
        table[base] = entry
        if content_seen:
            late.add(base)
    pairs = []
    for base, entry in files.items():
        if base not in blocks:
            continue
        if base in late:
            raise SignatureError(
                Code.SIGNATURE_MISPLACED,
                f"signature {entry.name} and its block must follow the manifest directly",
                entry=entry.name,
            )
        pairs.append((entry.name, blocks[base].name))
    stray = [
        e.name for b, e in (*files.items(), *blocks.items()) if b not in files or b not in blocks
    ]
    return pairs, stray


def _verify_signer(
    archive: Archive, manifest: Manifest, signature_file: str, block: str, limits: ArchiveLimits
) -> JarSigner:
    for name, maximum in (
        (signature_file, limits.manifest_bytes(len(archive.entries))),
        (block, limits.signature_block_bytes_max),
    ):
        if archive.by_name[name].size > maximum:
            raise SignatureError(
                Code.ARCHIVE_TOO_LARGE, f"{name} has more than {maximum} bytes", entry=name
            )
    raw = archive.read(signature_file)
    signed = verify_signed_data(archive.read(block), raw, what=block)
    statement = parse_manifest(
        raw,
        first_attribute="Signature-Version",
        entry=signature_file,
        sections_max=len(archive.entries),
    )
    _check_statement(statement, manifest, signature_file)
    return JarSigner(
        name=signature_file.rpartition(".")[0],
        block=signed,
        timestamp=read_timestamp(signed, block),
        covered=frozenset(statement.entries),
    )


def _check_statement(statement: Manifest, manifest: Manifest, signature_file: str) -> None:
    """Check everything that a signature file states about the manifest."""
    whole = _holds(statement.main, "-Digest-Manifest", manifest.raw)
    main = _holds(statement.main, "-Digest-Manifest-Main-Attributes", manifest.main.raw)
    if main is False or (not whole and not main):
        raise SignatureError(
            Code.SIGNATURE_INVALID,
            "Invalid signature file digest for Manifest main attributes",
            entry=signature_file,
        )
    for name, section in statement.entries.items():
        target = manifest.entries.get(name)
        if target is None:
            raise SignatureError(
                Code.SIGNATURE_INVALID,
                f"no manifest section for signature file entry {name}",
                entry=name,
            )
        if not _holds(section, "-Digest", target.raw):
            raise SignatureError(
                Code.SIGNATURE_INVALID,
                f"{signature_file} states another digest for the manifest section of {name}",
                entry=name,
            )


def _holds(section: Section, suffix: str, data: bytes) -> bool | None:
    """Whether every strong digest in a section is correct; None if it has none."""
    verdicts = [
        hashlib.new(algorithm, data).digest() == stated
        for algorithm, stated in _digests(section, suffix)
    ]
    return all(verdicts) if verdicts else None


def _digests(section: Section, suffix: str) -> Iterator[tuple[str, bytes | None]]:
    """The strong digests in a section; None for a value that is not base64."""
    for prefix, algorithm in STRONG_DIGESTS.items():
        value = section.get(prefix + suffix)
        if value is not None:
            try:
                yield algorithm, base64.b64decode(value, validate=True)
            except binascii.Error:
                yield algorithm, None


def _check_content(
    archive: Archive,
    manifest: Manifest,
    signers: Sequence[JarSigner],
    content: Sequence[str],
) -> None:
    if not content:
        raise SignatureError(Code.NOT_SIGNED, "No signed files found in package")
    issues = [issue for name in content for issue in _file_issues(archive, manifest, signers, name)]
    present = {*content, *(e.name for e in archive.entries if e.is_directory)}
    issues += [
        Issue(
            code=Code.ENTRY_MISSING,
            message=f"Manifest entry found for missing file {name} in package",
            entry=name,
        )
        for name in manifest.entries
        if name not in present
    ]
    if issues:
        raise SignatureIssuesError(issues[:_ISSUES_MAX])


def _file_issues(
    archive: Archive, manifest: Manifest, signers: Sequence[JarSigner], name: str
) -> Iterator[Issue]:
    section = manifest.entries.get(name)
    covering = [signer.name for signer in signers if name in signer.covered]
    if section is None or not covering:
        yield Issue(
            code=Code.NOT_SIGNED, message=f"File {name} is not signed in package", entry=name
        )
        return
    stated = dict(_digests(section, "-Digest"))
    if not stated:
        yield Issue(
            code=Code.SIGNATURE_WEAK,
            message=f"File {name} is not signed in package by SHA-256, SHA-384 or SHA-512",
            entry=name,
        )
    for algorithm, expected in stated.items():
        found = archive.digest(name, algorithm)
        if found != expected:
            wanted = expected.hex() if expected is not None else "no base64"
            yield Issue(
                code=Code.DIGEST_MISMATCH,
                message=f"{algorithm.upper().replace('SHA', 'SHA-')} digest error for {name}: "
                f"expected {wanted}, found {found.hex()}",
                entry=name,
            )
    if len(covering) != len(signers):
        missing = sorted({signer.name for signer in signers} - set(covering))
        yield Issue(
            code=Code.SIGNER_MISMATCH,
            message=f"Mismatch between signers: file {name} is signed by "
            f"{', '.join(covering)}, not by {', '.join(missing)}",
            entry=name,
        )


class SignatureIssuesError(SignatureError):
    """Several files of one archive are not covered by its signatures."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(issues[0].code, issues[0].message, entry=issues[0].entry)
        self._issues = tuple(issues)

    @property
    def issues(self) -> tuple[Issue, ...]:
        return self._issues
