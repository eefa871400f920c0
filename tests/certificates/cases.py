"""Generated certificates and key stores: which dimensions there are, and what each changes."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cpi.crypto.tlv import GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, UTC_TIME, encode
from tests.certificates.making import (
    AUTHORITY,
    BMP,
    CN,
    CRITICAL,
    IA5,
    ORG,
    OU,
    PRINTABLE,
    ST,
    T61,
    UNCRITICAL,
    UNIVERSAL,
    UTF8,
    C,
    L,
    Shape,
    Value,
    bit_string,
    certificate,
    constraints,
    name,
    plain_name,
    private_key,
    purposes,
    utc,
)
from tests.certificates.stores import Item, store

PASSWORD = "changeit1"
_KU, _SAN, _BC, _NC, _EKU = "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.37"
_NETSCAPE = "2.16.840.1.113730.1.1"
_PURPOSE = "1.3.6.1.5.5.7.3"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A key store: `what` names its dimensions, `alias` the key to sign with, `trust` its root."""

    what: tuple[str, ...]
    data: bytes
    alias: str
    leaf: bytes
    trust: bytes
    password: str = PASSWORD


Named = Callable[[list[list[Value]]], list[list[Value]]]
Changed = Callable[[Shape], Shape]


def _with(*values: Value) -> Named:
    return lambda subject: [[value] for value in values] + subject[2:]


def _more(*values: Value) -> Named:
    return lambda subject: [*subject, list(values)]


SUBJECTS: dict[str, Named] = {
    "plain": lambda subject: subject,
    "country Unknown": _with((C, PRINTABLE, b"Unknown"), (ORG, UTF8, b"Org")),
    "country USA": _with((C, PRINTABLE, b"USA"), (ORG, UTF8, b"Org")),
    "country of one letter": _with((C, PRINTABLE, b"X"), (ORG, UTF8, b"Org")),
    "empty country": _with((C, PRINTABLE, b""), (ORG, UTF8, b"Org")),
    "Cyrillic": _more((CN, UTF8, "Удостоверяющий центр подписи приложений".encode())),
    "long name": _more((CN, UTF8, b"Continuous Integration " * 9)),
    "empty unit": _more((OU, UTF8, b"")),
    "two in one": _more((OU, UTF8, b"One"), (L, UTF8, b"London")),
    "the same type twice in one": _more((OU, UTF8, b"One"), (OU, UTF8, b"Two")),
    "unknown type in one with a name": _more((CN, UTF8, b"x"), ("1.2.3.4", UTF8, b"y")),
    "T.61": _more((OU, T61, "Zürich".encode("latin-1"))),
    "T.61 of ASCII": _more((OU, T61, b"Zurich")),
    "BMP": _more((OU, BMP, "Zürich".encode("utf-16-be"))),
    "universal": _more((OU, UNIVERSAL, "Zürich".encode("utf-32-be"))),
    "IA5": _more((L, IA5, b"London")),
    "address": _more(("1.2.840.113549.1.9.1", IA5, b"ci@example.com")),
    "serial number": _more(("2.5.4.5", PRINTABLE, b"12345")),
    "domain": _more(("0.9.2342.19200300.100.1.25", IA5, b"example")),
    "a number for a name": _more(("1.2.3.5", INTEGER, b"\5")),
    "printable with underscore": _more((OU, PRINTABLE, b"a_b@c*&")),
    "broken UTF-8": _more((OU, UTF8, b"a\xff\xfeb")),
    "spaces": _more((ST, UTF8, b"  two  spaces ")),
    "special characters": _more((OU, UTF8, b'#a,b+c"d\\e<f>g;h=i')),
    "zero octet": _more((OU, UTF8, b"a\0b")),
    "emoji": _more((OU, UTF8, "bank 🏦".encode())),
}


def _shaped(**changes: Any) -> Changed:
    return lambda shape: shape.with_changes(**changes)


def _extended(kind: str, critical: bytes, value: bytes) -> Changed:
    return lambda shape: shape.with_changes(
        extensions=[*shape.extensions, (kind, critical, value)], version=2
    )


