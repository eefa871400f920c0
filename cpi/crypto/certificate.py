"""An X.509 certificate, as lenient as Java's `CertificateFactory`, over its unchanged DER encoding.

`cryptography` refuses certificates that Java's tools make, sign with and accept: serial numbers of
0 or below, versions and string types out of use, dates without seconds, extensions that it cannot
read, NULL parameters of ECDSA. Such certificates are in the key stores of banks and among public
roots. Only structure is judged here; whether a path of certificates is trusted, by
`cpi.crypto.trust`.

Source: RFC 5280 section 4.1; Java `sun.security.x509.X509CertImpl`.
"""

import base64
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from cpi.crypto.algorithms import algorithm_id
from cpi.crypto.certificate_times import certificate_time
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.distinguished_names import DistinguishedName
from cpi.crypto.tlv import (
    BIT_STRING,
    BOOLEAN,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    Fields,
    expect,
    integer,
    members,
    object_identifier,
    read_element,
)
from cpi.errors import Code, TrustError

if TYPE_CHECKING:
    from cryptography import x509

_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, (0x81, 0xA1), (0x82, 0xA2), 0xA3
_VERSION_OF_EXTENSIONS = 3
_PEM_LINE = 64


class Certificate:
    """A certificate. Two are equal if their encodings are.

    Attributes:
        der: the encoding, unchanged.
        version: 1, 2 or 3; others are read, as in Java.
        serial_number: any number.
        signed_part: the octets that the issuer signed.
        signature: the issuer's signature.
        signature_algorithm: the octets of its algorithm, with parameters.
        signature_algorithm_id: the dotted identifier of it.
        issuer, subject: names.
        not_valid_before_utc, not_valid_after_utc: both inclusive.
        extension_values: criticality and value by dotted identifier.
        key_algorithm: the dotted identifier of the key's algorithm.
        key_algorithm_der: its octets, with parameters.
    """

    def __init__(self, der: bytes) -> None:
        """Read the DER encoding.

        Raises:
            ValueError: it is no certificate.
        """
        check_der(der)
        self.der = der
        whole = read_element(der, SEQUENCE, "a certificate")
        body, algorithm, signature = members(whole, "a certificate", 3)
        self.signed_part = expect(body, SEQUENCE, "the signed part of a certificate").der
        self.signature_algorithm = algorithm.der
        self.signature_algorithm_id = algorithm_id(algorithm)
        signed = expect(signature, BIT_STRING, "a signature").content
        if signed[:1] != b"\0":
            raise ValueError("a signature is not of whole octets")
        self.signature = signed[1:]
        self._read(Fields(body, "a certificate"))

    def _read(self, fields: Fields) -> None:
        version = fields.optional(_VERSION)
        self.version = 1 + (0 if version is None else _only_integer(version))
        self.serial_number = integer(fields.next(INTEGER, "a serial number"))
        self._inner_algorithm = fields.next(SEQUENCE, "a signature algorithm").der
        self.issuer = DistinguishedName(fields.next(SEQUENCE, "an issuer").der)
        begin, end = members(fields.next(SEQUENCE, "a validity"), "a validity", 2)
        self.not_valid_before_utc = certificate_time(begin)
        self.not_valid_after_utc = certificate_time(end)
        self.subject = DistinguishedName(fields.next(SEQUENCE, "a subject").der)
        key = fields.next(SEQUENCE, "a public key")
        self._key = key.der
        algorithm, _ = members(key, "a public key", 2)
        self.key_algorithm_der = algorithm.der
        self.key_algorithm = algorithm_id(algorithm)
        for unused in (_ISSUER_ID, _SUBJECT_ID):
            fields.optional(*unused)
        extensions = fields.optional(_EXTENSIONS)
        fields.end()
        self.extension_values = _extensions(extensions) if extensions else {}
        if self.extension_values and self.version != _VERSION_OF_EXTENSIONS:
            raise DerRefusedError(f"version {self.version} has extensions")

    @cached_property
    def _public_key(self) -> CertificatePublicKeyTypes | str:
        try:
            return load_der_public_key(self._key)  # type: ignore[return-value] # no DH keys below
        except (ValueError, UnsupportedAlgorithm) as error:
            return f"a key of algorithm {self.key_algorithm} cannot be used: {error}"

    def public_key(self) -> CertificatePublicKeyTypes:
        """The key.

        Raises:
            TrustError: it is of a kind that is not supported.
        """
        if isinstance(self._public_key, str):
            subject = self.subject.rfc4514_string()
            raise TrustError(Code.KEY_UNSUPPORTED, f"certificate {subject}: {self._public_key}")
        return self._public_key

    def has_key(self, public: PublicKeyTypes) -> bool:
        """Whether this is the certificate's key."""
        return self._public_key == public

    @property
    def states_one_algorithm(self) -> bool:
        """Whether the signed part names the algorithm of the signature, as it must."""
        return self._inner_algorithm == self.signature_algorithm

    @property
    def is_self_issued(self) -> bool:
        return self.issuer == self.subject

    def public_bytes(self, encoding: Encoding) -> bytes:
        """The certificate as DER or PEM."""
        if encoding is Encoding.DER:
            return self.der
        text = base64.b64encode(self.der)
        lines = [text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE)]
        return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----\n"])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Certificate):
            return self.der == other.der
        return self.der == _encoding_of(other)

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<Certificate {self.subject.rfc4514_string()[:200]!r}>"


AnyCertificate: TypeAlias = "Certificate | x509.Certificate"
"""What callers may give: those who make certificates have the library's class."""


def _encoding_of(other: object) -> bytes | None:
    """The encoding, if it is a certificate of the library, which may not be loaded here."""
    library = sys.modules.get("cryptography.x509")
    if library is None or not isinstance(other, library.Certificate):
        return None
    encoded: bytes = other.public_bytes(Encoding.DER)
    return encoded


def as_certificates(certificates: Iterable[AnyCertificate]) -> tuple[Certificate, ...]:
    """Each certificate in this module's class.

    Raises:
        ValueError: one of the library's class is none that can be read.
    """
    return tuple(
        c if isinstance(c, Certificate) else Certificate(c.public_bytes(Encoding.DER))
        for c in certificates
    )


def _only_integer(holder: Element) -> int:
    return integer(read_element(holder.content, INTEGER, "a version"))


def _extensions(holder: Element) -> Mapping[str, tuple[bool, bytes]]:
    found: dict[str, tuple[bool, bytes]] = {}
    for entry in read_element(holder.content, SEQUENCE, "extensions").children():
        parts = members(entry, "an extension", 2, 3)
        critical = len(parts) == 3 and any(expect(parts[1], BOOLEAN, "criticality").content)
        kind = object_identifier(parts[0])
        if kind in found:
            raise DerRefusedError(f"extension {kind} appears twice")
        found[kind] = critical, expect(parts[-1], OCTET_STRING, "an extension's value").content
    return found
