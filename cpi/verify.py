"""Verification of CPK, CPB and CPI, step by step. Nothing unverified leaves this module.

Each archive (a CPI, then the CPB inside it, then every CPK inside that) passes:

1. archive: strict structure, limits (`cpi.archive`);
2. manifest: at its place, well formed (`cpi.manifest`);
3. signatures: every file covered by every signer (`cpi.signatures`);
4. trust: every signer's path, and every timestamp's, leads to a trusted certificate (`cpi.trust`);
5. package rules: attributes and layout of its type (`cpi.attributes`);
6. dependencies: the CPKs of a CPB satisfy each other (`cpi.dependencies`);
7. group policy: schema and parser rules (`cpi.group_policy`);
8. wasm descriptor: schema, and the code it speaks of (`cpi.descriptor`).

Steps 1 to 4 end an archive's verification when they fail; 5 to 8 report everything they find.
Where Corda's verifier and its loader disagree, the stricter side counts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509

from cpi.archive import read_archive
from cpi.attributes import detect_type, read_cpk_attributes, read_name_and_version
from cpi.dependencies import DEPENDENCIES_PATH, parse_dependencies, unsatisfied
from cpi.descriptor import DESCRIPTOR_PATH, CodeDescriptor, code_issues, parse_descriptor
from cpi.digests import hash_text, sha256_text
from cpi.errors import Code, CpiError, Issue, PackageRefusedError
from cpi.external_channels import CHANNELS_PATH, channel_issues
from cpi.group_policy import GROUP_POLICY_PATH, parse_group_policy
from cpi.limits import DEFAULT_LIMITS, ArchiveLimits, Budget
from cpi.model import (
    CpkDependency,
    PackageId,
    PackageType,
    VerifiedCpk,
    VerifiedPackage,
)
from cpi.public_keys import describe_key, is_weak
from cpi.signatures import JarSigner, SignedJar, read_manifest, verify_jar
from cpi.signer_hash import cpi_signer_summary_hash, cpk_signer_summary_hash, subject_text
from cpi.signer_values import signers_of
from cpi.trust import check_may_sign, validate_path

_LIBRARIES = "META-INF/privatelib/"
_EXPIRY_WARNING = timedelta(days=30)


@dataclass(kw_only=True)
class _Run:
    """One verification: what it is judged by, and what was found so far."""

    anchors: Sequence[x509.Certificate] | None
    at: datetime
    limits: ArchiveLimits
    budget: Budget
    issues: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)

    def nested(self) -> "_Run":
        return _Run(anchors=self.anchors, at=self.at, limits=self.limits, budget=self.budget)

    def take(self, inner: "_Run", container: str) -> None:
        self.issues += [issue.below(container) for issue in inner.issues]
        self.warnings += [warning.below(container) for warning in inner.warnings]

    def refuse(self, code: Code, message: str, entry: str | None = None) -> None:
        self.issues.append(Issue(code=code, message=message, entry=entry))


def verify_package(
    data: bytes,
    *,
    package_type: PackageType | None,
    trusted: Sequence[x509.Certificate],
    at: datetime | None = None,
    signature_only: bool = False,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> VerifiedPackage:
    """Verify a package against trusted certificates.

    Args:
        data: the whole file.
        package_type: what it must be; None reads it from the manifest.
        trusted: the trust anchors; every signer must lead to one of them.
        at: the moment at which certificates must be valid (timezone-aware); None is now.
        signature_only: stop after step 4; the result has no `id` and no `cpks`.
        limits: sizes and counts that are refused.

    Raises:
        PackageRefusedError: with everything that was found.
    """
    return _verify(data, package_type, _run(trusted, at, limits), signature_only=signature_only)


def read_package(
    data: bytes,
    *,
    package_type: PackageType | None = None,
    at: datetime | None = None,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> VerifiedPackage:
    """Verify everything but trust: for inspection, and before signing on top.

    Raises:
        PackageRefusedError: with everything that was found.
    """
    return _verify(data, package_type, _run(None, at, limits), signature_only=False)


def _run(
    anchors: Sequence[x509.Certificate] | None, at: datetime | None, limits: ArchiveLimits
) -> _Run:
    return _Run(anchors=anchors, at=at or datetime.now(UTC), limits=limits, budget=Budget(limits))


def _verify(
    data: bytes, package_type: PackageType | None, run: _Run, *, signature_only: bool
) -> VerifiedPackage:
    try:
        jar = _open(data, run)
        kind = package_type or detect_type(jar.manifest.main)
        checksum = sha256_text(data)
        if signature_only:
            return _result(jar, kind, run, checksum)
        result = _BY_TYPE[kind](jar, run, checksum)
    except PackageRefusedError:
        raise
    except CpiError as error:
        raise PackageRefusedError([*run.issues, *error.issues]) from error
    if run.issues:
        raise PackageRefusedError(run.issues)
    return result


def _open(data: bytes, run: _Run) -> SignedJar:
    """Steps 1 to 4 for one archive."""
    archive = read_archive(data, limits=run.limits, budget=run.budget)
    jar = verify_jar(archive, read_manifest(archive, run.limits), run.limits)
    for signer in jar.signers:
        _check_trust(signer, run)
    run.warnings += jar.warnings
    if archive.trailing_bytes:
        run.warnings.append(
            Issue(
                code=Code.ARCHIVE_TRAILING,
                message=f"{archive.trailing_bytes} bytes behind the end record are ignored",
            )
        )
    return jar


def _check_trust(signer: JarSigner, run: _Run) -> None:
    leaf, timestamp = signer.block.chain[0], signer.timestamp
    check_may_sign(leaf)
    if run.anchors is not None:
        if timestamp is not None:
            validate_path(timestamp.chain, run.anchors, at=timestamp.time, whose="TSA")
        validate_path(signer.block.chain, run.anchors, at=timestamp.time if timestamp else run.at)
    if timestamp is None and run.at < leaf.not_valid_after_utc < run.at + _EXPIRY_WARNING:
        run.warnings.append(
            Issue(
                code=Code.CERTIFICATE_EXPIRES_SOON,
                message=f"certificate of {subject_text(leaf)} expires at "
                f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ} and the signature has no "
                "timestamp: the package will be refused from then on",
            )
        )
    if is_weak(leaf.public_key()):
        run.warnings.append(
            Issue(
                code=Code.KEY_WEAK,
                message=f"{subject_text(leaf)} signs with {describe_key(leaf.public_key())}",
            )
        )


def _verify_cpk(jar: SignedJar, run: _Run, checksum: str, file_name: str) -> VerifiedCpk | None:
    """Steps 5 and 8 for one CPK, and the parsing of its dependencies."""
    attributes, issues = read_cpk_attributes(jar.manifest.main)
    run.issues += issues
    entries = {name: jar.archive.read(name) for name in jar.content}
    dependencies = _dependencies(entries, run)
    if CHANNELS_PATH in entries:
        run.issues += channel_issues(entries[CHANNELS_PATH])
    if attributes is None:
        return None
    signers = signers_of(jar)
    return VerifiedCpk(
        id=PackageId(
            name=attributes.name,
            version=attributes.version,
            signer_summary_hash=cpk_signer_summary_hash(s.chain for s in signers),
        ),
        symbolic_name=attributes.symbolic_name,
        file_name=file_name,
        file_checksum=checksum,
        world_type=attributes.kind,
        attributes=jar.manifest.main.attributes,
        entries=entries,
        libraries=tuple(name for name in jar.content if name.startswith(_LIBRARIES)),
        dependencies=dependencies,
        descriptor=_descriptor(entries, attributes.kind, run),
        min_platform_version=attributes.min_platform_version,
        signers=signers,
    )


def _dependencies(entries: dict[str, bytes], run: _Run) -> tuple[CpkDependency, ...]:
    document = entries.get(DEPENDENCIES_PATH)
    if document is None:
        run.refuse(
            Code.DEPENDENCIES_INVALID,
            f"{DEPENDENCIES_PATH} not found in CPK main bundle",
            DEPENDENCIES_PATH,
        )
        return ()
    try:
        return parse_dependencies(document)
    except CpiError as error:
        run.issues += error.issues
        return ()


def _descriptor(entries: dict[str, bytes], kind: str, run: _Run) -> CodeDescriptor | None:
    if DESCRIPTOR_PATH not in entries:
        return None
    try:
        descriptor = parse_descriptor(entries[DESCRIPTOR_PATH])
    except CpiError as error:
        run.issues += error.issues
        return None
    run.issues += code_issues(descriptor, entries, kind)
    return descriptor


def _single_cpk(jar: SignedJar, run: _Run, checksum: str) -> VerifiedPackage:
    cpk = _verify_cpk(jar, run, checksum, "")
    return _result(
        jar,
        PackageType.CPK,
        run,
        checksum,
        identity=cpk.id if cpk else None,
        cpks=(cpk,) if cpk else (),
    )


def _single_cpb(jar: SignedJar, run: _Run, checksum: str) -> VerifiedPackage:
    cpks = _verify_cpb(jar, run)
    names, _ = read_name_and_version(jar.manifest.main, PackageType.CPB)
    identity = (
        PackageId(
            name=names.name,
            version=names.version,
            signer_summary_hash=cpk_signer_summary_hash(s.block.chain for s in jar.signers),
        )
        if names
        else None
    )
    return _result(jar, PackageType.CPB, run, checksum, identity=identity, cpks=cpks)


def _verify_cpb(jar: SignedJar, run: _Run) -> tuple[VerifiedCpk, ...]:
    """Steps 5 and 6 for one CPB."""
    run.issues += read_name_and_version(jar.manifest.main, PackageType.CPB)[1]
    cpks = []
    for name in _members(jar, ".jar", run):
        inner = run.nested()
        try:
            cpk_jar = _open(jar.archive.read(name), inner)
            checksum = hash_text(jar.archive.digest(name, "sha256"))
            cpk = _verify_cpk(cpk_jar, inner, checksum, name)
            cpks += [cpk] if cpk else []
        except CpiError as error:
            inner.issues += error.issues
        run.take(inner, name)
    if not cpks and not run.issues:
        run.refuse(Code.PACKAGE_EMPTY, "No CPK found in CPB")
    for name, count in Counter(cpk.id.name for cpk in cpks).items():
        if count > 1:
            run.refuse(Code.CPK_DUPLICATE, f"Multiple CPKs share the Corda-CPK-Cordapp-Name {name}")
    if not run.issues:
        run.issues += unsatisfied(cpks, jar.archive.digest)
    return tuple(cpks)


def _verify_cpi(jar: SignedJar, run: _Run, checksum: str) -> VerifiedPackage:
    """Steps 5 and 7 for one CPI, and the CPB inside it."""
    names, issues = read_name_and_version(jar.manifest.main, PackageType.CPI)
    run.issues += issues
    policy = _group_policy(jar, run)
    bundles = _members(jar, ".cpb", run)
    if len(bundles) > 1:
        run.refuse(Code.PACKAGE_LAYOUT, f"Multiple CPBs found in CPI: {', '.join(bundles)}")
    cpks: tuple[VerifiedCpk, ...] = ()
    for name in bundles[:1]:
        inner = run.nested()
        try:
            cpks = _verify_cpb(_open(jar.archive.read(name), inner), inner)
        except CpiError as error:
            inner.issues += error.issues
        run.take(inner, name)
    chains = [signer.block.chain for signer in jar.signers]
    if any(len(chain) > 1 for chain in chains):
        run.warnings.append(
            Issue(
                code=Code.CERTIFICATE_CHAIN_LENGTH,
                message="the signature holds a certificate chain: the CPI's identity changes when "
                "an issuer or the length of the chain changes",
            )
        )
    identity = (
        PackageId(
            name=names.name,
            version=names.version,
            signer_summary_hash=cpi_signer_summary_hash(chains),
        )
        if names
        else None
    )
    return _result(
        jar, PackageType.CPI, run, checksum, identity=identity, cpks=cpks, group_policy=policy
    )


def _group_policy(jar: SignedJar, run: _Run) -> str | None:
    ending = [name for name in jar.content if name.lower().endswith("grouppolicy.json")]
    if ending != [GROUP_POLICY_PATH]:
        run.refuse(
            Code.PACKAGE_LAYOUT,
            f"Group policy not found in CPI: expected {GROUP_POLICY_PATH} alone, "
            f"found {', '.join(ending) or 'none'}",
            GROUP_POLICY_PATH,
        )
        return None
    raw = jar.archive.read(GROUP_POLICY_PATH)
    try:
        parse_group_policy(raw)
        return raw.decode()
    except CpiError as error:
        run.issues += [
            Issue(code=i.code, message=f"Group policy: {i.message}", entry=GROUP_POLICY_PATH)
            for i in error.issues
        ]
        return None


def _members(jar: SignedJar, suffix: str, run: _Run) -> list[str]:
    """The packages of the next layer: at the root, with the suffix in lower case."""
    found = [name for name in jar.content if name.lower().endswith(suffix)]
    for name in found:
        if "/" in name or not name.endswith(suffix):
            run.refuse(
                Code.PACKAGE_LAYOUT,
                f"{name} must lie at the root and end in {suffix}: Corda's verifier and loader "
                "disagree on whether it belongs to the package",
                name,
            )
    return [name for name in found if "/" not in name and name.endswith(suffix)]


def _result(
    jar: SignedJar,
    kind: PackageType,
    run: _Run,
    checksum: str,
    *,
    identity: PackageId | None = None,
    cpks: tuple[VerifiedCpk, ...] = (),
    group_policy: str | None = None,
) -> VerifiedPackage:
    chains = [signer.block.chain for signer in jar.signers]
    return VerifiedPackage(
        type=kind,
        id=identity,
        file_checksum=checksum,
        signers=signers_of(jar),
        cpk_signer_summary_hash=cpk_signer_summary_hash(chains),
        cpi_signer_summary_hash=cpi_signer_summary_hash(chains),
        cpks=cpks,
        group_policy=group_policy,
        warnings=tuple(run.warnings),
    )


_BY_TYPE = {
    PackageType.CPK: _single_cpk,
    PackageType.CPB: _single_cpb,
    PackageType.CPI: _verify_cpi,
}
