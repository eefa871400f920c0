"""The signers of an archive, as values of the verification result."""

from cpi.crypto.public_keys import describe_key
from cpi.crypto.signer_hash import subject_text
from cpi.jar.signatures import JarSigner, SignedJar
from cpi.package.model import Signer


def signers_of(jar: SignedJar) -> tuple[Signer, ...]:
    """Every signature of a verified archive, in archive order."""
    return tuple(_signer(signer) for signer in jar.signers)


def _signer(signer: JarSigner) -> Signer:
    leaf = signer.block.chain[0]
    return Signer(
        name=signer.name,
        subject=subject_text(leaf),
        issuer=leaf.issuer.rfc4514_string(),
        serial_number=leaf.serial_number,
        key=describe_key(leaf.public_key()),
        algorithm=signer.block.algorithm,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        timestamp=signer.timestamp.time if signer.timestamp else None,
        chain=signer.block.chain,
    )
