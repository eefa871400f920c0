"""CMS SignedData, as JAR signature blocks and RFC 3161 timestamps use it.

One signer per block, identified by issuer and serial number, with or without signed attributes,
content attached or not. Every statement in the block is checked: attached content must be the
signed bytes, and an algorithm protection attribute must name the algorithms in use.

Source: RFC 5652 section 5; RFC 6211; RFC 8419 (Ed25519).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto import algos, cms, core

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import bundled_certificates, issuer_path, load_der
from cpi.crypto.der import load
from cpi.crypto.distinguished_names import DistinguishedName
from cpi.crypto.public_keys import check_key, strong_hash, verify_signature
from cpi.crypto.signature_schemes import is_pss_only, pss_restriction
from cpi.crypto.signer_hash import subject_text
from cpi.crypto.tlv import INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, encode
from cpi.errors import Code, SignatureError

_CERTIFICATES_MAX = 20
_HASHED_ALGORITHMS = ("rsassa_pkcs1v15", "ecdsa", "dsa")
_DATA = encode(OBJECT_IDENTIFIER, bytes.fromhex("2a864886f70d010701"))
_SIGNED_DATA = encode(OBJECT_IDENTIFIER, bytes.fromhex("2a864886f70d010702"))
_TIMESTAMP = encode(OBJECT_IDENTIFIER, bytes.fromhex("2a864886f70d010910020e"))
_VERSION_1, _NULL = encode(INTEGER, b"\1"), encode(NULL)
_EXPLICIT = _CERTIFICATES = 0xA0
_UNSIGNED_ATTRIBUTES = 0xA1


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
    der: bytes, content: bytes | None, *, content_type: str = "data", what: str
) -> SignedMessage:
    """Check a SignedData's signature; trust in the certificate is not judged.

    Args:
        der: the ContentInfo.
        content: the signed bytes; None takes the attached ones.
        content_type: the asn1crypto name that the content must have.
        what: the block's name, for messages.

    Raises:
        SignatureError: the structure is damaged, an algorithm weak or the signature wrong.
    """
    try:
        return _verify(der, content, content_type, what)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise SignatureError(
            Code.SIGNATURE_FORMAT, f"{what} is no readable CMS SignedData: {error}", entry=what
        ) from error


def _verify(der: bytes, content: bytes | None, content_type: str, what: str) -> SignedMessage:
    info = load(cms.ContentInfo, der)
    if info["content_type"].native != "signed_data":
        raise _refused(what, f"content type is {info['content_type'].native}, not signed_data")
    signed_data = info["content"]
    signed = _content(signed_data["encap_content_info"], content, content_type, what)
    if len(signed_data["signer_infos"]) != 1:
        raise _refused(what, f"expected 1 signer, found {len(signed_data['signer_infos'])}")
    signer = signed_data["signer_infos"][0]
    chain = _chain(list(bundled_certificates(der)), signer["sid"], what)
    digest = strong_hash(signer["digest_algorithm"]["algorithm"].native, what)
    message = _signed_bytes(signer, signed, digest.name, content_type, what)
    check_key(chain[0].public_key(), subject_text(chain[0]))
    salt = _check_algorithm(signer["signature_algorithm"], digest.name, what)
    _check_restriction(chain[0], digest.name, salt, what)
    signature: bytes = signer["signature"].native
    if not verify_signature(
        chain[0].public_key(), signature, message, digest=digest, pss_salt_length=salt
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
        algorithm=f"{digest.name} {signer['signature_algorithm'].signature_algo}",
        signature=signature,
        timestamp_token=_timestamp_token(signer, what),
    )


def _content(
    encapsulated: cms.ContentInfo, content: bytes | None, content_type: str, what: str
) -> bytes:
    if encapsulated["content_type"].native != content_type:
        raise _refused(
            what, f"content is {encapsulated['content_type'].native}, expected {content_type}"
        )
    holder = encapsulated["content"]
    attached = None if isinstance(holder, core.Void) else bytes(holder)
    if content is None and attached is None:
        raise _refused(what, "the content is missing")
    if content is None:
        content = attached
    if content is None or attached not in (None, content):
        raise _refused(what, "the attached content is not the signature file")
    return content


def _chain(
    certificates: Sequence[bytes], sid: cms.SignerIdentifier, what: str
) -> tuple[Certificate, ...]:
    """The signer's certificate followed by its issuers, found by name as Java builds the path."""
    if len(certificates) > _CERTIFICATES_MAX:
        raise _refused(what, f"{len(certificates)} certificates, at most {_CERTIFICATES_MAX}")
    parsed = [load_der(der) for der in certificates]
    if sid.name != "issuer_and_serial_number":
        raise _refused(what, "the signer is not identified by issuer and serial number")
    issuer = DistinguishedName(sid.chosen["issuer"].dump())
    serial = sid.chosen["serial_number"].native
    found = [c for c in parsed if c.serial_number == serial and c.issuer == issuer]
    if not found:
        raise _refused(what, "the signer's certificate is not in the block")
    return issuer_path(found[0], [c for c in parsed if c is not found[0]])


