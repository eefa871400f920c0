"""CMS SignedData, as JAR signature blocks and RFC 3161 timestamps use it.

One signer per block, identified by issuer and serial number, with or without signed attributes,
content attached or not. Every statement in the block is checked: attached content must be the
signed bytes, and an algorithm protection attribute must name the algorithms in use.

Source: RFC 5652 section 5; RFC 6211; RFC 8419 (Ed25519).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cpi.crypto.algorithms import algorithm_id, encode_digest, pss_parameters, signature_algorithm
from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import issuer_path, load_der
from cpi.crypto.distinguished_names import DistinguishedName
from cpi.crypto.public_keys import check_key, strong_hash, verify_signature
from cpi.crypto.signature_schemes import is_pss_only, pss_restriction
from cpi.crypto.signed_data import (
    ALGORITHM_PROTECTION,
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    TIMESTAMP_TOKEN,
    SignedData,
    SignerId,
    SignerInfo,
    encode_detached,
    name_of,
    protected_algorithms,
    read_content_info,
    read_signed_data,
    signer_info,
)
from cpi.crypto.signer_hash import subject_text
from cpi.crypto.tlv import OCTET_STRING, Element, expect, integer, object_identifier
from cpi.errors import Code, SignatureError

_CERTIFICATES_MAX = 20
_HASHED_SCHEMES = ("rsassa_pkcs1v15", "ecdsa", "dsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """A SignedData with a valid signature over `content`.

    Attributes:
        content: the bytes that are signed.
        chain: the signer's certificate and its issuers as far as the block holds them.
        digest: hashlib name of the digest.
        algorithm: the signature algorithm, for people to read.
        signature: the signature value, which a timestamp covers.
        timestamp_token: DER of the RFC 3161 token in the unsigned attributes, if there is one.
    """

    content: bytes
    chain: tuple[Certificate, ...]
    digest: str
    algorithm: str
    signature: bytes
    timestamp_token: bytes | None


def verify_signed_data(
    der: bytes, content: bytes | None, *, content_type: str = DATA, what: str
) -> SignedMessage:
    """Check a SignedData's signature; trust in the certificate is not judged.

    Args:
        der: the ContentInfo.
        content: the signed bytes; None takes the attached ones.
        content_type: dotted identifier of the type that the content must have.
        what: the block's name, for messages.

    Raises:
        SignatureError: the structure is damaged, an algorithm weak or the signature wrong.
    """
    try:
        return _verify(der, content, content_type, what)
    except ValueError as error:
        raise SignatureError(
            Code.SIGNATURE_FORMAT, f"{what} is no readable CMS SignedData: {error}", entry=what
        ) from error


def _verify(der: bytes, content: bytes | None, content_type: str, what: str) -> SignedMessage:
    kind, held = read_content_info(der)
    if kind != SIGNED_DATA or held is None:
        raise _refused(what, f"content type is {name_of(kind)}, not signed_data")
    signed_data = read_signed_data(held)
    signed = _content(signed_data, content, content_type, what)
    if len(signed_data.signers) != 1:
        raise _refused(what, f"expected 1 signer, found {len(signed_data.signers)}")
    signer = signer_info(signed_data.signers[0])
    chain = _chain(signed_data.certificates, signer.signer, what)
    digest = strong_hash(signer.digest, what)
    message = _signed_bytes(signer, signed, digest.name, content_type, what)
    check_key(chain[0].public_key(), subject_text(chain[0]))
    scheme, salt = _check_algorithm(signer.algorithm, digest.name, what)
    _check_restriction(chain[0], digest.name, salt, what)
    if not verify_signature(
        chain[0].public_key(), signer.signature, message, digest=digest, pss_salt_length=salt
    ):
        base = what.rpartition(".")[0] or what
        raise SignatureError(
            Code.SIGNATURE_INVALID,
            f"cannot verify signature block file {base}: the signature of "
            f"{subject_text(chain[0])} does not cover these bytes",
            entry=what,
        )
    return SignedMessage(
        content=signed,
        chain=chain,
        digest=digest.name,
        algorithm=f"{digest.name} {scheme}",
        signature=signer.signature,
        timestamp_token=_timestamp_token(signer, what),
    )


def _content(signed_data: SignedData, content: bytes | None, content_type: str, what: str) -> bytes:
    if signed_data.content_type != content_type:
        found, expected = name_of(signed_data.content_type), name_of(content_type)
        raise _refused(what, f"content is {found}, expected {expected}")
    attached = signed_data.content
    if content is None and attached is None:
        raise _refused(what, "the content is missing")
    if content is None:
        content = attached
    if content is None or attached not in (None, content):
        raise _refused(what, "the attached content is not the signature file")
    return content


def _chain(
    certificates: Sequence[bytes], signer: SignerId | None, what: str
) -> tuple[Certificate, ...]:
    """The signer's certificate followed by its issuers, found by name as Java builds the path."""
    if len(certificates) > _CERTIFICATES_MAX:
        raise _refused(what, f"{len(certificates)} certificates, at most {_CERTIFICATES_MAX}")
    parsed = [load_der(der) for der in certificates]
    if signer is None:
        raise _refused(what, "the signer is not identified by issuer and serial number")
    issuer, serial = DistinguishedName(signer.issuer), integer(signer.serial_number)
    found = [c for c in parsed if c.serial_number == serial and c.issuer == issuer]
    if not found:
        raise _refused(what, "the signer's certificate is not in the block")
    return issuer_path(found[0], [c for c in parsed if c is not found[0]])


