"""Private keys with their certificates in PEM: PKCS#8 (plain or encrypted), PKCS#1 and SEC 1."""

from itertools import islice

from asn1crypto.keys import EncryptedPrivateKeyInfo
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.der import DerRefusedError, check_der, load
from cpi.crypto.derivation_rounds import DerivationRounds
from cpi.crypto.key_material import (
    KeyMaterial,
    NamedCertificate,
    NamedKey,
    password_needed,
    unreadable,
)
from cpi.crypto.pem import PemBlock, PemRefusedError, pem_blocks
from cpi.errors import Code, KeystoreError

_MARK = b"-----BEGIN "
_KEYS_MAX = 16
_LABELS = frozenset({"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_HEADER = b"Proc-Type:"


def is_pem(data: bytes) -> bool:
    """Whether a file is PEM; text may precede the first block, as `openssl` writes it."""
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
    try:
        keys = (block for block in pem_blocks(data) if block.label in _LABELS)
        blocks = list(islice(keys, _KEYS_MAX + 1))
    except PemRefusedError as error:
        raise KeystoreError(Code.KEYSTORE_INVALID, f"{source} is no PEM file: {error}") from error
    if len(blocks) > _KEYS_MAX:
        raise KeystoreError(Code.KEYSTORE_INVALID, f"{source} holds more than {_KEYS_MAX} keys")
    rounds = DerivationRounds(source)
    certificates = (
        load_pem_certificates(data, source=source) if b"BEGIN CERTIFICATE-" in data else ()
    )
    return KeyMaterial(
        privates=tuple(_private_key(block, password, source, rounds) for block in blocks),
        certificates=tuple(NamedCertificate(certificate=c, alias=None) for c in certificates),
    )


def _private_key(
    block: PemBlock, password: str | None, source: str, rounds: DerivationRounds
) -> NamedKey:
    by_header = block.body.lstrip().startswith(_HEADER)
    encrypted = by_header or block.label.startswith("ENCRYPTED")
    if encrypted and password is None:
        raise password_needed(source)
    try:
        if not by_header:
            check_der(block.der())
            if encrypted:
                info = load(EncryptedPrivateKeyInfo, block.der())
                rounds.derive(info["encryption_algorithm"])
        private = load_pem_private_key(block.text, (password or "").encode() if encrypted else None)
    except DerRefusedError as error:
        raise unreadable(source, error) from error
    except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm) as error:
        if encrypted and not isinstance(error, UnsupportedAlgorithm):
            # Decryption with a wrong password may give bytes with correct padding that are not a
            # key.
            raise KeystoreError(
                Code.KEYSTORE_PASSWORD, f"{source}: wrong password, or damaged key: {error}"
            ) from error
        raise unreadable(source, error) from error
    return NamedKey(private=private)
