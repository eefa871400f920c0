"""Loading X.509 certificates from DER, PEM and PKCS#7, within limits, and finding their issuers."""

from collections.abc import Iterable, Iterator
from itertools import islice

from cpi.crypto.certificate import AnyCertificate, Certificate, as_certificates
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.extensions import check_critical_extensions
from cpi.crypto.pem import PemBlock, pem_blocks
from cpi.crypto.tlv import SEQUENCE, definite, expect, members, object_identifier, read_element
from cpi.errors import Code, KeystoreError

_CERTIFICATES_MAX = 64
_BLOCKS_MAX = 256
_PEM_BYTES_MAX = 1024 * 1024
_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_PKCS7 = "PKCS7"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_HOLDER = 0xA0


def load_der(der: bytes) -> Certificate:
    """A certificate from its DER encoding.

    Raises:
        ValueError: the bytes are not a certificate.
    """
    certificate = Certificate(der)
    check_critical_extensions(certificate)
    return certificate


def load_pem_certificates(data: bytes, *, source: str) -> tuple[Certificate, ...]:
    """Every certificate of a file, in file order.

    Args:
        data: PEM text, in which other text is ignored; or DER of one certificate or of a PKCS#7
            bundle, as `keytool -exportcert` and `openssl crl2pkcs7` write them.
        source: the file's name, for messages.

    Raises:
        KeystoreError: there is none, too many, or one cannot be read.
    """
    if len(data) > _PEM_BYTES_MAX:
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE, f"{source} has more than {_PEM_BYTES_MAX} bytes"
        )
    try:
        if data.startswith(bytes([SEQUENCE])):
            found = [load_der(der) for der in islice(_encodings(data), _CERTIFICATES_MAX + 1)]
        else:
            blocks = islice(pem_blocks(data), _BLOCKS_MAX)
            found = [certificate for _, certificate in certificates_of(blocks, source=source)]
    except ValueError as error:
        raise _unreadable(source, error) from error
    if not 0 < len(found) <= _CERTIFICATES_MAX:
        found_many = f"more than {_CERTIFICATES_MAX}" if found else "no"
        raise KeystoreError(
            Code.CERTIFICATE_UNREADABLE,
            f"{source} holds {found_many} PEM certificates, expected 1 to {_CERTIFICATES_MAX}",
        )
    return tuple(found)


def certificates_of(
    blocks: Iterable[PemBlock], *, source: str
) -> list[tuple[PemBlock, Certificate]]:
    """The certificates in PEM blocks, each with its block; one more than is allowed at most.

    Raises:
        KeystoreError: one cannot be read.
    """
    try:
        every = (
            (block, der)
            for block in blocks
            if block.label in _LABELS or block.label == _PKCS7
            for der in (
                bundled_certificates(block.der()) if block.label == _PKCS7 else (block.der(),)
            )
        )
        return [(block, load_der(der)) for block, der in islice(every, _CERTIFICATES_MAX + 1)]
    except ValueError as error:
        raise _unreadable(source, error) from error


def _encodings(data: bytes) -> Iterator[bytes]:
    """The certificates of a DER file: itself, or those of a bundle."""
    check_der(data)
    parts = read_element(definite(data), SEQUENCE, "the file").children()
    is_bundle = len(parts) == 2 and parts[0].tag != SEQUENCE
    yield from bundled_certificates(data) if is_bundle else (data,)


def bundled_certificates(der: bytes) -> Iterator[bytes]:
    """The encodings of the certificates in CMS SignedData, such as a PKCS#7 bundle.

    Raises:
        DerRefusedError: it is none.
    """
    check_der(der)
    kind, holder = members(read_element(definite(der), SEQUENCE, "a bundle"), "a bundle", 2)
    if object_identifier(kind) != _SIGNED_DATA:
        raise DerRefusedError("it is neither a certificate nor a PKCS#7 bundle of them")
    inner = expect(holder, _HOLDER, "a bundle").children()
    content = inner[0] if inner else holder
    for field in members(content, "a bundle", 4, 6):
        if field.tag == _HOLDER:
            yield from (certificate.der for certificate in field.children())


def _unreadable(source: str, error: ValueError) -> KeystoreError:
    return KeystoreError(
        Code.CERTIFICATE_UNREADABLE, f"{source} is no readable certificate: {error}"
    )


def issuer_path(leaf: AnyCertificate, others: Iterable[AnyCertificate]) -> tuple[Certificate, ...]:
    """The leaf followed by its issuers, found by name, as far as `others` contains them.

    Each certificate is taken once; signatures are not checked.
    """
    path, left = list(as_certificates([leaf])), list(as_certificates(others))
    while not path[-1].is_self_issued:
        above = next((c for c in left if c.subject == path[-1].issuer), None)
        if above is None:
            break
        path.append(above)
        left.remove(above)
    return tuple(path)
