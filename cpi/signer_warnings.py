"""What about a signer is accepted today and should be mended: the same at signing and verifying."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa

from cpi.errors import Code, Issue
from cpi.public_keys import describe_key, is_weak
from cpi.signer_hash import subject_text

_EXPIRY_WARNING = timedelta(days=30)
_WEAK_DIGESTS = ("md5", "sha1")


def signer_warnings(
    chain: Sequence[x509.Certificate], *, has_timestamp: bool, at: datetime
) -> Iterator[Issue]:
    """Warnings about a signature's certificates, leaf first, at a moment in time."""
    leaf = chain[0]
    if not has_timestamp and at < leaf.not_valid_after_utc < at + _EXPIRY_WARNING:
        yield Issue(
            code=Code.CERTIFICATE_EXPIRES_SOON,
            message=f"certificate of {subject_text(leaf)} expires at "
            f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ} and the signature has no "
            "timestamp: the package will be refused from then on",
        )
    key = leaf.public_key()
    if is_weak(key) or isinstance(key, dsa.DSAPublicKey):
        yield Issue(
            code=Code.KEY_WEAK, message=f"{subject_text(leaf)} signs with {describe_key(key)}"
        )
    for certificate in chain:
        digest = _digest(certificate)
        if digest in _WEAK_DIGESTS:
            yield Issue(
                code=Code.SIGNATURE_WEAK,
                message=f"certificate of {subject_text(certificate)} is itself signed by {digest}",
            )


def _digest(certificate: x509.Certificate) -> str | None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return algorithm.name if algorithm else None
