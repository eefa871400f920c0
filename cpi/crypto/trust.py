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

from cpi.crypto.certificate import AnyCertificate, Certificate, as_certificates
from cpi.crypto.certificate_signatures import is_issued_by, signature_digest
from cpi.crypto.extensions import (
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    EXTENDED_KEY_USAGE,
    INHIBIT_ANY_POLICY,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    POLICY_CONSTRAINTS,
    SUBJECT_ALTERNATIVE_NAME,
    KeyUse,
    basic_constraints,
    key_usage,
)
from cpi.crypto.public_keys import check_key, strong_hash
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, SignatureError, TrustError

_HANDLED_CRITICAL = frozenset(
    {
        BASIC_CONSTRAINTS,
        KEY_USAGE,
        EXTENDED_KEY_USAGE,
        SUBJECT_ALTERNATIVE_NAME,
        CERTIFICATE_POLICIES,
    }
)
_NOT_IMPLEMENTED = frozenset({NAME_CONSTRAINTS, POLICY_CONSTRAINTS, INHIBIT_ANY_POLICY})


def validate_path(
    chain: Sequence[AnyCertificate],
    anchors: Sequence[AnyCertificate],
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
    _validate(as_certificates(chain), as_certificates(anchors), at, whose)


def _validate(
    chain: Sequence[Certificate],
    anchors: Sequence[Certificate],
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


def check_may_sign(leaf: Certificate) -> None:
    """Check that the certificate's key usage, where stated, allows signatures.

    Raises:
        TrustError: neither digitalSignature nor nonRepudiation is set.
    """
    usage = key_usage(leaf)
    if usage is not None and not usage & {KeyUse.DIGITAL_SIGNATURE, KeyUse.NON_REPUDIATION}:
        raise TrustError(
            Code.CERTIFICATE_USAGE,
            f"certificate {subject_text(leaf)} may not sign: its key usage has neither "
            "digitalSignature nor nonRepudiation",
        )


def check_issued(chain: Sequence[Certificate]) -> None:
    """Check that each certificate of a chain, leaf first, is signed by the next one.

    A self-signed last certificate is checked too. The last one is not checked if its issuer is
    missing.

    Raises:
        TrustError: a signature does not hold, so every verifier would refuse the chain.
    """
    ends = chain[-1:] if chain[-1].is_self_issued else ()
    for certificate, issuer in zip(chain, (*chain[1:], *ends), strict=False):
        if not is_issued_by(certificate, issuer):
            raise TrustError(
                Code.CERTIFICATE_INVALID,
                f"certificate {subject_text(certificate)} is not signed by {subject_text(issuer)}",
            )


def _check_anchor(chain: Sequence[Certificate], anchors: Sequence[Certificate], whose: str) -> None:
    last = chain[-1]
    for anchor in anchors:
        # A self-signed trust anchor is trusted by its name and key; its own signature adds nothing.
        if anchor != last and not is_issued_by(last, anchor):
            continue
        if anchor == last and not last.is_self_issued:
            continue
        constraints = basic_constraints(anchor)
        if anchor == last or constraints is None or constraints.ca:
            return
    raise TrustError(
        Code.NOT_TRUSTED,
        f"{_place(whose, last, len(chain) - 1, chain)} "
        "Path does not chain with any of the trust anchors: none of the "
        f"{len(anchors)} trusted certificates is the issuer {last.issuer.rfc4514_string()!r}",
    )


def _check_validity(certificate: Certificate, at: datetime, whose: str, index: int) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= at <= end:
        raise TrustError(
            Code.CERTIFICATE_EXPIRED,
            f"{_place(whose, certificate, index)} validity check failed: "
            f"valid from {begin:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}, "
            f"checked at {at:%Y-%m-%dT%H:%M:%SZ}",
        )


def _check_extensions(certificate: Certificate, whose: str, index: int) -> None:
    for kind, (critical, _) in certificate.extension_values.items():
        if kind in _NOT_IMPLEMENTED or (critical and kind not in _HANDLED_CRITICAL):
            raise TrustError(
                Code.CERTIFICATE_INVALID,
                f"{_place(whose, certificate, index)} extension {kind} is not supported",
            )


def _check_algorithms(certificate: Certificate, whose: str, index: int) -> None:
    place = _place(whose, certificate, index)
    try:
        check_key(certificate.public_key(), place)
        digest = signature_digest(certificate)
        # Ed25519 has no separate digest; a self-signature proves nothing and is not judged.
        if digest is not None and not certificate.is_self_issued:
            strong_hash(digest, place)
    except SignatureError as error:
        raise TrustError(Code(error.code), error.message) from error


def _check_issuer(
    issuer: Certificate, below: Sequence[Certificate], whose: str, index: int
) -> None:
    """Check that `issuer` is a CA, may have that many CAs below it, and issued the one below."""
    place = _place(whose, issuer, index)
    constraints = basic_constraints(issuer)
    if constraints is None or not constraints.ca:
        raise TrustError(Code.CERTIFICATE_INVALID, f"{place} basic constraints: it is no CA")
    intermediates = sum(not c.is_self_issued for c in below[1:])
    if constraints.path_length is not None and intermediates > constraints.path_length:
        raise TrustError(
            Code.CERTIFICATE_INVALID,
            f"{place} path length: {intermediates} CAs are below it, "
            f"at most {constraints.path_length} may be",
        )
    usage = key_usage(issuer)
    if usage is not None and KeyUse.CERTIFICATE_SIGNING not in usage:
        raise TrustError(Code.CERTIFICATE_USAGE, f"{place} key usage: it may not sign certificates")
    if not is_issued_by(below[-1], issuer):
        raise TrustError(
            Code.CERTIFICATE_INVALID,
            f"{_place(whose, below[-1], index - 1)} signature check failed: "
            f"{subject_text(issuer)} did not issue it",
        )


def _place(
    whose: str,
    certificate: Certificate,
    index: int,
    chain: Sequence[Certificate] | None = None,
) -> str:
    where = f", certificate at index [{index}]" if chain is None or len(chain) > 1 else ""
    return (
        f"Error validating {whose} certificate path{where}, "
        f"X.509 name: {subject_text(certificate)}."
    )
