"""PKCS#12 files as Java reads them: every key, every certificate, and what binds one to the other.

The library gives one key, and the certificates without the ids that bind them to keys, so the file
is read here. Its MAC is verified before anything in it is decrypted, where it has one.

Source: RFC 7292; Java `sun.security.pkcs12.PKCS12KeyStore`.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cpi.crypto.certificates import load_der
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.derivation_rounds import DerivationRounds
from cpi.crypto.key_material import (
    KeyMaterial,
    NamedCertificate,
    NamedKey,
    password_needed,
    wrong_password,
)
from cpi.crypto.pbe import (
    MAC_PURPOSE,
    decryptions,
    derive_pkcs12,
    encrypted_key,
    identified,
    pkcs12_passwords,
)
from cpi.crypto.private_keys import PrivateKeyTypes, private_key
from cpi.crypto.tlv import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    definite,
    expect,
    integer,
    members,
    object_identifier,
    read_element,
)
from cpi.errors import Code, KeystoreError

_BAGS_MAX = 1_000
_CONTEXT_0, _CONTEXT_0_PRIMITIVE = 0xA0, 0x80
_DATA, _ENCRYPTED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"
_BAG = "1.2.840.113549.1.12.10.1"
_KEY_BAG, _SHROUDED_KEY_BAG, _CERTIFICATE_BAG, _SAFE_BAG = (f"{_BAG}.{n}" for n in (1, 2, 3, 6))
_X509 = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME, _LOCAL_KEY_ID = "1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"
_TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
"""Java's mark of a certificate that was imported as trusted: never the certificate of a key."""
_MAC_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_JAVAS_ID = b"01"
"""The id that Java gives a single key without one, and the first certificate without one."""


def read_pkcs12(data: bytes, *, password: str | None, source: str) -> KeyMaterial:
    """Every private key and certificate of a PKCS#12 file.

    Args:
        data: the file; bytes behind it are ignored.
        password: None opens a file without encryption and MAC only.
        source: the file's name, for messages.

    Raises:
        KeystoreError: the file is damaged or encrypted in an outdated way, or the password is
            wrong or missing.
    """
    try:
        return _Reader(password, source).read(data)
    except ValueError as error:
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"{source} is no readable PKCS#12 file: {error}"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bag:
    """One item: its kind, its value, its attributes' first values, its place in its safe."""

    kind: str
    value: Element
    attributes: Mapping[str, Element]
    place: int

    @property
    def alias(self) -> str | None:
        name = self.attributes.get(_FRIENDLY_NAME)
        return name.content.decode("utf-16-be", errors="replace") if name else None

    @property
    def entry_id(self) -> bytes | None:
        stated = self.attributes.get(_LOCAL_KEY_ID)
        return stated.content if stated else None


