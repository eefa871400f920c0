"""Loading X.509 certificates from DER and PEM, within limits.

As lenient as Java: serial numbers that are not positive, countries of other lengths than two and
overlong names are read, since keytool makes them and public roots have them. The library warns
about those on stderr; the warnings are suppressed.
"""

import warnings
from collections.abc import Iterable
from itertools import islice

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from cpi.crypto.der import load
from cpi.crypto.pem import pem_blocks
from cpi.errors import Code, KeystoreError

_CERTIFICATES_MAX = 64
_UNREADABLE = (
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    TypeError,
    OverflowError,
    KeyError,
)
"""Errors that the libraries raise for bad contents besides ValueError: for example, TypeError for a
name constraint that is not an address."""
_PEM_BYTES_MAX = 1024 * 1024
_LABEL = "CERTIFICATE"
_DER_NULL = b"\x05\x00"
_WARNINGS = ("Attribute's length must be", "Parsed a serial number which wasn't positive")


def load_der(der: bytes) -> x509.Certificate:
    """A certificate from its DER encoding.

    Java writes (and older versions wrote) NULL parameters into DSA and ECDSA certificates, which
    RFC 3279 forbids and the parser refuses. They are dropped, so the signature on such a
    certificate can no longer be verified: it can be a trusted self-signed signer, but never a
    certificate issued by another one.

    Raises:
        ValueError: the bytes are not a certificate.
    """
    try:
        structure = load(asn1_x509.Certificate, der)
        try:
            return _complete(der)
        except ValueError:
            lenient = _without_null_parameters(structure)
            if lenient is None:
                raise
            return _complete(lenient)
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _complete(der: bytes) -> x509.Certificate:
    """Parse, and force the parts that the library parses lazily, so that none can fail later."""
    _keep_quiet()
    certificate = x509.load_der_x509_certificate(der)
    certificate.public_key()
    _ = certificate.subject, certificate.issuer, certificate.extensions
    return certificate


def _keep_quiet() -> None:
    # Not in a `with` block: filters are process-wide, and the library also warns on later accesses.
    for message in _WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def _without_null_parameters(certificate: asn1_x509.Certificate) -> bytes | None:
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
        data: PEM text; text between certificates is ignored.
        source: the file's name, for messages.

    Raises:
        KeystoreError: there is none, too many, or one cannot be read.
    """
    if len(data) > _PEM_BYTES_MAX:
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE, f"{source} has more than {_PEM_BYTES_MAX} bytes"
        )
    try:
        found = (block for block in pem_blocks(data) if block.label == _LABEL)
        blocks = list(islice(found, _CERTIFICATES_MAX + 1))
        certificates = tuple(load_der(block.der()) for block in blocks[:_CERTIFICATES_MAX])
    except ValueError as error:
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE, f"{source} is no readable certificate: {error}"
        ) from error
    if not 0 < len(blocks) <= _CERTIFICATES_MAX:
        found_many = f"more than {_CERTIFICATES_MAX}" if blocks else "no"
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE,
            f"{source} holds {found_many} PEM certificates, expected 1 to {_CERTIFICATES_MAX}",
        )
    return certificates


def issuer_path(
    leaf: x509.Certificate, others: Iterable[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The leaf followed by its issuers, found by name, as far as `others` contains them.

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