def _signed_bytes(
    signer: SignerInfo, content: bytes, digest: str, content_type: str, what: str
) -> bytes:
    """The bytes that the signature covers: the content, or the signed attributes."""
    if not signer.signed_attributes:
        if content_type != DATA:
            raise _refused(what, "signed attributes are missing")
        return content
    values: dict[str, Element] = {}
    for kind, found in signer.signed_attributes:
        if kind in values or len(found) != 1:
            raise _refused(what, f"signed attribute {name_of(kind)} must have one value")
        values[kind] = found[0]
    if CONTENT_TYPE not in values or object_identifier(values[CONTENT_TYPE]) != content_type:
        raise _refused(what, f"signed attribute content_type is not {name_of(content_type)}")
    if MESSAGE_DIGEST not in values:
        raise _refused(what, "signed attribute message_digest is missing")
    stated = expect(values[MESSAGE_DIGEST], OCTET_STRING, "a message digest").content
    if stated != hashlib.new(digest, content).digest():
        raise SignatureError(
            Code.SIGNATURE_INVALID,
            f"cannot verify signature block file {what.rpartition('.')[0] or what}: "
            "its message digest is of other bytes",
            entry=what,
        )
    if ALGORITHM_PROTECTION in values:
        _check_protection(signer, values[ALGORITHM_PROTECTION], what)
    return signer.signed_attributes_der


def _check_protection(signer: SignerInfo, protection: Element, what: str) -> None:
    digest, algorithm = protected_algorithms(protection)
    used = algorithm_id(signer.algorithm)
    stated = used if algorithm is None else algorithm_id(algorithm)
    if digest != signer.digest or stated != used:
        raise _refused(
            what,
            f"algorithm protection states {digest} and {stated}, used are {signer.digest} and"
            f" {used}",
        )


def _check_algorithm(algorithm: Element, digest: str, what: str) -> tuple[str, int | None]:
    """Check the signature algorithm against the digest; its scheme, and RSASSA-PSS's salt length.

    Raises:
        SignatureError: they differ, or the algorithm is weak.
        DerRefusedError: it is not known.
    """
    stated = signature_algorithm(algorithm)
    if stated.scheme == "rsassa_pss":
        parameters = pss_parameters(algorithm)
        hashes = (parameters.digest, parameters.generator)
        if hashes != (digest, digest):
            raise _refused(what, f"RSASSA-PSS digests {hashes} differ from {digest}")
        return stated.scheme, parameters.salt_length
    if stated.scheme == "ed25519":
        return stated.scheme, None
    if stated.scheme not in _HASHED_SCHEMES:
        raise SignatureError(
            Code.SIGNATURE_WEAK, f"{what} uses signature algorithm {stated.scheme}", entry=what
        )
    # Plain `rsaEncryption` and similar identifiers name no digest: the digest algorithm field
    # decides.
    if stated.digest not in (None, digest):
        raise _refused(
            what,
            f"signature algorithm {stated.digest}_{stated.scheme} differs from digest {digest}",
        )
    return stated.scheme, None


def _check_restriction(certificate: Certificate, digest: str, salt: int | None, what: str) -> None:
    """Check that an RSASSA-PSS key is used as its certificate allows."""
    if not is_pss_only(certificate):
        return
    if salt is None:
        raise _refused(what, "the certificate is for RSASSA-PSS, the signature is another")
    allowed = pss_restriction(certificate)
    if allowed and (digest != allowed.digest or salt < allowed.salt_length_min):
        raise _refused(
            what,
            f"the certificate is for {allowed.digest} with a salt of {allowed.salt_length_min} "
            f"bytes or more, the signature uses {digest} with {salt}",
        )


def _timestamp_token(signer: SignerInfo, what: str) -> bytes | None:
    tokens = [values for kind, values in signer.unsigned_attributes if kind == TIMESTAMP_TOKEN]
    if not tokens:
        return None
    if len(tokens) > 1 or len(tokens[0]) != 1:
        raise _refused(what, "more than one timestamp token")
    return tokens[0][0].der


def _refused(what: str, reason: str) -> SignatureError:
    return SignatureError(Code.SIGNATURE_FORMAT, f"{what}: {reason}", entry=what)


def encode_signed_data(
    *,
    certificates: Sequence[Certificate],
    digest: str,
    algorithm: bytes,
    signature: bytes,
    timestamp_token: bytes | None = None,
) -> bytes:
    """A detached SignedData without signed attributes, so that equal inputs give equal bytes.

    Args:
        certificates: the signer's certificate first.
        digest: hashlib name of the digest.
        algorithm: encoding of the signature algorithm's identifier.
        signature: the signature over the content.
        timestamp_token: DER of an RFC 3161 token over `signature`, an unsigned attribute.
    """
    return encode_detached(
        issuer=certificates[0].issuer.public_bytes(),
        serial_number=certificates[0].serial_number,
        certificates=[certificate.der for certificate in certificates],
        digest_algorithm=encode_digest(digest),
        algorithm=algorithm,
        signature=signature,
        timestamp_token=timestamp_token,
    )
