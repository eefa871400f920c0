"""PKCS#12 files of any shape, as Java, OpenSSL and others write them."""

import hmac
import os
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cpi.crypto.pbe import derive_pkcs12
from cpi.crypto.tlv import NULL, OCTET_STRING, SEQUENCE, SET, encode
from tests.certificates.making import number, oid

_DATA, _ENCRYPTED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"
_BAG = "1.2.840.113549.1.12.10.1"
_TRUSTED = "2.16.840.1.113894.746875.1.1"
_ROUNDS = 1000
BMP_STRING = 0x1E


@dataclass(frozen=True, kw_only=True)
class Item:
    """A key or a certificate with its attributes."""

    alias: str | None = None
    entry_id: bytes | None = None
    trusted: bool = False
    key: Any = None
    certificate: bytes | None = None


def attributes(item: Item) -> bytes:
    stated = b""
    if item.alias is not None:
        text = encode(BMP_STRING, item.alias.encode("utf-16-be"))
        stated += encode(SEQUENCE, oid("1.2.840.113549.1.9.20"), encode(SET, text))
    if item.entry_id is not None:
        stated += encode(
            SEQUENCE,
            oid("1.2.840.113549.1.9.21"),
            encode(SET, encode(OCTET_STRING, item.entry_id)),
        )
    if item.trusted:
        stated += encode(SEQUENCE, oid(_TRUSTED), encode(SET, oid("2.5.29.37.0")))
    return encode(SET, stated) if stated else b""


def encrypted(data: bytes, password: str, scheme: str, form: bytes | None) -> tuple[bytes, bytes]:
    """Algorithm and encrypted bytes; `form` is the password for PKCS#12's own derivation."""
    salt, iv = os.urandom(16), os.urandom(16)
    if scheme == "3des":
        own = password.encode("utf-16-be") + b"\0\0" if form is None else form
        key, iv = (
            derive_pkcs12(own, salt, _ROUNDS, purpose=purpose, size=size, digest="sha1")
            for purpose, size in ((1, 24), (2, 8))
        )
        parameters = encode(SEQUENCE, encode(OCTET_STRING, salt), number(_ROUNDS))
        algorithm = encode(SEQUENCE, oid("1.2.840.113549.1.12.1.3"), parameters)
        cipher: Any = TripleDES(key)
    else:
        prf, chosen = {
            "aes256": ("1.2.840.113549.2.9", hashes.SHA256()),
            "aes256-sha512": ("1.2.840.113549.2.11", hashes.SHA512()),
        }[scheme]
        key = PBKDF2HMAC(chosen, 32, salt, _ROUNDS).derive(password.encode())
        function = encode(
            SEQUENCE,
            encode(OCTET_STRING, salt),
            number(_ROUNDS),
            number(32),
            encode(SEQUENCE, oid(prf), encode(NULL)),
        )
        derivation = encode(SEQUENCE, oid("1.2.840.113549.1.5.12"), function)
        aes = encode(SEQUENCE, oid("2.16.840.1.101.3.4.1.42"), encode(OCTET_STRING, iv))
        parameters = encode(SEQUENCE, derivation, aes)
        algorithm = encode(SEQUENCE, oid("1.2.840.113549.1.5.13"), parameters)
        cipher = algorithms.AES(key)
    padder = padding.PKCS7(8 * len(iv)).padder()
    padded = padder.update(data) + padder.finalize()
    encryptor = Cipher(cipher, modes.CBC(iv)).encryptor()
    return algorithm, encryptor.update(padded) + encryptor.finalize()


def store(
    items: list[Item],
    password: str,
    *,
    scheme: str = "aes256",
    certificates_plain: bool = False,
    keys_first: bool = True,
    mac: str | None = "sha256",
    form: bytes | None = None,
) -> bytes:
    """A PKCS#12 file.

    Args:
        items: keys and certificates.
        password: of all.
        scheme: how keys and certificates are encrypted.
        certificates_plain: whether certificates are not.
        keys_first: whether the part with the keys is the first.
        mac: its digest; None for a file without one.
        form: the octets of the password in PKCS#12's own derivation, if not the usual ones.
    """
    keys = encode(SEQUENCE, *(_key(i, password, scheme, form) for i in items if i.key is not None))
    certificates = encode(SEQUENCE, *(_certificate(i) for i in items if i.certificate is not None))
    parts = [_plain(keys)]
    if certificates_plain:
        parts.append(_plain(certificates))
    else:
        algorithm, data = encrypted(certificates, password, scheme, form)
        content = encode(SEQUENCE, oid(_DATA), algorithm, encode(0x80, data))
        body = encode(SEQUENCE, number(0), content)
        parts.append(encode(SEQUENCE, oid(_ENCRYPTED), encode(0xA0, body)))
    safes = encode(SEQUENCE, *(parts if keys_first else parts[::-1]))
    stated = b"" if mac is None else _mac(safes, password, mac, form)
    return encode(SEQUENCE, number(3), _plain(safes), stated)


def _plain(data: bytes) -> bytes:
    return encode(SEQUENCE, oid(_DATA), encode(0xA0, encode(OCTET_STRING, data)))


def _key(item: Item, password: str, scheme: str, form: bytes | None) -> bytes:
    plain = item.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    algorithm, data = encrypted(plain, password, scheme, form)
    shrouded = encode(SEQUENCE, algorithm, encode(OCTET_STRING, data))
    return encode(SEQUENCE, oid(f"{_BAG}.2"), encode(0xA0, shrouded), attributes(item))


def _certificate(item: Item) -> bytes:
    assert item.certificate is not None
    octets = encode(0xA0, encode(OCTET_STRING, item.certificate))
    holder = encode(SEQUENCE, oid("1.2.840.113549.1.9.22.1"), octets)
    return encode(SEQUENCE, oid(f"{_BAG}.3"), encode(0xA0, holder), attributes(item))


def _mac(content: bytes, password: str, digest: str, form: bytes | None) -> bytes:
    kind = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1"}[digest]
    salt, size = os.urandom(20), {"sha1": 20, "sha256": 32}[digest]
    own = password.encode("utf-16-be") + b"\0\0" if form is None else form
    key = derive_pkcs12(own, salt, _ROUNDS, purpose=3, size=size, digest=digest)
    value = encode(
        SEQUENCE,
        encode(SEQUENCE, oid(kind), encode(NULL)),
        encode(OCTET_STRING, hmac.digest(key, content, digest)),
    )
    return encode(SEQUENCE, value, encode(OCTET_STRING, salt), number(_ROUNDS))