class _Reader:
    """Reads one file; `definite` makes DER of each part, since many are written in BER."""

    def __init__(self, password: str | None, source: str) -> None:
        self._password = password
        self._source = source
        self._rounds = DerivationRounds(source)
        self._bags_left = _BAGS_MAX

    def read(self, data: bytes) -> KeyMaterial:
        check_der(data, trailing=True)
        whole = read_element(definite(data), SEQUENCE, "the file")
        _, content, *mac = members(whole, "the file", 2, 3)
        kind, holder = _content_info(content)
        if kind != _DATA:
            raise DerRefusedError(f"its content is {kind}, expected data under a password")
        safes = _octets(holder)
        if mac:
            self._check_mac(mac[0], safes)
        bags = [bag for safe in self._parts(safes) for bag in self._bags(self._opened(safe))]
        return _as_java_binds(
            KeyMaterial(
                privates=tuple(self._key(bag) for bag in bags if bag.kind in _KEY_BAGS),
                certificates=tuple(c for bag in bags for c in _certificate(bag)),
            )
        )

    def _known_password(self) -> str:
        if self._password is None:
            raise password_needed(self._source)
        return self._password

    def _check_mac(self, stated: Element, content: bytes) -> None:
        value, stated_salt, *number = members(stated, "the MAC", 2, 3)
        algorithm, expected = members(value, "the MAC", 2)
        kind, _ = identified(algorithm)
        if kind not in _MAC_DIGESTS:
            raise DerRefusedError(f"its MAC is by {kind}, which is not taken")
        digest = _MAC_DIGESTS[kind]
        rounds = integer(expect(number[0], INTEGER, "a number of rounds")) if number else 1
        salt = expect(stated_salt, OCTET_STRING, "a salt").content
        for form in pkcs12_passwords(self._known_password()):
            self._rounds.spend(rounds)
            size = hashlib.new(digest).digest_size
            key = derive_pkcs12(form, salt, rounds, purpose=MAC_PURPOSE, size=size, digest=digest)
            found = hmac.digest(key, content, digest)
            if hmac.compare_digest(found, expected.content):
                return
        raise wrong_password(self._source)

    def _parts(self, data: bytes) -> list[Element]:
        check_der(data, trailing=True)
        return read_element(definite(data), SEQUENCE, "a list").children()

    def _opened(self, safe: Element) -> bytes:
        """The list of items in one part of the file; nothing of a part for other readers."""
        kind, holder = _content_info(safe)
        if kind == _DATA:
            return _octets(holder)
        if kind != _ENCRYPTED_DATA:
            return _NOTHING
        _, encrypted, *_ = members(_inner(holder), "encrypted data", 2, 3)
        _, algorithm, *content = members(encrypted, "encrypted content", 2, 3)
        if not content:
            return _NOTHING
        data = _implicit_octets(content[0])
        for plain in decryptions(algorithm, data, self._known_password(), self._rounds):
            try:
                self._parts(plain)
            except DerRefusedError:  # right padding by chance, under a wrong password
                continue
            return plain
        raise wrong_password(self._source)

    def _bags(self, items: bytes) -> Iterator[_Bag]:
        for place, item in enumerate(self._parts(items)):
            yield from self._bag(item, place)

    def _bag(self, item: Element, place: int) -> Iterator[_Bag]:
        self._bags_left -= 1
        if self._bags_left < 0:
            raise DerRefusedError(f"it holds more than {_BAGS_MAX} items")
        kind, holder, *attributes = members(item, "an item", 2, 3)
        value = _inner(expect(holder, _CONTEXT_0, "an item's value"))
        name = object_identifier(kind)
        if name == _SAFE_BAG:
            for inner in value.children():
                yield from self._bag(inner, place)
            return
        stated = attributes[0].children() if attributes else []
        yield _Bag(kind=name, value=value, attributes=dict(map(_attribute, stated)), place=place)

    def _key(self, bag: _Bag) -> NamedKey:
        return NamedKey(private=self._private(bag), alias=bag.alias, entry_id=bag.entry_id)

    def _private(self, bag: _Bag) -> PrivateKeyTypes | KeystoreError:
        if bag.kind == _KEY_BAG:
            return private_key(bag.value.der, self._source)
        algorithm, data = encrypted_key(bag.value.der)
        for plain in decryptions(algorithm, data, self._known_password(), self._rounds):
            try:
                return private_key(plain, self._source)
            except DerRefusedError:
                continue
        return wrong_password(f"{self._source}: key {bag.alias!r}")


_KEY_BAGS = (_KEY_BAG, _SHROUDED_KEY_BAG)
_NOTHING = b"\x30\x00"


def _certificate(bag: _Bag) -> Iterator[NamedCertificate]:
    if bag.kind != _CERTIFICATE_BAG:
        return
    kind, holder = _content_info(bag.value)
    if kind != _X509:
        return
    yield NamedCertificate(
        certificate=load_der(_octets(holder)),
        alias=bag.alias,
        entry_id=bag.entry_id,
        trusted=_TRUSTED_KEY_USAGE in bag.attributes,
        first=bag.place == 0,
    )


def _as_java_binds(material: KeyMaterial) -> KeyMaterial:
    """A single key without an id belongs to the first certificate, if that has none either."""
    if len(material.privates) != 1 or material.privates[0].entry_id is not None:
        return material
    return KeyMaterial(
        privates=(replace(material.privates[0], entry_id=_JAVAS_ID),),
        certificates=tuple(
            replace(c, entry_id=_JAVAS_ID) if c.first and c.entry_id is None else c
            for c in material.certificates
        ),
    )


def _content_info(element: Element) -> tuple[str, Element]:
    kind, content = members(element, "a content", 2)
    return object_identifier(kind), expect(content, _CONTEXT_0, "a content")


def _inner(holder: Element) -> Element:
    parts = holder.children()
    if len(parts) != 1:
        raise DerRefusedError(f"a value has {len(parts)} parts, expected 1")
    return parts[0]


def _octets(holder: Element) -> bytes:
    return expect(_inner(holder), OCTET_STRING, "a content").content


def _implicit_octets(element: Element) -> bytes:
    """An OCTET STRING under a tag of its own, in one piece or several."""
    if element.tag == _CONTEXT_0:
        return b"".join(expect(p, OCTET_STRING, "a piece").content for p in element.children())
    return expect(element, _CONTEXT_0_PRIMITIVE, "encrypted content").content


def _attribute(element: Element) -> tuple[str, Element]:
    kind, values = members(element, "an attribute", 2)
    found = expect(values, SET, "an attribute").children()
    if not found:
        raise DerRefusedError("an attribute has no value")
    return object_identifier(kind), found[0]