_FAR = datetime(2045, 1, 1, tzinfo=UTC)
SHAPES: dict[str, Changed] = {
    "plain": lambda shape: shape,
    "serial 0": _shaped(serial=0),
    "serial -5": _shaped(serial=-5),
    "serial of 25 octets": _shaped(serial=1 << 199),
    "serial of 64 octets": _shaped(serial=1 << 511),
    "version 1": _shaped(version=None),
    "version 2": _shaped(version=1),
    "version 4": _shaped(version=3),
    "version 1 with extensions": lambda shape: _extended(_KU, CRITICAL, bit_string(0x80))(
        shape
    ).with_changes(version=None),
    "unique ids": _shaped(unique_ids=b"\x81\x02\0\1\x82\x02\0\2"),
    "times without seconds": _shaped(begin=encode(UTC_TIME, b"2401010000Z")),
    "times with offsets": _shaped(begin=encode(UTC_TIME, b"240101000000+0130")),
    "generalized time in this century": _shaped(begin=encode(GENERALIZED_TIME, b"20240101000000Z")),
    "fractions of seconds": _shaped(begin=encode(GENERALIZED_TIME, b"20240101000000.123Z")),
    "the thirtieth of February": _shaped(begin=encode(UTC_TIME, b"240230000000Z")),
    "the thirteenth month": _shaped(begin=encode(UTC_TIME, b"241301000000Z")),
    "since 1950": _shaped(begin=encode(UTC_TIME, b"500101000000Z")),
    "until 9999": _shaped(end=encode(GENERALIZED_TIME, b"99991231235959Z")),
    "for a thousand years": _shaped(end=utc(datetime(3024, 1, 1, tzinfo=UTC))),
    "expires in 10 days": lambda s: s.with_changes(end=_from_now(10)),
    "expires in 100 days": lambda s: s.with_changes(end=_from_now(100)),
    "expires in 200 days": lambda s: s.with_changes(end=_from_now(200)),
    "expired": lambda s: s.with_changes(end=_from_now(-10)),
    "not yet valid": lambda s: s.with_changes(begin=_from_now(10)),
    "key usage": _extended(_KU, CRITICAL, bit_string(0x80, unused=7)),
    "key usage without signatures": _extended(_KU, CRITICAL, bit_string(0x20, unused=5)),
    "non-repudiation alone": _extended(_KU, UNCRITICAL, bit_string(0x40, unused=6)),
    "empty key usage": _extended(_KU, UNCRITICAL, bit_string()),
    "code signing": _extended(_EKU, UNCRITICAL, purposes(f"{_PURPOSE}.3")),
    "server alone": _extended(_EKU, UNCRITICAL, purposes(f"{_PURPOSE}.1")),
    "any purpose": _extended(_EKU, CRITICAL, purposes("2.5.29.37.0")),
    "object signing": _extended(_NETSCAPE, UNCRITICAL, bit_string(0x10, unused=4)),
    "Netscape client": _extended(_NETSCAPE, UNCRITICAL, bit_string(0x80, unused=7)),
    "unknown extension": _extended("1.2.3.4", UNCRITICAL, b"\xff\xff"),
    "unknown critical extension": _extended("1.2.3.4", CRITICAL, b"\5\0"),
    "unreadable names": _extended(_SAN, UNCRITICAL, b"\xff\xff"),
    "names of no form": _extended(_SAN, UNCRITICAL, encode(SEQUENCE, encode(0x82, b"\xff a"))),
    "unreadable critical names": _extended(_SAN, CRITICAL, b"\xff\xff"),
    "empty extension": _extended("2.5.29.14", UNCRITICAL, b""),
    "unreadable constraints": _extended(_BC, UNCRITICAL, b"\xff\xff"),
    "explicitly no CA": _extended(_BC, CRITICAL, encode(SEQUENCE, b"\1\1\0")),
    "flag in BER": _extended(_BC, CRITICAL, constraints(ca=True, true=b"\1")),
    "key identifier": _extended("2.5.29.14", UNCRITICAL, encode(OCTET_STRING, bytes(20))),
    "constrained names": _extended(_NC, CRITICAL, encode(SEQUENCE, encode(0xA0, encode(SEQUENCE, encode(0x82, b"a.b"))))),
    "an extension twice": lambda s: _extended("1.2.3.4", UNCRITICAL, b"\5\0")(
        _extended("1.2.3.4", UNCRITICAL, b"\5\0")(s)
    ),
    "NULL parameters": _shaped(null_parameters=True),
    "SHA-1": _shaped(digest="sha1"),
    "SHA-512": _shaped(digest="sha512"),
    "two algorithms": _shaped(other_inner_algorithm=True),
}  # fmt: skip


def _from_now(days: int) -> bytes:
    return utc(datetime.now(UTC).replace(microsecond=0) + timedelta(days=days))


KEYS = ("p256", "p256", "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa1024", "dsa2048", "ed25519", "k256")  # fmt: skip
SCHEMES = ("aes256", "aes256", "aes256-sha512", "3des")


