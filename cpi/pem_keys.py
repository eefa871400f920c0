"""Private keys with their certificates in PEM: PKCS#8 (plain or encrypted), PKCS#1 and SEC 1."""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cpi.certificates import load_pem_certificates
from cpi.errors import Code, KeystoreError
from cpi.key_material import KeyMaterial, NamedCertificate, password_needed, unreadable

_MARK = b"-----BEGIN "
_KEYS_MAX = 16
_KEY = re.compile(
    rb"-----BEGIN ((?:ENCRYPTED |RSA |EC )?PRIVATE KEY)-----[^-]*(?:-[^-]+)*-----END \1-----"
)


def is_pem(data: bytes) -> bool:
    """Whether a file is PEM; text may stand before the first block, as `openssl` writes it."""
    return _MARK in data[:65_536] and not data.startswith(b"\x30")


def read_pem(data: bytes, *, password: str | None, source: str) -> KeyMaterial:
    """Every private key and certificate of a PEM file.

    Args:
        data: the file.
        password: of encrypted keys; plain ones do not need it.
        source: the file's name, for messages.

    Raises:
        KeystoreError: a block cannot be read, or the password is wrong or missing.
    """
    blocks = [match.group(0) for match in _KEY.finditer(data)]
    if len(blocks) > _KEYS_MAX:
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"{source} holds {len(blocks)} keys, at most {_KEYS_MAX}"
        )
    certificates = (
        load_pem_certificates(data, source=source) if b"BEGIN CERTIFICATE-" in data else ()
    )
    return KeyMaterial(
        privates=tuple(_private_key(block, password, source) for block in blocks),
        certificates=tuple(NamedCertificate(certificate=c, alias=None) for c in certificates),
    )


def _private_key(block: bytes, password: str | None, source: str) -> PrivateKeyTypes:
    encrypted = b"ENCRYPTED" in block
    if encrypted and password is None:
        raise password_needed(source)
    try:
        return load_pem_private_key(block, (password or "").encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unreadable(source, error) from error
