"""Private keys with their certificates in PEM: PKCS#8 (plain or encrypted), PKCS#1 and SEC 1.

`openssl pkcs12` writes the names and ids of a key store's items before each block ("Bag
Attributes"). They bind keys to certificates as in the key store.
"""

import re
from itertools import islice

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import certificates_of
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.derivation_rounds import DerivationRounds
from cpi.crypto.key_material import (
    KeyMaterial,
    NamedCertificate,
    NamedKey,
    password_needed,
    wrong_password,
)
from cpi.crypto.pbe import decryptions, encrypted_key
from cpi.crypto.pem import PemBlock, pem_blocks
from cpi.crypto.private_keys import PrivateKeyTypes, private_key
from cpi.errors import Code, KeystoreError

_MARK = b"-----BEGIN "
_KEYS_MAX = 16
_BLOCKS_MAX = 256
_PKCS8, _ENCRYPTED = "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"
_LABELS = frozenset({_PKCS8, _ENCRYPTED, "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_HEADER = b"Proc-Type:"
_ATTRIBUTES = b"Bag Attributes"
_ID = re.compile(rb"^\s*localKeyID: ([0-9A-F]{2}(?: [0-9A-F]{2})*)[ \t\r]*$", re.MULTILINE)
_NAME = re.compile(rb"^\s*friendlyName: ([^\r\n]*)", re.MULTILINE)
_TRUSTED = b"2.16.840.1.113894.746875.1.1:"
_WORDS_MAX = 4096


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
        blocks = list(islice(pem_blocks(data), _BLOCKS_MAX + 1))
    except ValueError as error:
        raise KeystoreError(Code.KEYSTORE_INVALID, f"{source} is no PEM file: {error}") from error
    keys = [block for block in blocks if block.label in _LABELS]
    if len(keys) > _KEYS_MAX or len(blocks) > _BLOCKS_MAX:
        raise KeystoreError(
            Code.KEYSTORE_INVALID,
            f"{source} holds more than {_KEYS_MAX} keys, or {_BLOCKS_MAX} blocks",
        )
    rounds = DerivationRounds(source)
    return KeyMaterial(
        privates=tuple(_named(block, password, rounds) for block in keys),
        certificates=tuple(
            _named_certificate(block, certificate)
            for block, certificate in certificates_of(blocks, source=source)
        ),
    )


def _named(block: PemBlock, password: str | None, rounds: DerivationRounds) -> NamedKey:
    alias, entry_id, _ = _attributes(block)
    private = _private_key(block, password, rounds)
    return NamedKey(private=private, alias=alias, entry_id=entry_id)


def _named_certificate(block: PemBlock, certificate: Certificate) -> NamedCertificate:
    alias, entry_id, trusted = _attributes(block)
    return NamedCertificate(
        certificate=certificate, alias=alias, entry_id=entry_id, trusted=trusted
    )


def _attributes(block: PemBlock) -> tuple[str | None, bytes | None, bool]:
    """Name, id, whether it was imported as trusted: what `openssl pkcs12` states before a block."""
    _, found, words = block.before[-_WORDS_MAX:].rpartition(_ATTRIBUTES)
    if not found:
        return None, None, False
    name, entry_id = _NAME.search(words), _ID.search(words)
    return (
        name[1].decode(errors="replace").strip() or None if name else None,
        bytes.fromhex(entry_id[1].decode()) if entry_id else None,
        _TRUSTED in words,
    )


def _private_key(
    block: PemBlock, password: str | None, rounds: DerivationRounds
) -> PrivateKeyTypes | KeystoreError:
    source = rounds.source
    by_header = block.body.lstrip().startswith(_HEADER)
    if (by_header or block.label == _ENCRYPTED) and password is None:
        raise password_needed(source)
    try:
        if by_header:
            return load_pem_private_key(block.text, (password or "").encode())
        der = block.der()
        check_der(der)
        if block.label == _ENCRYPTED:
            return _decrypted(der, password or "", rounds)
        if block.label == _PKCS8:
            return private_key(der, source)
        return load_pem_private_key(block.text, None)
    except DerRefusedError as error:
        raise KeystoreError(Code.KEYSTORE_INVALID, f"{source} cannot be opened: {error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if by_header:
            raise wrong_password(f"{source}: {error}") from error
        raise KeystoreError(Code.KEYSTORE_INVALID, f"{source} cannot be opened: {error}") from error


def _decrypted(
    der: bytes, password: str, rounds: DerivationRounds
) -> PrivateKeyTypes | KeystoreError:
    """The key; under a wrong password, bytes with correct padding may come out that are none."""
    algorithm, data = encrypted_key(der)
    for plain in decryptions(algorithm, data, password, rounds):
        try:
            return private_key(plain, rounds.source)
        except DerRefusedError:
            continue
    raise wrong_password(rounds.source)
