"""Encryption by a password, as key files use it: deriving keys, and decrypting.

Taken are the schemes that Java and OpenSSL write into key stores: PBES2 with PBKDF2, and the older
ones of PKCS#12 with SHA-1. A password is text; PKCS#12 derives from its UTF-16 form with two zero
bytes behind it, and for an empty password some tools leave out those two as well.

Source: RFC 8018 (PBES2), RFC 7292 appendix B (PKCS#12).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import (
    Cipher,
    algorithms,
    modes,
)
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from cpi.crypto import rc2
from cpi.crypto.der import DerRefusedError
from cpi.crypto.derivation_rounds import DerivationRounds
from cpi.crypto.tlv import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    expect,
    integer,
    members,
    object_identifier,
    read_element,
)
from cpi.errors import Code, KeystoreError

KEY_PURPOSE, IV_PURPOSE, MAC_PURPOSE = 1, 2, 3
_RC2_BYTES_MAX = 256 * 1024
_PBES2, _PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"
_PRFS: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.2.7": hashes.SHA1(),  # noqa: S303 - PBKDF2's default, which existing files use
    "1.2.840.113549.2.8": hashes.SHA224(),
    "1.2.840.113549.2.9": hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
}
_PRF_DEFAULT = "1.2.840.113549.2.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A cipher: its name and the bytes of its key."""

    name: str
    key_bytes: int


_PBES2_CIPHERS = {
    "2.16.840.1.101.3.4.1.2": _Kind(name="aes", key_bytes=16),
    "2.16.840.1.101.3.4.1.22": _Kind(name="aes", key_bytes=24),
    "2.16.840.1.101.3.4.1.42": _Kind(name="aes", key_bytes=32),
    "1.2.840.113549.3.7": _Kind(name="3des", key_bytes=24),
}
_PKCS12_CIPHERS = {
    "1.2.840.113549.1.12.1.1": _Kind(name="rc4", key_bytes=16),
    "1.2.840.113549.1.12.1.2": _Kind(name="rc4", key_bytes=5),
    "1.2.840.113549.1.12.1.3": _Kind(name="3des", key_bytes=24),
    "1.2.840.113549.1.12.1.4": _Kind(name="3des", key_bytes=16),
    "1.2.840.113549.1.12.1.5": _Kind(name="rc2", key_bytes=16),
    "1.2.840.113549.1.12.1.6": _Kind(name="rc2", key_bytes=5),
}


def pkcs12_passwords(password: str) -> tuple[bytes, ...]:
    """The forms of a password that PKCS#12's own derivation may have been given."""
    form = password.encode("utf-16-be", "surrogatepass") + b"\0\0"
    return (form,) if password else (form, b"")


def derive_pkcs12(
    password: bytes, salt: bytes, rounds: int, *, purpose: int, size: int, digest: str
) -> bytes:
    """PKCS#12's own derivation (RFC 7292 B.2).

    Args:
        password: one of `pkcs12_passwords`.
        salt: as the file states it.
        rounds: as the file states them; the caller has counted them.
        purpose: what the result is for.
        size: of the result in bytes.
        digest: hashlib's name.
    """
    block = hashlib.new(digest).block_size
    spread = b"".join(_filled(part, block) for part in (salt, password))
    made = b""
    while True:
        piece = bytes([purpose]) * block + spread
        for _ in range(rounds):
            piece = hashlib.new(digest, piece).digest()
        made += piece
        if len(made) >= size:
            return made[:size]
        added = int.from_bytes(_filled(piece, block)[:block], "big") + 1
        spread = b"".join(
            ((int.from_bytes(spread[at : at + block], "big") + added) % (1 << 8 * block)).to_bytes(
                block, "big"
            )
            for at in range(0, len(spread), block)
        )


def decryptions(
    algorithm: Element, data: bytes, password: str, rounds: DerivationRounds
) -> Iterator[bytes]:
    """What `data` may be in plain text: one attempt for each form of the password.

    Attempts whose padding shows that the password is wrong are left out.

    Args:
        algorithm: the AlgorithmIdentifier.
        data: the encrypted bytes.
        password: text, possibly empty.
        rounds: counts the derivations of the file.

    Raises:
        KeystoreError: the scheme is not taken, or asks for too many rounds.
        DerRefusedError: its parameters are damaged.
    """
    kind, parameters = identified(algorithm)
    if kind == _PBES2:
        yield from _by_pbes2(parameters, data, password, rounds)
    elif kind in _PKCS12_CIPHERS:
        cipher = _PKCS12_CIPHERS[kind]
        salt, number = _salt_and_rounds(parameters)
        for form in pkcs12_passwords(password):
            rounds.spend(number)
            key, iv = (
                derive_pkcs12(form, salt, number, purpose=purpose, size=size, digest="sha1")
                for purpose, size in ((KEY_PURPOSE, cipher.key_bytes), (IV_PURPOSE, rc2.BLOCK))
            )
            yield from _decrypted(cipher.name, key, iv, data)
    else:
        raise _not_taken(rounds, "is encrypted", kind)


