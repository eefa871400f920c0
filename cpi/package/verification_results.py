"""Results of verifications, from signed archives."""

from cpi.crypto.signer_hash import cpi_signer_summary_hash, cpk_signer_summary_hash
from cpi.jar.signatures import SignedJar
from cpi.jar.verified_jar import Run
from cpi.package.model import PackageId, PackageType, VerifiedCpk, VerifiedPackage
from cpi.package.signer_values import signers_of


def result_of(
    jar: SignedJar,
    kind: PackageType | None,
    run: Run,
    checksum: str,
    *,
    identity: PackageId | None = None,
    cpks: tuple[VerifiedCpk, ...] = (),
    group_policy: str | None = None,
) -> VerifiedPackage:
    """The result for the outermost archive `jar`."""
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
