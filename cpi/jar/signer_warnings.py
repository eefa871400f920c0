"""Warnings about signers that are accepted but should be fixed, at signing and at verifying."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cpi.crypto.public_keys import describe_key, is_weak
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, Issue

_EXPIRY_WARNING = timedelta(days=30)
_WEAK_DIGESTS = ("md5", "sha1")
_FOR_CODE = frozenset(
    {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)
_NETSCAPE_TYPE = x509.ObjectIdentifier("2.16.840.1.113730.1.1")
_OBJECT_SIGNING = 0x10


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
    reason = _not_for_code(leaf)
    if reason is not None:
        yield Issue(
            code=Code.CERTIFICATE_USAGE,
            message=f"{subject_text(leaf)}: {reason}, which `jarsigner -verify -strict` refuses",
        )
    for certificate in chain:
        digest = _digest(certificate)
        if digest in _WEAK_DIGESTS:
            yield Issue(
                code=Code.SIGNATURE_WEAK,
                message=f"certificate of {subject_text(certificate)} is itself signed by {digest}",
            )


def _not_for_code(leaf: x509.Certificate) -> str | None:
    """Why the certificate is not meant for code signing, if it restricts its use."""
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage) and not _FOR_CODE.intersection(value):
            return "its extended key usage does not have code signing"
        if extension.oid == _NETSCAPE_TYPE and isinstance(value, x509.UnrecognizedExtension):
            bits = value.value[3:4] if value.value[:2] == b"\x03\x02" else b""
            if not bits or not bits[0] & _OBJECT_SIGNING:
                return "its Netscape certificate type does not have object signing"
    return None


def _digest(certificate: x509.Certificate) -> str | None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return algorithm.name if algorithm else None
