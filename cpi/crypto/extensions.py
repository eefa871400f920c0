"""The extensions of certificates that decide what a certificate may be used for.

Source: RFC 5280 section 4.2.1; Netscape certificate type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from cpi.crypto.certificate import Certificate
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.tlv import (
    BIT_STRING,
    BOOLEAN,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    bits,
    integer,
    members,
    object_identifier,
    read_element,
)
from cpi.errors import Code, TrustError

_T = TypeVar("_T")

SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
KEY_USAGE = "2.5.29.15"
SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
NAME_CONSTRAINTS = "2.5.29.30"
CERTIFICATE_POLICIES = "2.5.29.32"
POLICY_CONSTRAINTS = "2.5.29.36"
EXTENDED_KEY_USAGE = "2.5.29.37"
INHIBIT_ANY_POLICY = "2.5.29.54"
NETSCAPE_CERT_TYPE = "2.16.840.1.113730.1.1"

ANY_PURPOSE = "2.5.29.37.0"
CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"


class KeyUse(IntEnum):
    """Bits of the key usage extension."""

    DIGITAL_SIGNATURE = 0
    NON_REPUDIATION = 1
    CERTIFICATE_SIGNING = 5


_STANDARD = "2.5.29."
_IP_ADDRESS = 0x87
_ADDRESS_WITH_MASK_BYTES = (8, 32)

OBJECT_SIGNING = 3
"""Bit of the Netscape certificate type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicConstraints:
    """Whether the subject may issue certificates, and how many CAs may be below it."""

    ca: bool
    path_length: int | None


def basic_constraints(certificate: Certificate) -> BasicConstraints | None:
    """The basic constraints, if it has them.

    Raises:
        TrustError: they cannot be read.
    """
    return _read(certificate, BASIC_CONSTRAINTS, _constraints)


def key_usage(certificate: Certificate) -> frozenset[int] | None:
    """The bits of the key usage, if it has one; see `KeyUse`.

    Raises:
        TrustError: it cannot be read.
    """
    return _read(certificate, KEY_USAGE, _bits)


def extended_key_usage(certificate: Certificate) -> frozenset[str] | None:
    """The purposes of the extended key usage, if it has one, as dotted identifiers.

    Raises:
        TrustError: it cannot be read.
    """
    return _read(certificate, EXTENDED_KEY_USAGE, _purposes)


def netscape_type(certificate: Certificate) -> frozenset[int] | None:
    """The bits of the Netscape certificate type, if it has one.

    Raises:
        TrustError: it cannot be read.
    """
    return _read(certificate, NETSCAPE_CERT_TYPE, _bits)


def check_critical_extensions(certificate: Certificate) -> None:
    """Check that critical extensions can be read, as Java does when it reads a certificate.

    Raises:
        DerRefusedError: one cannot.
    """
    for kind, (critical, der) in certificate.extension_values.items():
        if critical and (kind in _DECODERS or kind.startswith(_STANDARD)):
            try:
                check_der(der)
                _DECODERS.get(kind, len)(der)
            except DerRefusedError as error:
                raise DerRefusedError(
                    f"critical extension {kind} cannot be read: {error}"
                ) from error


def _read(certificate: Certificate, kind: str, decode: Callable[[bytes], _T]) -> _T | None:
    if kind not in certificate.extension_values:
        return None
    _, der = certificate.extension_values[kind]
    try:
        check_der(der)
        return decode(der)
    except DerRefusedError as error:
        raise TrustError(
            Code.CERTIFICATE_INVALID,
            f"certificate {certificate.subject.rfc4514_string()}: extension {kind} cannot be read: "
            f"{error}",
        ) from error


def _constraints(der: bytes) -> BasicConstraints:
    parts = read_element(der, SEQUENCE, "basic constraints").children()
    ca = bool(parts and parts[0].tag == BOOLEAN and any(parts.pop(0).content))
    length = integer(parts.pop(0)) if parts and parts[0].tag == INTEGER else None
    if parts or (length is not None and length < 0):
        raise DerRefusedError("there is more than a flag and a number that is not negative")
    return BasicConstraints(ca=ca, path_length=length)


def _bits(der: bytes) -> frozenset[int]:
    return bits(read_element(der, BIT_STRING, "a bit string"))


def _purposes(der: bytes) -> frozenset[str]:
    return frozenset(map(object_identifier, read_element(der, SEQUENCE, "purposes").children()))


def _constrained_names(der: bytes) -> None:
    """Check the shape of name constraints; they are not applied, since paths with them are refused.

    An address has a mask of its own length: 8 octets together, or 32.
    """
    constraints = read_element(der, SEQUENCE, "name constraints").children()
    if not constraints:
        raise DerRefusedError("there are no name constraints in it")
    for subtrees in constraints:
        for subtree in subtrees.children():
            name = members(subtree, "a name constraint", 1, 3)[0]
            if name.tag == _IP_ADDRESS:
                _check_address(name.content)


def _check_address(octets: bytes) -> None:
    size = len(octets) // 2
    mask = f"{int.from_bytes(octets[size:], 'big'):0{8 * size}b}"
    if len(octets) not in _ADDRESS_WITH_MASK_BYTES or "01" in mask:
        raise DerRefusedError(f"{octets.hex()} is no address with its mask")


def _octets(der: bytes) -> bytes:
    return read_element(der, OCTET_STRING, "an octet string").content


_DECODERS: Mapping[str, Callable[[bytes], object]] = {
    BASIC_CONSTRAINTS: _constraints,
    KEY_USAGE: _bits,
    EXTENDED_KEY_USAGE: _purposes,
    NETSCAPE_CERT_TYPE: _bits,
    NAME_CONSTRAINTS: _constrained_names,
    SUBJECT_KEY_IDENTIFIER: _octets,
}
