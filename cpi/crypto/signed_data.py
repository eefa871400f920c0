"""The structure of CMS SignedData, read and written; nothing is judged here.

Blocks in BER, as Java's older tools and Bouncy Castle write them, are read in DER's form. Object
identifiers stay dotted text, but for digests.

Source: RFC 5652 sections 5 and 11; RFC 6211.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cpi.crypto.algorithms import digest_name
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.tlv import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    Fields,
    definite,
    encode,
    encode_integer,
    encode_object_identifier,
    expect,
    members,
    object_identifier,
    read_element,
)

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"
TIMESTAMP_TOKEN = "1.2.840.113549.1.9.16.2.14"  # noqa: S105 - an object identifier
_NAMES = {
    DATA: "data",
    SIGNED_DATA: "signed_data",
    TST_INFO: "tst_info",
    CONTENT_TYPE: "content_type",
    MESSAGE_DIGEST: "message_digest",
    ALGORITHM_PROTECTION: "cms_algorithm_protection",
    TIMESTAMP_TOKEN: "signature_time_stamp_token",
}
_HOLDER = _CERTIFICATES = _SIGNED_ATTRIBUTES = 0xA0
_CRLS = _UNSIGNED_ATTRIBUTES = _PROTECTED_SIGNATURE = 0xA1
_KEY_IDENTIFIER = (0x80, 0xA0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerId:
    """A signer by the issuer (DER of its name) and serial number of its certificate."""

    issuer: bytes
    serial_number: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """One signer.

    Attributes:
        signer: None if it is identified by its key.
        digest: name of the digest, such as `sha256`.
        signed_attributes: values by type, in order; empty if there are none.
        signed_attributes_der: the signed attributes as the SET that is signed.
        algorithm: AlgorithmIdentifier of the signature.
        signature: its value.
        unsigned_attributes: values by type, in order.
    """

    signer: SignerId | None
    digest: str
    signed_attributes: Sequence[tuple[str, Sequence[Element]]]
    signed_attributes_der: bytes
    algorithm: Element
    signature: bytes
    unsigned_attributes: Sequence[tuple[str, Sequence[Element]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """A SignedData.

    Attributes:
        content_type: dotted identifier of what is signed.
        content: the attached content; None if it is detached.
        certificates: encodings, in order.
        signers: encodings are read when they are asked for (`signer_info`), since only one is.
    """

    content_type: str
    content: bytes | None
    certificates: Sequence[bytes]
    signers: Sequence[Element]


def name_of(kind: str) -> str:
    """The name of a content or attribute type for messages; its dotted text if it has none."""
    return _NAMES.get(kind, kind)


def read_content_info(der: bytes) -> tuple[str, Element | None]:
    """Content type and content of a ContentInfo, in DER's form.

    Raises:
        DerRefusedError: it is none.
    """
    check_der(der)
    whole = read_element(definite(der), SEQUENCE, "a content info")
    parts = members(whole, "a content info", 1, 2)
    if len(parts) == 1:
        return object_identifier(parts[0]), None
    held = expect(parts[1], _HOLDER, "content").children()
    if len(held) != 1:
        raise DerRefusedError(f"content has {len(held)} values, expected 1")
    return object_identifier(parts[0]), held[0]


def read_signed_data(content: Element) -> SignedData:
    """The SignedData that is a ContentInfo's content.

    Raises:
        DerRefusedError: it is none.
    """
    fields = Fields(expect(content, SEQUENCE, "signed data"), "signed data")
    fields.next(INTEGER, "a version")
    fields.next(SET, "digest algorithms")
    encapsulated = fields.next(SEQUENCE, "encapsulated content")
    certificates = fields.optional(_CERTIFICATES)
    fields.optional(_CRLS)
    signers = fields.next(SET, "signers")
    fields.end()
    parts = members(encapsulated, "encapsulated content", 1, 2)
    return SignedData(
        content_type=object_identifier(parts[0]),
        content=_octets(parts[1]) if len(parts) == 2 else None,
        certificates=[c.der for c in certificates.children()] if certificates else (),
        signers=signers.children(),
    )


def _octets(holder: Element) -> bytes:
    expect(holder, _HOLDER, "content")
    return read_element(holder.content, OCTET_STRING, "content").content


def signer_info(element: Element) -> SignerInfo:
    """A signer of a SignedData.

    Raises:
        DerRefusedError: it is none.
    """
    fields = Fields(expect(element, SEQUENCE, "a signer"), "a signer")
    fields.next(INTEGER, "a version")
    by_key = fields.optional(*_KEY_IDENTIFIER)
    signer = None if by_key else _signer_id(fields.next(SEQUENCE, "issuer and serial number"))
    digest = digest_name(fields.next(SEQUENCE, "a digest algorithm"))
    signed = fields.optional(_SIGNED_ATTRIBUTES)
    algorithm = fields.next(SEQUENCE, "a signature algorithm")
    signature = fields.next(OCTET_STRING, "a signature").content
    unsigned = fields.optional(_UNSIGNED_ATTRIBUTES)
    fields.end()
    return SignerInfo(
        signer=signer,
        digest=digest,
        signed_attributes=_attributes(signed),
        # RFC 5652 5.4: they are signed as an explicit SET OF, not with their context tag.
        signed_attributes_der=encode(SET, signed.content) if signed else b"",
        algorithm=algorithm,
        signature=signature,
        unsigned_attributes=_attributes(unsigned),
    )


def _signer_id(element: Element) -> SignerId:
    issuer, number = members(element, "issuer and serial number", 2)
    return SignerId(issuer=issuer.der, serial_number=expect(number, INTEGER, "a serial number"))


def _attributes(holder: Element | None) -> list[tuple[str, list[Element]]]:
    found = []
    for entry in holder.children() if holder else ():
        kind, values = members(entry, "an attribute", 2)
        found.append(
            (object_identifier(kind), expect(values, SET, "values of an attribute").children())
        )
    return found


def protected_algorithms(value: Element) -> tuple[str, Element | None]:
    """Digest and signature algorithm that an algorithm protection attribute states (RFC 6211).

    Raises:
        DerRefusedError: it is none.
    """
    parts = members(value, "an algorithm protection", 1, 3)
    stated = next((p for p in parts[1:] if p.tag == _PROTECTED_SIGNATURE), None)
    digest = digest_name(parts[0])
    if stated is None:
        return digest, None
    return digest, read_element(encode(SEQUENCE, stated.content), SEQUENCE, "an algorithm")


def encode_detached(
    *,
    issuer: bytes,
    serial_number: int,
    certificates: Sequence[bytes],
    digest_algorithm: bytes,
    algorithm: bytes,
    signature: bytes,
    timestamp_token: bytes | None,
) -> bytes:
    """A ContentInfo of detached SignedData of one signer without signed attributes.

    Args:
        issuer: encoding of the name of the issuer of the signer's certificate.
        serial_number: of that certificate.
        certificates: encodings, the signer's first.
        digest_algorithm: encoding of its AlgorithmIdentifier.
        algorithm: encoding of the signature's AlgorithmIdentifier.
        signature: the signature over the content.
        timestamp_token: encoding of an RFC 3161 token over `signature`, an unsigned attribute.
    """
    version = encode_integer(1)
    token = b""
    if timestamp_token:
        kind = encode_object_identifier(TIMESTAMP_TOKEN)
        stamp = encode(SEQUENCE, kind, encode(SET, timestamp_token))
        token = encode(_UNSIGNED_ATTRIBUTES, stamp)
    signer = encode(
        SEQUENCE,
        version,
        encode(SEQUENCE, issuer, encode_integer(serial_number)),
        digest_algorithm,
        algorithm,
        encode(OCTET_STRING, signature),
        token,
    )
    signed_data = encode(
        SEQUENCE,
        version,
        encode(SET, digest_algorithm),
        encode(SEQUENCE, encode_object_identifier(DATA)),
        encode(_CERTIFICATES, *certificates),
        encode(SET, signer),
    )
    kind = encode_object_identifier(SIGNED_DATA)
    return encode(SEQUENCE, kind, encode(_HOLDER, signed_data))
