"""Certificate paths: does a signer's chain lead to a trusted certificate at a moment in time?

The rules are Java's PKIX without revocation, which Corda uses, on the path as the signature block
holds it: a trusted certificate must be the issuer of the last certificate, or be that self-signed
certificate itself. Trusting a CA-issued leaf therefore never helps. Stricter than PKIX: a trust
anchor that issues others must be a CA, and constraint extensions that are not implemented here
(name and policy constraints) in a certificate of the path refuse it instead of being skipped.

A trust anchor itself is a name and a key, as in Java: neither its validity nor its constraints are
judged, unless the path holds it as its last certificate.

Source: RFC 5280 section 6.1.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from cpi.crypto.public_keys import check_key, strong_hash
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, SignatureError, TrustError

_E = TypeVar("_E", bound=x509.ExtensionType)
_HANDLED_CRITICAL = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
_NOT_IMPLEMENTED = frozenset(
    {
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)


def validate_path(
    chain: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    *,
    at: datetime,
    whose: str = "code signer's",
) -> None:
    """Check a path, leaf first.

    Args:
        chain: the leaf, its issuer, and so on; not empty.
        anchors: the trusted certificates.
        at: the moment at which each certificate of the chain must be valid (timezone-aware).
        whose: the path's owner, for messages.

    Raises:
        TrustError: names the certificate, its place in the chain and the reason.
    """
    if not anchors:
        raise TrustError(Code.TRUST_NOT_SET, "Trusted certificates not set")
    try:
        _validate(chain, anchors, at, whose)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise TrustError(
            Code.CERTIFICATE_INVALID, f"{_place(whose, chain[0], 0, chain)} {error}"
        ) from error


def _validate(
    chain: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    whose: str,
) -> None:
    _check_anchor(chain, anchors, whose)
    for index, certificate in enumerate(chain):
        _check_validity(certificate, at, whose, index)
        _check_extensions(certificate, whose, index)
        _check_algorithms(certificate, whose, index)
        if index:
            _check_issuer(certificate, chain[:index], whose, index)
    check_may_sign(chain[0])


def check_may_sign(leaf: x509.Certificate) -> None:
    """Check that the certificate's key usage, where stated, allows signatures.

    Raises:
        TrustError: neither digitalSignature nor nonRepudiation is set.
    """
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise TrustError(
            Code.CERTIFICATE_USAGE,
            f"certificate {subject_text(leaf)} may not sign: its key usage has neither "
            "digitalSignature nor nonRepudiation",
        )


def check_issued(chain: Sequence[x509.Certificate]) -> None:
    """Check that each certificate of a chain, leaf first, is signed by the next one.

    A self-signed last certificate is checked too. The last one is not checked if its issuer is
    missing.

    Raises:
        TrustError: a signature does not hold, so every verifier would refuse the chain.
    """
    ends = chain[-1:] if chain[-1].issuer == chain[-1].subject else ()
    for certificate, issuer in zip(chain, (*chain[1:], *ends), strict=False):
        if not _issued(certificate, issuer):
            raise TrustError(
                Code.CERTIFICATE_INVALID,
                f"certificate {subject_text(certificate)} is not signed by "
                f"{subject_text(issuer)}, or was changed when it was read",
            )


def _check_anchor(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], whose: str
) -> None:
    last = chain[-1]
    for anchor in anchors:
        # A self-signed trust anchor is trusted by its name and key; its own signature adds nothing.
        if anchor != last and (anchor.subject != last.issuer or not _issued(last, anchor)):
            continue
        if anchor == last and last.subject != last.issuer:
            continue
        constraints = _extension(anchor, x509.BasicConstraints)
        if anchor == last or constraints is None or constraints.ca:
            return
    raise TrustError(
        Code.NOT_TRUSTED,
        f"{_place(whose, last, len(chain) - 1, chain)} "
        "Path does not chain with any of the trust anchors: none of the "
        f"{len(anchors)} trusted certificates is the issuer {last.issuer.rfc4514_string()!r}",
    )


def _check_validity(certificate: x509.Certificate, at: datetime, whose: str, index: int) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= at <= end:
        raise TrustError(
            Code.CERTIFICATE_EXPIRED,
            f"{_place(whose, certificate, index)} validity check failed: "
            f"valid from {begin:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}, "
            f"checked at {at:%Y-%m-%dT%H:%M:%SZ}",
        )


def _check_extensions(certificate: x509.Certificate, whose: str, index: int) -> None:
    for extension in certificate.extensions:
        unknown = extension.critical and extension.oid not in _HANDLED_CRITICAL
        if unknown or extension.oid in _NOT_IMPLEMENTED:
            raise TrustError(
                Code.CERTIFICATE_INVALID,
                f"{_place(whose, certificate, index)} extension "
                f"{extension.oid.dotted_string} is not supported",
            )


def _check_algorithms(certificate: x509.Certificate, whose: str, index: int) -> None:
    place = _place(whose, certificate, index)
    try:
        check_key(certificate.public_key(), place)
        algorithm = certificate.signature_hash_algorithm
        # Ed25519 has no separate digest; a self-signature proves nothing and is not judged.
        if algorithm is not None and certificate.issuer != certificate.subject:
            strong_hash(algorithm.name, place)
    except SignatureError as error:
        raise TrustError(Code(error.code), error.message) from error


def _check_issuer(
    issuer: x509.Certificate, below: Sequence[x509.Certificate], whose: str, index: int
) -> None:
    """Check that `issuer` is a CA, may have that many CAs below it, and issued the one below."""
    place = _place(whose, issuer, index)
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise TrustError(Code.CERTIFICATE_INVALID, f"{place} basic constraints: it is no CA")
    intermediates = sum(c.subject != c.issuer for c in below[1:])
    if constraints.path_length is not None and intermediates > constraints.path_length:
        raise TrustError(
            Code.CERTIFICATE_INVALID,
            f"{place} path length: {intermediates} CAs are below it, "
            f"at most {constraints.path_length} may be",
        )
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise TrustError(Code.CERTIFICATE_USAGE, f"{place} key usage: it may not sign certificates")
    if not _issued(below[-1], issuer):
        raise TrustError(
            Code.CERTIFICATE_INVALID,
            f"{_place(whose, below[-1], index - 1)} signature check failed: "
            f"{subject_text(issuer)} did not issue it",
        )


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _place(
    whose: str,
    certificate: x509.Certificate,
    index: int,
    chain: Sequence[x509.Certificate] | None = None,
) -> str:
    where = f", certificate at index [{index}]" if chain is None or len(chain) > 1 else ""
    return (
        f"Error validating {whose} certificate path{where}, "
        f"X.509 name: {subject_text(certificate)}."
    )
