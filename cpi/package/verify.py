"""Verification of CPK, CPB and CPI, step by step. Nothing unverified leaves this module.

Each archive (a CPI, then the CPB inside it, then every CPK inside that) passes:

1. archive: strict structure, limits (`cpi.archive.reading`);
2. manifest: at its place, well formed (`cpi.jar.manifest`);
3. signatures: every file covered by every signer (`cpi.jar.signatures`);
4. trust: every signer's path, and every timestamp's, leads to a trusted certificate
(`cpi.crypto.trust`);
5. package rules: attributes and layout of its type (`cpi.package.attributes`);
6. dependencies: the CPKs of a CPB satisfy each other (`cpi.package.dependencies`);
7. group policy: schema and parser rules (`cpi.package.group_policy`);
8. wasm descriptor: schema, and the code it speaks of (`cpi.package.descriptor`).

Steps 1 to 4 end an archive's verification when they fail; 5 to 8 report everything they find.
Where Corda's verifier and its loader disagree, the stricter side counts.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from cpi.archive.sources import Source, sha256_of, source_of
from cpi.crypto.certificate import AnyCertificate, as_certificates
from cpi.errors import CpiError, PackageRefusedError
from cpi.jar.signatures import SignedJar
from cpi.jar.verified_jar import Run, open_jar
from cpi.limits import DEFAULT_LIMITS, ArchiveLimits, Budget
from cpi.package.attributes import detect_type, type_or_none
from cpi.package.model import PackageType, VerifiedPackage
from cpi.package.verification_results import result_of


def verify_package(
    data: bytes | Source,
    *,
    package_type: PackageType | None,
    trusted: Sequence[AnyCertificate],
    at: datetime | None = None,
    signature_only: bool = False,
    limits: ArchiveLimits = DEFAULT_LIMITS,
) -> VerifiedPackage:
    """Verify a package against trusted certificates.

    Args:
        data: the whole file, or a source of its bytes (`cpi.package.files.open_package`), which
        must stay open as long as the result's entries are read.
        package_type: the expected type; None reads it from the manifest.
        trusted: the trust anchors; every signer must lead to one of them.
        at: the moment at which certificates must be valid (timezone-aware); None is now.
        signature_only: stop after step 4, for any signed JAR; the result has no `id` and no `cpks`,
            and no `type` for a JAR that is not a package.
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
    anchors: Sequence[AnyCertificate] | None, at: datetime | None, limits: ArchiveLimits
) -> Run:
    trusted = None if anchors is None else as_certificates(anchors)
    return Run(anchors=trusted, at=at or datetime.now(UTC), limits=limits, budget=Budget(limits))


def _verify(
    source: Source, package_type: PackageType | None, run: Run, *, signature_only: bool
) -> VerifiedPackage:
    try:
        jar = open_jar(source, run)
        checksum = sha256_of(source)
        if signature_only:
            found = type_or_none(jar.manifest.main, package_type)
            result = result_of(jar, found, run, checksum)
        else:
            kind = package_type or detect_type(jar.manifest.main)
            result = _by_rules(jar, kind, run, checksum)
        source.check_unchanged()
    except CpiError as error:
        raise PackageRefusedError([*run.issues, *error.issues]) from error
    if run.issues:
        raise PackageRefusedError(run.issues)
    return result


def _by_rules(jar: SignedJar, kind: PackageType, run: Run, checksum: str) -> VerifiedPackage:
    """Steps 5 to 8, imported lazily: loading their schemas is slower than checking a signature."""
    from cpi.package.layers import verify_layer  # noqa: PLC0415 - see above

    return verify_layer(jar, kind, run, checksum)