def identified(algorithm: Element) -> tuple[str, Element | None]:
    """The dotted identifier of an algorithm, and its parameters.

    Raises:
        DerRefusedError: it is no AlgorithmIdentifier.
    """
    kind, *parameters = members(algorithm, "an algorithm", 1, 2)
    return object_identifier(kind), parameters[0] if parameters else None


def _by_pbes2(
    parameters: Element | None, data: bytes, password: str, rounds: DerivationRounds
) -> Iterator[bytes]:
    derivation, encryption = _pair(parameters)
    function, stated = identified(derivation)
    if function != _PBKDF2:
        raise _not_taken(rounds, "derives a key", function)
    scheme, iv = identified(encryption)
    if scheme not in _PBES2_CIPHERS:
        raise _not_taken(rounds, "is encrypted", scheme)
    cipher = _PBES2_CIPHERS[scheme]
    salt, number, *further = members(_some(stated), "parameters", 2, 4)
    prf = next((identified(e)[0] for e in further if e.tag == SEQUENCE), _PRF_DEFAULT)
    if prf not in _PRFS:
        raise _not_taken(rounds, "derives a key", prf)
    count = integer(expect(number, INTEGER, "a number of rounds"))
    rounds.spend(count)
    key = PBKDF2HMAC(
        algorithm=_PRFS[prf],
        length=cipher.key_bytes,
        salt=expect(salt, OCTET_STRING, "a salt").content,
        iterations=count,
    ).derive(password.encode(errors="surrogatepass"))
    vector = expect(_some(iv), OCTET_STRING, "an initial vector").content
    yield from _decrypted(cipher.name, key, vector, data)


def _salt_and_rounds(parameters: Element | None) -> tuple[bytes, int]:
    salt, number = _pair(parameters)
    return (
        expect(salt, OCTET_STRING, "a salt").content,
        integer(expect(number, INTEGER, "a number of rounds")),
    )


def _pair(parameters: Element | None) -> tuple[Element, Element]:
    first, second = members(_some(parameters), "parameters", 2)
    return first, second


def _some(parameters: Element | None) -> Element:
    if parameters is None:
        raise DerRefusedError("an algorithm has no parameters")
    return parameters


def _decrypted(cipher: str, key: bytes, iv: bytes, data: bytes) -> Iterator[bytes]:
    """The plain text, if its padding is right."""
    try:
        plain = _stream(key, data) if cipher == "rc4" else _unpadded(cipher, key, iv, data)
    except DerRefusedError:
        raise
    except (ValueError, UnsupportedAlgorithm):
        return
    yield plain


def _stream(key: bytes, data: bytes) -> bytes:
    stream = Cipher(ARC4(key), mode=None).decryptor()
    return stream.update(data) + stream.finalize()


def _unpadded(cipher: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    unpadder = padding.PKCS7(8 * len(iv)).unpadder()
    return unpadder.update(_blocks(cipher, key, iv, data)) + unpadder.finalize()


def _blocks(cipher: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    if cipher == "rc2":
        if len(data) > _RC2_BYTES_MAX:
            raise DerRefusedError(f"{len(data)} bytes under RC2, at most {_RC2_BYTES_MAX}")
        return rc2.decrypt(data, key=key, effective_bits=8 * len(key), iv=iv)
    # Of two keys of 3DES, the first is used twice.
    block = algorithms.AES(key) if cipher == "aes" else TripleDES((key + key[:8])[:24])
    decryptor = Cipher(block, modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _filled(part: bytes, block: int) -> bytes:
    """The part repeated to a whole number of blocks; nothing of nothing."""
    length = -(-len(part) // block) * block
    return (part * (length // len(part) + 1))[:length] if part else b""


def _not_taken(rounds: DerivationRounds, does: str, kind: str) -> KeystoreError:
    return KeystoreError(
        Code.KEYSTORE_INVALID,
        f"{rounds.source} {does} by {kind!r:.80}, which is not taken; convert it to PBES2 with"
        " PBKDF2 and AES",
    )


def encrypted_key(der: bytes) -> tuple[Element, bytes]:
    """Algorithm and encrypted bytes of an EncryptedPrivateKeyInfo.

    Raises:
        DerRefusedError: it is none.
    """
    algorithm, data = _pair(read_element(der, SEQUENCE, "an encrypted key"))
    return algorithm, expect(data, OCTET_STRING, "an encrypted key").content