def _chain(chance: random.Random, shape: Shape, key: Any) -> tuple[str, list[bytes], bytes]:
    """A name for the chain, its certificates, leaf first, and the one to trust."""
    kind = chance.choice(
        ("self-signed", "self-signed", "root", "intermediate", "incomplete", "other case",
         "other string types", "renewed issuer", "weak issuer", "serial 0 issuer", "foreign issuer")
    )  # fmt: skip
    if kind == "self-signed":
        own = certificate(shape, key)
        return kind, [own], own
    root_key, ca_key = private_key("p256", 1), private_key("p256", 2)
    root = Shape(subject=plain_name("Root"), serial=0 if kind == "serial 0 issuer" else 1)
    root = root.with_changes(**AUTHORITY)
    made_root = certificate(root, root_key)
    ca_shape = Shape(subject=plain_name("CA"), serial=2).with_changes(**AUTHORITY)
    if kind == "weak issuer":
        ca_shape = ca_shape.with_changes(digest="sha1")
    ca = certificate(ca_shape, ca_key, (name(root.subject), root_key))
    stated = ca_shape.subject
    if kind == "other case":
        stated = [[(k, tag, v.upper()) for k, tag, v in rdn] for rdn in stated]
    if kind == "other string types":
        stated = [[(k, PRINTABLE, v) for k, _, v in rdn] for rdn in stated]
    if kind == "root":
        issued = certificate(shape, key, (name(root.subject), root_key))
        return kind, [issued, made_root], made_root
    leaf = certificate(shape, key, (name(stated), ca_key))
    if kind == "renewed issuer":
        old = certificate(ca_shape.with_changes(serial=3), private_key("p256", 3), (name(root.subject), root_key))  # fmt: skip
        return kind, [leaf, old, ca, made_root], made_root
    if kind == "foreign issuer":
        foreign = certificate(shape, key, (name(stated), private_key("p256", 4)))
        return kind, [foreign, ca, made_root], made_root
    if kind == "incomplete":
        return kind, [leaf], ca
    return kind, [leaf, ca, made_root], made_root


def generated(seed: str) -> Case:
    """The case of a seed."""
    chance = random.Random(seed)
    kind = chance.choice(KEYS)
    subject = chance.choice(list(SUBJECTS))
    shapes = chance.sample(list(SHAPES), chance.choice((1, 1, 1, 2)))
    key = private_key(kind)
    shape = Shape(
        subject=SUBJECTS[subject](plain_name("Release")), serial=chance.randrange(1, 1 << 60)
    )
    for each in shapes:
        shape = SHAPES[each](shape)
    chain_kind, chain, trust = _chain(chance, shape, key)
    entry = chance.choice(("Time 1", "01", None))
    entry_id = entry.encode() if entry else None
    own = Item(alias="release", entry_id=entry_id, certificate=chain[0])
    items = [Item(alias="release", entry_id=entry_id, key=key), own]
    items += [Item(certificate=issuer) for issuer in chain[1:]]
    beside = chance.choice(("nothing", "nothing", "trusted before", "old before", "old behind", "another key"))  # fmt: skip
    older = certificate(Shape(subject=plain_name("Release"), serial=99), key)
    if beside == "trusted before":
        items.insert(1, Item(alias="old", trusted=True, certificate=older))
    elif beside == "old before" and entry_id is not None:
        items.insert(1, Item(alias="old", entry_id=b"old", certificate=older))
    elif beside == "old behind":
        items.append(Item(alias="old", entry_id=b"old", certificate=older))
    elif beside == "another key" and entry_id is not None:
        other = private_key("p256", 7)
        made = certificate(Shape(subject=plain_name("Other"), serial=98), other)
        items = [Item(alias="other", entry_id=b"other", key=other), *items]
        items.append(Item(alias="other", entry_id=b"other", certificate=made))
    else:
        beside = "nothing"
    scheme, mac = chance.choice(SCHEMES), chance.choice(("sha1", "sha256", "sha256"))
    plain = chance.random() < 0.2
    data = store(items, PASSWORD, scheme=scheme, mac=mac, certificates_plain=plain, keys_first=chance.random() < 0.7)  # fmt: skip
    what = (kind, f"subject: {subject}", *(f"shape: {s}" for s in shapes), f"chain: {chain_kind}", f"beside: {beside}", scheme)  # fmt: skip
    return Case(what=what, data=data, alias="release", leaf=chain[0], trust=trust)
