"""Loading X.509 certificates from DER and PEM, within limits."""

import base64
import re
from collections.abc import Iterable

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from cpi.errors import Code, KeystoreError

_CERTIFICATES_MAX = 64
_NAME_BYTES = {
    "2.5.4.3": range(1, 65),
    "2.5.4.6": range(2, 3),
    "1.3.6.1.4.1.311.60.2.1.3": range(2, 3),
}
"""Bytes that common name, country and jurisdiction country may have."""
_UNREADABLE = (
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_PEM_BYTES_MAX = 1024 * 1024
_DER_NULL = b"\x05\x00"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


def load_der(der: bytes) -> x509.Certificate:
    """A certificate from its DER encoding.

    Java writes (and older versions wrote) NULL parameters into DSA and ECDSA certificates, which
    RFC 3279 forbids and the parser refuses. They are dropped, so the signature on such a
    certificate cannot be checked any more: it can be a trusted self-signed signer, never something
    that another certificate vouches for.

    Raises:
        ValueError: the bytes are no certificate.
    """
    _check_bounds(asn1_x509.Certificate.load(der, strict=True))
    try:
        return _complete(der)
    except ValueError:
        lenient = _without_null_parameters(der)
        if lenient is None:
            raise
        return _complete(lenient)


def _check_bounds(certificate: asn1_x509.Certificate) -> None:
    """Refuse what RFC 5280 forbids and the library only warns about on stderr.

    Raises:
        ValueError: the serial number is not positive, or a name breaks its length.
    """
    if certificate.serial_number <= 0:
        raise ValueError("the serial number is not positive")
    for name in (certificate.subject, certificate.issuer):
        for attribute in (ava for rdn in name.chosen for ava in rdn):
            allowed = _NAME_BYTES.get(attribute["type"].dotted)
            value = attribute["value"].native
            if allowed is not None and len(str(value).encode()) not in allowed:
                raise ValueError(f"name attribute {attribute['type'].native} is {value!r}")


def _complete(der: bytes) -> x509.Certificate:
    """Parse, and read the parts that the library reads lazily, so that none can fail later.

    Raises:
        ValueError: a part cannot be read.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
        _ = certificate.subject, certificate.issuer, certificate.extensions
    except _UNREADABLE as error:
        raise ValueError(str(error)) from error
    return certificate


def _without_null_parameters(der: bytes) -> bytes | None:
    certificate = asn1_x509.Certificate.load(der, strict=True)
    algorithm = certificate["signature_algorithm"]
    if algorithm.signature_algo not in ("dsa", "ecdsa"):
        return None
    if algorithm["parameters"].dump() != _DER_NULL:
        return None
    plain = {"algorithm": algorithm["algorithm"].native}
    certificate["tbs_certificate"]["signature"] = plain
    certificate["signature_algorithm"] = plain
    changed: bytes = certificate.dump(force=True)
    return changed


def load_pem_certificates(data: bytes, *, source: str) -> tuple[x509.Certificate, ...]:
    """Every certificate of a PEM file, in file order.

    Args:
        data: PEM text; what stands between certificates is ignored.
        source: the file's name, for messages.

    Raises:
        KeystoreError: there is none, too many, or one cannot be read.
    """
    if len(data) > _PEM_BYTES_MAX:
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE, f"{source} has more than {_PEM_BYTES_MAX} bytes"
        )
    blocks = _PEM.findall(data)
    if not 0 < len(blocks) <= _CERTIFICATES_MAX:
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE,
            f"{source} holds {len(blocks)} PEM certificates, expected 1 to {_CERTIFICATES_MAX}",
        )
    try:
        return tuple(load_der(_pem_body(block)) for block in blocks)
    except ValueError as error:
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE, f"{source} is no readable certificate: {error}"
        ) from error


def _pem_body(block: bytes) -> bytes:
    body = b"".join(block.split(b"-----")[2].split())
    return base64.b64decode(body, validate=True)


def issuer_path(
    leaf: x509.Certificate, others: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The leaf, then issuer after issuer by name, as far as they are among `others`.

    Each certificate is taken once; signatures are not checked.
    """
    path, left = [leaf], list(others)
    while path[-1].issuer != path[-1].subject:
        above = next((c for c in left if c.subject == path[-1].issuer), None)
        if above is None:
            break
        path.append(above)
        left.remove(above)
    return tuple(path)
