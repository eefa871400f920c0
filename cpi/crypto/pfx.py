"""PKCS#12 files: keys and certificates, also certificates that the usual parser refuses.

Java's older tools put NULL parameters into ECDSA signature algorithms, Corda's public keystores
among them. The library refuses a whole file that contains such a certificate. This module then
parses the file itself, for the one modern scheme (PBES2 with PBKDF2 and AES-CBC), and verifies its
MAC too.

Source: RFC 7292 (PKCS#12), RFC 8018 (PBES2).
"""

import hashlib
import hmac
import warnings
from collections.abc import Iterator

from asn1crypto import cms
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12

from cpi.crypto.certificates import load_der
from cpi.crypto.der import load
from cpi.crypto.derivation_rounds import DerivationRounds
from cpi.crypto.key_material import (
    KeyMaterial,
    NamedCertificate,
    NamedKey,
    password_needed,
    unreadable,
)
from cpi.errors import Code, KeystoreError

_BAGS_MAX = 1_000
_TOO_MANY = f"more than {_BAGS_MAX} items"
_MAC_PURPOSE = 3
_ODD = (ValueError, TypeError, KeyError, AttributeError)
"""Errors that asn1crypto raises for unexpected contents."""
_PRFS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - PBKDF2's default PRF, which existing files use
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def read_pkcs12(data: bytes, *, password: str | None, source: str) -> KeyMaterial:
    """Every private key and certificate of a PKCS#12 file.

    Raises:
        KeystoreError: the file is damaged or encrypted in an outdated way, or the password is
            wrong or missing.
    """
    if password is None:
        raise password_needed(source)
    pfx = _opened(data, source)
    try:
        with warnings.catch_warnings():
            # A warning about BER instead of DER is of no use to a caller that only needs the key.
            warnings.simplefilter("ignore", UserWarning)
            content = pkcs12.load_pkcs12(data, password.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if "asn1" not in str(error).lower():
            raise unreadable(source, error) from error
        return _walk_instead(pfx, password, source, error)
    return KeyMaterial(
        privates=_privates(pfx, password, content.key, source) if content.key else (),
        certificates=_bound_certificates(pfx, password, source) or _named_certificates(content),
    )


def _named_certificates(
    content: pkcs12.PKCS12KeyAndCertificates,
) -> tuple[NamedCertificate, ...]:
    """The certificates as the library returns them: without the ids that bind them to keys."""
    first = [content.cert] if content.cert else []
    return tuple(
        NamedCertificate(
            certificate=entry.certificate,
            alias=entry.friendly_name.decode(errors="replace") if entry.friendly_name else None,
        )
        for entry in (*first, *content.additional_certs)
    )


def _bound_certificates(
    pfx: asn1_pkcs12.Pfx, password: str, source: str
) -> tuple[NamedCertificate, ...]:
    """The certificates with their keys' ids; none if they are encrypted in an outdated way."""
    try:
        safes = [_decrypted(safe, password, source) for safe in _safes(pfx)]
        return tuple(entry for safe in safes for entry in _certificates(safe, source))
    except (KeystoreError, *_ODD) as error:
        if isinstance(error, KeystoreError) and _TOO_MANY in error.message:
            raise
        return ()


def _opened(data: bytes, source: str) -> asn1_pkcs12.Pfx:
    """The file's structure, parsed before a library derives any key from the file."""
    rounds = DerivationRounds(source)
    try:
        pfx = load(asn1_pkcs12.Pfx, data, trailing=True)
        if pfx["mac_data"].native is not None:
            rounds.spend(pfx["mac_data"]["iterations"].native)
        for safe in _safes(pfx):
            _check_rounds(safe, rounds)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(source, error) from error
    return pfx


def _safes(pfx: asn1_pkcs12.Pfx) -> asn1_pkcs12.AuthenticatedSafe:
    return load(asn1_pkcs12.AuthenticatedSafe, bytes(pfx["auth_safe"]["content"]), trailing=True)


def _check_rounds(safe: cms.ContentInfo, rounds: DerivationRounds) -> None:
    if safe["content_type"].native == "data":
        bags = load(asn1_pkcs12.SafeContents, bytes(safe["content"]), trailing=True)
        algorithms = [
            bag["bag_value"].untag()["encryption_algorithm"]
            for bag in bags
            if bag["bag_id"].native == "pkcs8_shrouded_key_bag"
        ]
    elif safe["content_type"].native == "encrypted_data":
        encrypted = safe["content"]["encrypted_content_info"]
        algorithms = [encrypted["content_encryption_algorithm"]]
    else:
        algorithms = []
    for algorithm in algorithms:
        rounds.derive(algorithm)


def _privates(
    pfx: asn1_pkcs12.Pfx, password: str, first: PrivateKeyTypes, source: str
) -> tuple[NamedKey, ...]:
    """Every private key; the library returns only the first, but Java's files may hold several."""
    try:
        safes = _safes(pfx)
        plain = [bytes(safe["content"]) for safe in safes if safe["content_type"].native == "data"]
        if not password:
            # The library accepts an empty password for a file, but not for a single key.
            bags = [bag for safe in plain for bag in _key_bags(safe)]
            return tuple(_named(bag, first) for bag in bags[:1]) or (NamedKey(private=first),)
        found = tuple(key for safe in plain for key in _keys(safe, password))
    except (*_ODD, UnsupportedAlgorithm) as error:
        raise unreadable(source, error) from error
    return found or (NamedKey(private=first),)


def _keys(safe: bytes, password: str) -> Iterator[NamedKey]:
    for bag in _key_bags(safe):
        der = bag["bag_value"].untag().dump()
        yield _named(bag, load_der_private_key(der, password.encode()))


def _key_bags(safe: bytes) -> Iterator[asn1_pkcs12.SafeBag]:
    for bag in load(asn1_pkcs12.SafeContents, safe, trailing=True):
        if bag["bag_id"].native == "pkcs8_shrouded_key_bag":
            yield bag


def _named(bag: asn1_pkcs12.SafeBag, private: PrivateKeyTypes) -> NamedKey:
    alias, entry_id = _attributes(bag)
    return NamedKey(private=private, alias=alias, entry_id=entry_id)


def _attributes(bag: asn1_pkcs12.SafeBag) -> tuple[str | None, bytes | None]:
    """The name and the id of an item."""
    attributes = {a["type"].native: a["values"] for a in bag["bag_attributes"] or ()}
    names, ids = attributes.get("friendly_name"), attributes.get("local_key_id")
    return names[0].native if names else None, ids[0].native if ids else None


def _walk_instead(
    pfx: asn1_pkcs12.Pfx, password: str, source: str, first: Exception
) -> KeyMaterial:
    try:
        return _walk(pfx, password, source)
    except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm) as error:
        raise unreadable(source, first) from error


