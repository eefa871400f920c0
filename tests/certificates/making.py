"""Certificates of any shape, written as DER, also those that no library and no tool would make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cpi.crypto.tlv import (
    BIT_STRING,
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTC_TIME,
    encode,
)

UTF8, PRINTABLE, T61, IA5, UNIVERSAL, BMP, NUMERIC = 0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E, 0x12
CN, C, L, ST, ORG, OU = (f"2.5.4.{n}" for n in (3, 6, 7, 8, 10, 11))
Value = tuple[str, int, bytes]
"""One attribute of a name: type, identifier octet and octets of its value."""


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    octets = b""
    for arc in (40 * first + second, *rest):
        piece = bytes([arc & 0x7F])
        while arc := arc >> 7:
            piece = bytes([0x80 | arc & 0x7F]) + piece
        octets += piece
    return encode(OBJECT_IDENTIFIER, octets)


def number(value: int) -> bytes:
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return encode(INTEGER, value.to_bytes(size, "big", signed=True))


def name(rdns: Sequence[Sequence[Value]]) -> bytes:
    return encode(
        SEQUENCE,
        *(
            encode(SET, *(encode(SEQUENCE, oid(k), encode(tag, v)) for k, tag, v in rdn))
            for rdn in rdns
        ),
    )


def plain_name(common_name: str, *, country: str = "GB") -> list[list[Value]]:
    return [
        [(C, PRINTABLE, country.encode())],
        [(ORG, UTF8, b"Org")],
        [(CN, UTF8, common_name.encode())],
    ]


def utc(moment: datetime) -> bytes:
    """A time as RFC 5280 wants it."""
    if 1950 <= moment.year < 2050:
        return encode(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return encode(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """A key of a kind, made once; other numbers are other keys."""
    assert number >= 0
    curves = {
        "p256": ec.SECP256R1(),
        "p384": ec.SECP384R1(),
        "p521": ec.SECP521R1(),
        "k256": ec.SECP256K1(),
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind.startswith("dsa"):
        return dsa.generate_private_key(int(kind[3:]))
    return {"ed25519": ed25519.Ed25519PrivateKey, "ed448": ed448.Ed448PrivateKey}[kind].generate()


_PKCS1, _ECDSA, _DSA = "1.2.840.113549.1.1", "1.2.840.10045.4", "2.16.840.1.101.3.4.3"
_RSA_NUMBERS = {"md5": 4, "sha1": 5, "sha224": 14, "sha256": 11, "sha384": 12, "sha512": 13}
_EC_NUMBERS = {"sha1": "1", "sha224": "3.1", "sha256": "3.2", "sha384": "3.3", "sha512": "3.4"}
_HASHES = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def signing(key: Any, digest: str, *, null: bool, pss: bool) -> tuple[bytes, Any]:
    """The algorithm of a signature, and the function that makes it."""
    chosen = _HASHES[digest]
    nothing = encode(NULL)
    match key:
        case rsa.RSAPrivateKey():
            if pss:
                from cpi.crypto.algorithms import encode_pss

                scheme = padding.PSS(padding.MGF1(chosen), chosen.digest_size)
                algorithm = encode_pss(digest, chosen.digest_size)
                return algorithm, lambda data: key.sign(data, scheme, chosen)
            algorithm = encode(SEQUENCE, oid(f"{_PKCS1}.{_RSA_NUMBERS[digest]}"), nothing)
            return algorithm, lambda data: key.sign(data, padding.PKCS1v15(), chosen)
        case ec.EllipticCurvePrivateKey():
            dotted = f"{_ECDSA}.{_EC_NUMBERS[digest]}"
            algorithm = encode(SEQUENCE, oid(dotted), nothing if null else b"")
            return algorithm, lambda data: key.sign(data, ec.ECDSA(chosen))
        case dsa.DSAPrivateKey():
            algorithm = encode(SEQUENCE, oid(f"{_DSA}.2"), nothing if null else b"")
            return algorithm, lambda data: key.sign(data, hashes.SHA256())
        case _:
            dotted = "1.3.101.112" if isinstance(key, ed25519.Ed25519PrivateKey) else "1.3.101.113"
            return encode(SEQUENCE, oid(dotted)), key.sign


@dataclass(kw_only=True)
class Shape:
    """What a certificate states. `extensions` are identifier, criticality and value."""

    subject: list[list[Value]]
    begin: bytes = field(default_factory=lambda: utc(datetime(2024, 1, 1, tzinfo=UTC)))
    end: bytes = field(default_factory=lambda: utc(datetime(2040, 1, 1, tzinfo=UTC)))
    serial: int = 4711
    version: int | None = 2
    extensions: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    unique_ids: bytes = b""
    digest: str = "sha256"
    null_parameters: bool = False
    pss: bool = False
    other_inner_algorithm: bool = False
    issuer: list[list[Value]] | None = None

    def with_changes(self, **changes: Any) -> "Shape":
        return Shape(**{**vars(self), **changes})


CRITICAL = encode(BOOLEAN, b"\xff")
UNCRITICAL = b""


def certificate(shape: Shape, key: Any, issuer: tuple[bytes, Any] | None = None) -> bytes:
    """The DER of a certificate; `issuer` is the issuer's name and key."""
    issuer_name, issuer_key = issuer or (name(shape.issuer or shape.subject), key)
    digest = shape.digest
    algorithm, sign = signing(issuer_key, digest, null=shape.null_parameters, pss=shape.pss)
    inner = encode(SEQUENCE, oid("1.2.840.113549.1.1.5"), encode(NULL))
    version = b"" if shape.version is None else encode(0xA0, number(shape.version))
    extensions = b"".join(
        encode(SEQUENCE, oid(kind), critical, encode(OCTET_STRING, value))
        for kind, critical, value in shape.extensions
    )
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = encode(
        SEQUENCE,
        version,
        number(shape.serial),
        inner if shape.other_inner_algorithm else algorithm,
        issuer_name,
        encode(SEQUENCE, shape.begin, shape.end),
        name(shape.subject),
        public,
        shape.unique_ids,
        encode(0xA3, encode(SEQUENCE, extensions)) if extensions else b"",
    )
    return encode(SEQUENCE, body, algorithm, encode(BIT_STRING, b"\0", sign(body)))


def purposes(*dotted: str) -> bytes:
    return encode(SEQUENCE, *map(oid, dotted))


def bit_string(*octets: int, unused: int = 0) -> bytes:
    return encode(BIT_STRING, bytes([unused, *octets]))


def constraints(*, ca: bool, path_length: int | None = None, true: bytes = b"\xff") -> bytes:
    length = b"" if path_length is None else number(path_length)
    return encode(SEQUENCE, encode(BOOLEAN, true) if ca else b"", length)


AUTHORITY: Mapping[str, Any] = {
    "extensions": [("2.5.29.19", CRITICAL, constraints(ca=True))],
}
"""Changes that make a shape a CA's."""
