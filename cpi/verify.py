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
from datetime import UTC, datetime

from cryptography import x509

from cpi.attributes import detect_type, read_cpk_attributes, read_name_and_version
from cpi.contents import EntryContents
from cpi.dependencies import DEPENDENCIES_PATH, parse_dependencies, unsatisfied
from cpi.descriptor import DESCRIPTOR_PATH, CodeDescriptor, parse_descriptor
from cpi.digests import hash_text
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
from cpi.signatures import SignedJar
from cpi.signer_hash import cpi_signer_summary_hash, cpk_signer_summary_hash
from cpi.signer_values import signers_of
from cpi.sources import Source, sha256_of, source_of
from cpi.verified_jar import Run, open_jar

_LIBRARIES = "META-INF/privatelib/"
_JSON_READ = DEFAULT_LIMITS.json_bytes_max + 1
"""One byte more than any JSON parser here accepts."""


def verify_package(
    data: bytes | Source,
    *,
    package_type: PackageType | None,
    trusted: Sequence[x509.Certificate],
    at: datetime | None = None,
    signature_only: bool = False,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> VerifiedPackage:
    """Verify a package against trusted certificates.

    Args:
        data: the whole file, or a source of its bytes (`cpi.files.open_package`), which must stay
            open as long as the result's entries are read.
        package_type: what it must be; None reads it from the manifest.
        trusted: the trust anchors; every signer must lead to one of them.
        at: the moment at which certificates must be valid (timezone-aware); None is now.
        signature_only: stop after step 4; the result has no `id` and no `cpks`.
        limits: sizes and counts that are refused.

    Raises:
        PackageRefusedError: with everything that was found.
    """
    run = _run(trusted, at, limits)
    return _verify(source_of(data), package_type, run, signature_only=signature_only)


def read_package(
    data: bytes | Source,
    *,
    package_type: PackageType | None = None,
    at: datetime | None = None,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> VerifiedPackage:
    """Verify everything but trust: for inspection, and before signing on top.

    Raises:
        PackageRefusedError: with everything that was found.
    """
    run = _run(None, at, limits)
    return _verify(source_of(data), package_type, run, signature_only=False)


def _run(
    anchors: Sequence[x509.Certificate] | None, at: datetime | None, limits: ArchiveLimits
) -> Run:
    return Run(anchors=anchors, at=at or datetime.now(UTC), limits=limits, budget=Budget(limits))


def _verify(
    source: Source, package_type: PackageType | None, run: Run, *, signature_only: bool
) -> VerifiedPackage:
    try:
        jar = open_jar(source, run)
        kind = package_type or detect_type(jar.manifest.main)
        checksum = sha256_of(source)
        if signature_only:
            result = _result(jar, kind, run, checksum)
        else:
            result = _BY_TYPE[kind](jar, run, checksum)
        source.check_unchanged()
    except PackageRefusedError:
        raise
    except CpiError as error:
        raise PackageRefusedError([*run.issues, *error.issues]) from error
    if run.issues:
        raise PackageRefusedError(run.issues)
    return result


def _verify_cpk(jar: SignedJar, run: Run, checksum: str, file_name: str) -> VerifiedCpk | None:
    """Steps 5 and 8 for one CPK, and the parsing of its dependencies."""
    attributes, issues = read_cpk_attributes(jar.manifest.main)
    run.issues += issues
    entries = EntryContents(jar.archive, jar.content)
    dependencies = _dependencies(entries, run)
    if CHANNELS_PATH in entries:
        run.issues += channel_issues(entries.start(CHANNELS_PATH, _JSON_READ))
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


def _dependencies(entries: EntryContents, run: Run) -> tuple[CpkDependency, ...]:
    if DEPENDENCIES_PATH not in entries:
        run.refuse(
            Code.DEPENDENCIES_INVALID,
            f"{DEPENDENCIES_PATH} not found in CPK main bundle",
            DEPENDENCIES_PATH,
        )
        return ()
    try:
        return parse_dependencies(entries.start(DEPENDENCIES_PATH, _JSON_READ))
    except CpiError as error:
        run.issues += error.issues
        return ()


def _descriptor(entries: EntryContents, kind: str, run: Run) -> CodeDescriptor | None:
    if DESCRIPTOR_PATH not in entries:
        return None
    try:
        descriptor = parse_descriptor(entries.start(DESCRIPTOR_PATH, _JSON_READ))
    except CpiError as error:
        run.issues += error.issues
        return None
    from cpi.code_rules import code_issues  # noqa: PLC0415 - most of the cost of a signature check

    run.issues += code_issues(descriptor, entries, kind)
    return descriptor


def _single_cpk(jar: SignedJar, run: Run, checksum: str) -> VerifiedPackage:
    cpk = _verify_cpk(jar, run, checksum, "")
    return _result(
        jar,
        PackageType.CPK,
        run,
        checksum,
        identity=cpk.id if cpk else None,
        cpks=(cpk,) if cpk else (),
    )


def _single_cpb(jar: SignedJar, run: Run, checksum: str) -> VerifiedPackage:
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


def _verify_cpb(jar: SignedJar, run: Run) -> tuple[VerifiedCpk, ...]:
    """Steps 5 and 6 for one CPB."""
    run.issues += read_name_and_version(jar.manifest.main, PackageType.CPB)[1]
    cpks = []
    for name in _members(jar, ".jar", run):
        inner = run.nested()
        try:
            cpk_jar = open_jar(jar.archive.open(name), inner)
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


def _verify_cpi(jar: SignedJar, run: Run, checksum: str) -> VerifiedPackage:
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
            cpks = _verify_cpb(open_jar(jar.archive.open(name), inner), inner)
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


def _group_policy(jar: SignedJar, run: Run) -> str | None:
    ending = [name for name in jar.content if name.lower().endswith("grouppolicy.json")]
    if ending != [GROUP_POLICY_PATH]:
        run.refuse(
            Code.PACKAGE_LAYOUT,
            f"Group policy not found in CPI: expected {GROUP_POLICY_PATH} alone, "
            f"found {', '.join(ending) or 'none'}",
            GROUP_POLICY_PATH,
        )
        return None
    raw = jar.archive.start(GROUP_POLICY_PATH, _JSON_READ)
    try:
        parse_group_policy(raw)
        return raw.decode()
    except CpiError as error:
        run.issues += [
            Issue(code=i.code, message=f"Group policy: {i.message}", entry=GROUP_POLICY_PATH)
            for i in error.issues
        ]
        return None


def _members(jar: SignedJar, suffix: str, run: Run) -> list[str]:
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
    run: Run,
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