def _walk(pfx: asn1_pkcs12.Pfx, password: str, source: str) -> KeyMaterial:
    _check_mac(pfx, password, source)
    safes = [_decrypted(safe, password, source) for safe in _safes(pfx)]
    return KeyMaterial(
        privates=tuple(key for safe in safes for key in _keys(safe, password)),
        certificates=tuple(entry for safe in safes for entry in _certificates(safe, source)),
    )


def _check_mac(pfx: asn1_pkcs12.Pfx, password: str, source: str) -> None:
    stated = pfx["mac_data"]
    digest = stated["mac"]["digest_algorithm"]["algorithm"].native
    rounds = stated["iterations"].native
    block = hashlib.new(digest).block_size
    text = password.encode("utf-16-be") + b"\0\0"
    # RFC 7292 B.2 for a key of the digest's own length: one block, so its step 6C is not needed.
    key = bytes([_MAC_PURPOSE]) * block
    for part in (stated["mac_salt"].native, text):
        length = -(-len(part) // block) * block
        key += (part * (length // len(part) + 1))[:length]
    for _ in range(rounds):
        key = hashlib.new(digest, key).digest()
    found = hmac.digest(key, bytes(pfx["auth_safe"]["content"]), digest)
    if not hmac.compare_digest(found, stated["mac"]["digest"].native):
        raise KeystoreError(Code.KEYSTORE_PASSWORD, f"{source}: wrong password, or damaged file")


def _decrypted(safe: cms.ContentInfo, password: str, source: str) -> bytes:
    if safe["content_type"].native == "data":
        return bytes(safe["content"])
    encrypted = safe["content"]["encrypted_content_info"]
    algorithm = encrypted["content_encryption_algorithm"]
    scheme = algorithm["algorithm"].native
    cipher = algorithm["parameters"]["encryption_scheme"] if scheme == "pbes2" else None
    if cipher is None or not cipher["algorithm"].native.startswith("aes"):
        raise KeystoreError(
            Code.KEYSTORE_INVALID,
            f"{source} holds certificates with NULL parameters under the outdated encryption "
            f"{scheme}; convert it with `keytool -importkeystore`",
        )
    derivation = algorithm["parameters"]["key_derivation_func"]["parameters"]
    key = PBKDF2HMAC(
        algorithm=_PRFS[derivation["prf"]["algorithm"].native],
        length=int(cipher["algorithm"].native[3:6]) // 8,
        salt=derivation["salt"].native,
        iterations=derivation["iteration_count"].native,
    ).derive(password.encode())
    decryptor = Cipher(algorithms.AES(key), modes.CBC(cipher["parameters"].native)).decryptor()
    padded = decryptor.update(encrypted["encrypted_content"].native) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _certificates(safe: bytes, source: str) -> Iterator[NamedCertificate]:
    bags = load(asn1_pkcs12.SafeContents, safe, trailing=True)
    if len(bags) > _BAGS_MAX:
        raise KeystoreError(Code.KEYSTORE_INVALID, f"{source} holds {_TOO_MANY}")
    for bag in bags:
        if bag["bag_id"].native != "cert_bag":
            continue
        alias, entry_id = _attributes(bag)
        yield NamedCertificate(
            certificate=load_der(bytes(bag["bag_value"]["cert_value"])),
            alias=alias,
            entry_id=entry_id,
        )