def _signed_bytes(
    signer: cms.SignerInfo, content: bytes, digest: str, content_type: str, what: str
) -> bytes:
    """The bytes that the signature covers: the content, or the signed attributes."""
    attributes = signer["signed_attrs"]
    if isinstance(attributes, core.Void) or not len(attributes):
        if content_type != "data":
            raise _refused(what, "signed attributes are missing")
        return content
    values: dict[str, core.Asn1Value] = {}
    for attribute in attributes:
        name = attribute["type"].native
        if name in values or len(attribute["values"]) != 1:
            raise _refused(what, f"signed attribute {name} must have one value")
        values[name] = attribute["values"][0]
    if "content_type" not in values or values["content_type"].native != content_type:
        raise _refused(what, f"signed attribute content_type is not {content_type}")
    if "message_digest" not in values:
        raise _refused(what, "signed attribute message_digest is missing")
    if values["message_digest"].native != hashlib.new(digest, content).digest():
        raise SignatureError(
            Code.SIGNATURE_INVALID,
            f"cannot verify signature block file {what.rpartition('.')[0] or what}: "
            "its message digest is of other bytes",
            entry=what,
        )
    _check_protection(signer, values.get("cms_algorithm_protection"), what)
    # RFC 5652 5.4: the attributes are signed as an explicit SET OF, not with their context tag.
    der: bytes = attributes.dump()
    return b"\x31" + der[1:]


def _check_protection(signer: cms.SignerInfo, protection: core.Asn1Value | None, what: str) -> None:
    if protection is None:
        return
    stated = protection["digest_algorithm"]["algorithm"].native
    used = signer["digest_algorithm"]["algorithm"].native
    stated_signature = protection["signature_algorithm"]["algorithm"].native
    used_signature = signer["signature_algorithm"]["algorithm"].native
    if stated != used or stated_signature not in (None, used_signature):
        raise _refused(what, f"algorithm protection states {stated}, used is {used}")


def _check_algorithm(algorithm: algos.SignedDigestAlgorithm, digest: str, what: str) -> int | None:
    """Check the signature algorithm against the digest; returns the salt length of RSASSA-PSS."""
    kind = algorithm.signature_algo
    if kind == "rsassa_pss":
        parameters = algorithm["parameters"]
        generator = parameters["mask_gen_algorithm"]
        hashes = (
            parameters["hash_algorithm"]["algorithm"].native,
            generator["parameters"]["algorithm"].native,
        )
        if hashes != (digest, digest):
            raise _refused(what, f"RSASSA-PSS digests {hashes} differ from {digest}")
        return int(parameters["salt_length"].native)
    if kind == "ed25519":
        return None
    if kind not in _HASHED_ALGORITHMS:
        raise SignatureError(
            Code.SIGNATURE_WEAK, f"{what} uses signature algorithm {kind}", entry=what
        )
    named = algorithm["algorithm"].native
    # Plain `rsaEncryption` and similar identifiers name no digest: the digest algorithm field
    # decides.
    if "_" in named and "sha" in named and algorithm.hash_algo != digest:
        raise _refused(what, f"signature algorithm {named} differs from digest {digest}")
    return None


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


def _timestamp_token(signer: cms.SignerInfo, what: str) -> bytes | None:
    attributes = signer["unsigned_attrs"]
    if isinstance(attributes, core.Void):
        return None
    tokens = [a for a in attributes if a["type"].native == "signature_time_stamp_token"]
    if not tokens:
        return None
    if len(tokens) > 1 or len(tokens[0]["values"]) != 1:
        raise _refused(what, "more than one timestamp token")
    token: bytes = tokens[0]["values"][0].dump()
    return token


def _refused(what: str, reason: str) -> SignatureError:
    return SignatureError(Code.SIGNATURE_FORMAT, f"{what}: {reason}", entry=what)


def encode_signed_data(
    *,
    certificates: Sequence[Certificate],
    digest: str,
    algorithm: algos.SignedDigestAlgorithm,
    signature: bytes,
    timestamp_token: bytes | None = None,
) -> bytes:
    """A detached SignedData without signed attributes, so that equal inputs give equal bytes.

    Args:
        certificates: the signer's certificate first.
        digest: asn1crypto name of the digest.
        algorithm: the signature algorithm.
        signature: the signature over the content.
        timestamp_token: DER of an RFC 3161 token over `signature`, an unsigned attribute.
    """
    leaf = certificates[0]
    number = leaf.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    digest_algorithm = encode(SEQUENCE, algos.DigestAlgorithmId(digest).dump(), _NULL)
    token = encode(SEQUENCE, _TIMESTAMP, encode(SET, timestamp_token)) if timestamp_token else b""
    signer = encode(
        SEQUENCE,
        _VERSION_1,
        encode(SEQUENCE, leaf.issuer.public_bytes(), encode(INTEGER, serial)),
        digest_algorithm,
        algorithm.dump(),
        encode(OCTET_STRING, signature),
        encode(_UNSIGNED_ATTRIBUTES, token) if token else b"",
    )
    signed_data = encode(
        SEQUENCE,
        _VERSION_1,
        encode(SET, digest_algorithm),
        encode(SEQUENCE, _DATA),
        encode(_CERTIFICATES, *(c.der for c in certificates)),
        encode(SET, signer),
    )
    return encode(SEQUENCE, _SIGNED_DATA, encode(_EXPLICIT, signed_data))
