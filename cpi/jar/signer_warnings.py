"""What should be mended about a signer's certificates, before it signs and when it is verified.

`jarsigner -verify -strict` complains of the same things. They are one list, `COMPLAINTS`; what it
has that is missing there (expired, not yet valid, key usage without signatures, broken chains) is
refused, not warned of. A verifier is told less than a signer: most of it only the signer can mend.

Source: Java `sun.security.tools.jarsigner.Main`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import dsa

from cpi.crypto.certificate import AnyCertificate, Certificate, as_certificates
from cpi.crypto.certificate_signatures import signature_digest
from cpi.crypto.extensions import (
    ANY_PURPOSE,
    CODE_SIGNING,
    OBJECT_SIGNING,
    KeyUse,
    extended_key_usage,
    key_usage,
    netscape_type,
)
from cpi.crypto.public_keys import describe_key, is_weak
from cpi.crypto.signer_hash import subject_text
from cpi.errors import Code, Issue, TrustError

_SIX_MONTHS = timedelta(days=180)
"""As jarsigner counts them."""
_ONE_MONTH = timedelta(days=30)
_WEAK_DIGESTS = ("md5", "sha1")
_STRICT = "`jarsigner -verify -strict` refuses it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What is judged: certificates, leaf first, and when; `begun` is false before it is signed."""

    chain: Sequence[Certificate]
    has_timestamp: bool
    at: datetime
    begun: bool

    @property
    def leaf(self) -> Certificate:
        return self.chain[0]


def _expires_soon(signature: Signature) -> Iterator[str]:
    if signature.has_timestamp:
        return
    ahead = _ONE_MONTH if signature.begun else _SIX_MONTHS
    certificates = signature.chain[:1] if signature.begun else signature.chain
    for certificate in certificates:
        end = certificate.not_valid_after_utc
        if timedelta(0) < end - signature.at < ahead:
            yield (
                f"certificate of {subject_text(certificate)} expires at {end:%Y-%m-%dT%H:%M:%SZ}"
                " and the signature has no timestamp: the package will be refused from then on"
            )


def _weak_keys(signature: Signature) -> Iterator[str]:
    for certificate in signature.chain:
        try:
            key = certificate.public_key()
        except TrustError:  # of a kind that paths are refused for
            continue
        if is_weak(key) or isinstance(key, dsa.DSAPublicKey):
            yield f"{subject_text(certificate)} signs with {describe_key(key)}"


def _weak_signatures(signature: Signature) -> Iterator[str]:
    for certificate in signature.chain:
        digest = signature_digest(certificate)
        if digest in _WEAK_DIGESTS:
            yield f"certificate of {subject_text(certificate)} is itself signed by {digest}"


def _not_for_code(signature: Signature) -> Iterator[str]:
    subject = subject_text(signature.leaf)
    usage = key_usage(signature.leaf)
    if usage is not None and KeyUse.DIGITAL_SIGNATURE not in usage:
        yield f"{subject}: its key usage does not have digitalSignature: {_STRICT}"
    purposes, kinds = extended_key_usage(signature.leaf), netscape_type(signature.leaf)
    if purposes is not None and not purposes & {CODE_SIGNING, ANY_PURPOSE}:
        yield f"{subject}: its extended key usage does not have code signing: {_STRICT}"
    if kinds is not None and OBJECT_SIGNING not in kinds:
        yield f"{subject}: its Netscape certificate type does not have object signing: {_STRICT}"


def _self_signed(signature: Signature) -> Iterator[str]:
    if len(signature.chain) == 1 and signature.leaf.is_self_issued:
        yield (
            f"{subject_text(signature.leaf)} is self-signed: only verifiers that were given this"
            f" very certificate trust it, and {_STRICT}"
        )


def _incomplete(signature: Signature) -> Iterator[str]:
    last = signature.chain[-1]
    if not last.is_self_issued:
        yield (
            f"the chain ends at {subject_text(last)}, without its issuer"
            f" {last.issuer.rfc4514_string()}: verifiers need that one, or {_STRICT}"
        )


def _no_timestamp(signature: Signature) -> Iterator[str]:
    if not signature.has_timestamp:
        end = min(c.not_valid_after_utc for c in signature.chain)
        yield (
            "the signature will have no timestamp (--tsa): the package is refused from"
            f" {end:%Y-%m-%dT%H:%M:%SZ} on, when the first of its certificates expires"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing to warn of: its code, how it is found, and whether verifiers are told too."""

    code: Code
    find: Callable[[Signature], Iterator[str]]
    verifiers_too: bool


COMPLAINTS = (
    Complaint(code=Code.CERTIFICATE_EXPIRES_SOON, find=_expires_soon, verifiers_too=True),
    Complaint(code=Code.KEY_WEAK, find=_weak_keys, verifiers_too=True),
    Complaint(code=Code.CERTIFICATE_USAGE, find=_not_for_code, verifiers_too=True),
    Complaint(code=Code.SIGNATURE_WEAK, find=_weak_signatures, verifiers_too=True),
    Complaint(code=Code.CERTIFICATE_SELF_SIGNED, find=_self_signed, verifiers_too=False),
    Complaint(code=Code.CERTIFICATE_CHAIN_INCOMPLETE, find=_incomplete, verifiers_too=False),
    Complaint(code=Code.TIMESTAMP_MISSING, find=_no_timestamp, verifiers_too=False),
)


def signer_warnings(
    chain: Sequence[AnyCertificate], *, has_timestamp: bool, at: datetime
) -> Iterator[Issue]:
    """Warnings about the certificates of a signature that is verified, leaf first."""
    return _warnings(chain, has_timestamp=has_timestamp, at=at, begun=True)


def signing_warnings(
    chain: Sequence[AnyCertificate], *, has_timestamp: bool, at: datetime
) -> Iterator[Issue]:
    """Warnings about the certificates of a signature that is about to be made, leaf first."""
    return _warnings(chain, has_timestamp=has_timestamp, at=at, begun=False)


def _warnings(
    chain: Sequence[AnyCertificate], *, has_timestamp: bool, at: datetime, begun: bool
) -> Iterator[Issue]:
    signature = Signature(
        chain=as_certificates(chain), has_timestamp=has_timestamp, at=at, begun=begun
    )
    for complaint in COMPLAINTS:
        if complaint.verifiers_too or not begun:
            for message in complaint.find(signature):
                yield Issue(code=complaint.code, message=message)
