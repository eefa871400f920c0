"""Key stores of all shapes: which certificate signs, which passwords open them, what is refused."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cpi.crypto import rc2
from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_der
from cpi.crypto.der import DerRefusedError
from cpi.crypto.keys import Keystore, read_keystore
from cpi.crypto.tlv import OCTET_STRING, SEQUENCE, SET, encode
from cpi.errors import KeystoreError, TrustError
from cpi.jar.signing import sign_entries
from tests.certificates.making import (
    AUTHORITY,
    Shape,
    certificate,
    name,
    number,
    oid,
    plain_name,
    private_key,
    utc,
)
from tests.certificates.stores import Item, encrypted, store

PASSWORD = "secret1"
KEY = private_key("p256")
HAVE_TOOLS = shutil.which("keytool") is not None and shutil.which("openssl") is not None
needs_tools = pytest.mark.skipif(not HAVE_TOOLS, reason="keytool and openssl are not installed")


def own(serial: int, begin: int = 2024, end: int = 2040) -> bytes:
    """A certificate of the key, known by its number."""
    first, last = (utc(datetime(year, 1, 1, tzinfo=UTC)) for year in (begin, end))
    shape = Shape(subject=plain_name("Release"), serial=serial, begin=first, end=last)
    return certificate(shape, KEY)


def opened(items: list[Item], **options: Any) -> Keystore:
    given = [load_der(der) for der in options.pop("given", ())]
    data = store(items, PASSWORD, **options)
    return read_keystore(data, password=PASSWORD, source="x.p12", certificates=given)


def signs(keystore: Keystore, alias: str | None = None) -> int:
    return keystore.key(alias, source=Path("x.p12")).certificate_chain[0].serial_number


class TestWhichCertificateSigns:
    """Each as Java's key store chooses it; `tests/certificates/test_certificates_java.py` compares."""

    def test_the_one_with_its_id(self) -> None:
        key = Item(alias="release", entry_id=b"1", key=KEY)
        for order in ((1, 2), (2, 1)):
            stored = [
                Item(alias="release", entry_id=bytes([48 + n]), certificate=own(n)) for n in order
            ]
            assert signs(opened([key, *stored])) == 1

    def test_of_two_with_its_id_the_one_with_its_name_too(self) -> None:
        key = Item(alias="Release", entry_id=b"1", key=KEY)
        named = Item(alias="release", entry_id=b"1", certificate=own(1))
        other = Item(alias="other", entry_id=b"1", certificate=own(2))
        assert signs(opened([key, named, other])) == signs(opened([key, other, named])) == 1

    def test_the_last_with_its_name_where_no_id_tells(self) -> None:
        key = Item(alias="release", entry_id=b"9", key=KEY)
        stored = [Item(alias="release", entry_id=b"8", certificate=own(n)) for n in (1, 2)]
        assert signs(opened([key, *stored, Item(certificate=own(3))])) == 2

    def test_the_first_of_a_file_without_ids(self) -> None:
        items = [Item(key=KEY), Item(certificate=own(1)), Item(certificate=own(2, 2025))]
        assert signs(opened(items)) == 1

    def test_never_a_trusted_one_beside_its_own(self) -> None:
        trusted = Item(alias="release", entry_id=b"1", trusted=True, certificate=own(2, 2025))
        key = Item(alias="release", entry_id=b"1", key=KEY)
        keystore = opened([trusted, key, Item(entry_id=b"1", certificate=own(1))])
        assert signs(keystore) == 1
        assert [c.serial_number for c in keystore.trusted] == [2]

    def test_the_newest_valid_one_where_nothing_tells(self) -> None:
        key, other = Item(alias="a", entry_id=b"9", key=KEY), private_key("p256", 5)
        more = Item(alias="b", entry_id=b"8", key=other)
        theirs = certificate(Shape(subject=plain_name("B")), other)
        stored = [own(1), own(2, 2025), own(3, 2020, 2021), own(4, 2045, 2050)]
        items = [key, more, *(Item(certificate=der) for der in (*stored, theirs))]
        assert signs(opened(items), "a") == 2

    def test_a_given_certificate_unless_it_is_older(self) -> None:
        items = [Item(alias="a", entry_id=b"1", key=KEY), Item(entry_id=b"1", certificate=own(5))]
        assert signs(opened(items, given=[own(6, 2025)])) == 6
        assert signs(opened(items, given=[own(6, 2023), own(7, 2022)])) == 5
        assert signs(opened([items[0]], given=[own(6, 2023)])) == 6


def authority(serial: int, key: Any, issuer: Any = None, **changes: Any) -> bytes:
    subject = plain_name("CA" if issuer else "Root")
    shape = Shape(subject=subject, serial=serial).with_changes(**AUTHORITY, **changes)
    return certificate(shape, key, issuer and (name(plain_name("Root")), issuer))


def test_of_renewed_issuers_the_one_that_signed_is_in_the_chain() -> None:
    root_key, ca_key, old_key = (private_key("p256", n) for n in (1, 2, 3))
    leaf = certificate(Shape(subject=plain_name("Release")), KEY, (name(plain_name("CA")), ca_key))
    issuers = [
        authority(3, old_key, root_key),
        authority(4, ca_key, root_key),
        authority(1, root_key),
    ]
    items = [Item(key=KEY), *(Item(certificate=der) for der in (leaf, *issuers))]
    (key,) = opened(items).keys
    assert [c.serial_number for c in key.certificate_chain[1:]] == [4, 1]
    (foreign,) = opened([*items[:3], items[4]]).keys
    assert [c.serial_number for c in foreign.certificate_chain[1:]] == [3, 1]
    with pytest.raises(TrustError, match="is not signed by CN=CA"):
        sign_entries({}, {"a": b"a"}, [foreign])
    (incomplete,) = opened(items[:2]).keys
    assert len(incomplete.certificate_chain) == 1


class TestKeysThatCannotSign:
    """They do not stop the others of their file, and say why when they are named."""

    def items(self, other: Any, certified: bool = True) -> list[Item]:
        made = certificate(Shape(subject=plain_name("Other")), other)
        more = [Item(alias="other", entry_id=b"2", certificate=made)] if certified else []
        return [
            Item(alias="release", entry_id=b"1", key=KEY),
            Item(alias="other", entry_id=b"2", key=other),
            Item(alias="release", entry_id=b"1", certificate=own(1)),
            *more,
        ]

    @pytest.mark.parametrize(
        ("kind", "certified", "code"),
        [("dsa2048", True, "key-unsupported"), ("p256", False, "keystore-invalid")],
    )
    def test_beside_one_that_can(self, kind: str, certified: bool, code: str) -> None:
        keystore = opened(self.items(private_key(kind, 8), certified))
        assert signs(keystore, "RELEASE") == 1
        with pytest.raises(KeystoreError) as refused:
            signs(keystore, "other")
        assert refused.value.code == code
        with pytest.raises(KeystoreError, match="name one of them: 'release', 'other'"):
            signs(keystore)

    def test_alone(self) -> None:
        with pytest.raises(KeystoreError) as refused:
            opened([Item(alias="a", key=KEY)])
        assert refused.value.code == "keystore-invalid"

    def test_another_password(self) -> None:
        items = self.items(private_key("p256", 8))
        data = store(items, PASSWORD, mac=None, certificates_plain=True)
        with pytest.raises(KeystoreError, match="key 'release': wrong password") as refused:
            read_keystore(data, password="other", source="x")
        assert refused.value.code == "keystore-password"

    def test_a_kind_that_no_library_reads(self) -> None:
        plain = encode(SEQUENCE, number(0), encode(SEQUENCE, oid("1.2.3")), encode(OCTET_STRING))
        text = pem("PRIVATE KEY", plain) + pem("PRIVATE KEY", private_bytes(KEY))
        text += pem("CERTIFICATE", own(1))
        keystore = read_keystore(text, password=None, source="x", default_alias="x")
        assert signs(keystore, "x-2") == 1
        with pytest.raises(KeystoreError, match=r"key of algorithm 1\.2\.3"):
            signs(keystore, "x-1")

    def test_one_alias_for_two(self) -> None:
        items = [Item(alias="a", entry_id=bytes([n]), key=private_key("p256", n)) for n in (1, 2)]
        made = [certificate(Shape(subject=plain_name("x")), item.key) for item in items]
        items += [Item(entry_id=bytes([n]), certificate=der) for n, der in enumerate(made, 1)]
        with pytest.raises(KeystoreError, match="2 keys with alias 'a'"):
            signs(opened(items), "a")


def entry() -> list[Item]:
    return [Item(alias="e", entry_id=b"1", key=KEY), Item(entry_id=b"1", certificate=own(1))]


class TestPasswords:
    @pytest.mark.parametrize("scheme", ["aes256", "aes256-sha512", "3des"])
    @pytest.mark.parametrize("mac", ["sha1", "sha256", None])
    @pytest.mark.parametrize("form", [None, b""])
    def test_an_empty_one_in_both_of_its_forms(
        self, scheme: str, mac: str | None, form: bytes | None
    ) -> None:
        data = store(entry(), "", scheme=scheme, mac=mac, form=form)
        assert signs(read_keystore(data, password="", source="x")) == 1
        with pytest.raises(KeystoreError) as refused:
            read_keystore(data, password="x", source="x")
        assert refused.value.code == "keystore-password"

    @pytest.mark.parametrize("password", ["pässwörd", "🔑", "with space"])
    @pytest.mark.parametrize("scheme", ["aes256", "3des"])
    def test_any_text(self, password: str, scheme: str) -> None:
        data = store(entry(), password, scheme=scheme)
        assert signs(read_keystore(data, password=password, source="x")) == 1

    def test_none_for_a_store_of_certificates_alone(self) -> None:
        data = store(
            [Item(trusted=True, certificate=own(1))], "", mac=None, certificates_plain=True
        )
        assert len(read_keystore(data, password=None, source="x").trusted) == 1
        for protected in (store(entry(), "", mac=None), store(entry(), "")):
            with pytest.raises(KeystoreError, match="needs a password"):
                read_keystore(protected, password=None, source="x")


def pem(label: str, der: bytes, before: str = "") -> bytes:
    import base64

    body = base64.encodebytes(der).decode()
    return f"{before}-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


def private_bytes(key: Any) -> bytes:
    made: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return made


def attributes(entry_id: str = "", alias: str = "", more: str = "") -> str:
    lines = ["Bag Attributes"]
    lines += [f"    friendlyName: {alias}"] if alias else []
    lines += [f"    localKeyID: {entry_id} "] if entry_id else []
    return "\n".join([*lines, more, "subject=C = GB\n"])


class TestPem:
    def test_attributes_bind_as_in_the_key_store_that_they_are_of(self) -> None:
        text = b"".join(
            (
                pem("PRIVATE KEY", private_bytes(KEY), attributes("01 AF", "release")),
                pem("CERTIFICATE", own(1), attributes("01 AF", "release")),
                pem("CERTIFICATE", own(2, 2025), attributes("02", "newer")),
                pem("CERTIFICATE", own(3, 2025), attributes("01 AF", more="    2.16.840.1.113894.746875.1.1: <Unsupported tag 6>")),
            )
        )  # fmt: skip
        keystore = read_keystore(text, password=None, source="x", default_alias="file")
        assert signs(keystore, "release") == 1

    def test_names_of_several_keys(self) -> None:
        other = private_key("p256", 8)
        text = pem("PRIVATE KEY", private_bytes(KEY)) + pem("PRIVATE KEY", private_bytes(other))
        made = certificate(Shape(subject=plain_name("Other"), serial=2), other)
        text += pem("CERTIFICATE", made) + pem("CERTIFICATE", own(1))
        keystore = read_keystore(text, password=None, source="x", default_alias="file")
        assert (signs(keystore, "file-1"), signs(keystore, "file-2")) == (1, 2)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "opened"),
            (pem("RSA PRIVATE KEY", encode(SEQUENCE)), "cannot be opened"),
            (pem("PRIVATE KEY", encode(SEQUENCE)), "cannot be opened"),
            (pem("ENCRYPTED PRIVATE KEY", encode(SEQUENCE)), "cannot be opened"),
            (b"-----BEGIN PRIVATE KEY-----\n!", "no PEM file"),
            (pem("OTHER", b"a") * 257, "256 blocks"),
        ],
    )
    def test_what_cannot_be_read(self, text: bytes, words: str) -> None:
        with pytest.raises(KeystoreError, match=words) as refused:
            read_keystore(text, password="x", source="x")
        assert refused.value.code == "keystore-invalid"


def content(data: bytes, *more: bytes) -> bytes:
    plain = encode(SEQUENCE, oid("1.2.840.113549.1.7.1"), encode(0xA0, encode(OCTET_STRING, data)))
    return encode(SEQUENCE, number(3), plain, *more)


def parts(*safes: bytes) -> bytes:
    return content(encode(SEQUENCE, *safes))


def items(*bags: bytes) -> bytes:
    holder = encode(0xA0, encode(OCTET_STRING, encode(SEQUENCE, *bags)))
    return parts(encode(SEQUENCE, oid("1.2.840.113549.1.7.1"), holder))


def encrypted_part(algorithm: bytes, *data: bytes) -> bytes:
    inner = encode(SEQUENCE, oid("1.2.840.113549.1.7.1"), algorithm, *data)
    body = encode(SEQUENCE, number(0), inner)
    return parts(encode(SEQUENCE, oid("1.2.840.113549.1.7.6"), encode(0xA0, body)))


def pbes2(derivation: bytes, cipher: bytes) -> bytes:
    return encode(SEQUENCE, oid("1.2.840.113549.1.5.13"), encode(SEQUENCE, derivation, cipher))


def pbkdf2(rounds: int = 1, prf: str = "1.2.840.113549.2.9") -> bytes:
    stated = encode(
        SEQUENCE, encode(OCTET_STRING, b"s"), number(rounds), encode(SEQUENCE, oid(prf))
    )
    return encode(SEQUENCE, oid("1.2.840.113549.1.5.12"), stated)


BAG = "1.2.840.113549.1.12.10.1"
AES = encode(SEQUENCE, oid("2.16.840.1.101.3.4.1.42"), encode(OCTET_STRING, bytes(16)))
EMPTY = encode(0x80)


def bag(kind: str, value: bytes, *more: bytes) -> bytes:
    return encode(SEQUENCE, oid(kind), encode(0xA0, value), *more)


def mac(kind: str = "2.16.840.1.101.3.4.2.1", *rounds: bytes) -> bytes:
    value = encode(SEQUENCE, encode(SEQUENCE, oid(kind)), encode(OCTET_STRING, b"x"))
    return encode(SEQUENCE, value, encode(OCTET_STRING, b""), *rounds)


BROKEN = {
    "another content": encode(SEQUENCE, number(3), encode(SEQUENCE, oid("1.2.3"), encode(0xA0))),
    "no content": encode(SEQUENCE, number(3)),
    "an unknown MAC": content(encode(SEQUENCE), mac("1.2.3")),
    "a damaged MAC": content(encode(SEQUENCE), encode(SEQUENCE)),
    "two values": items(bag(f"{BAG}.3", b"\5\0\5\0")),
    "an attribute of one part": items(bag(f"{BAG}.3", b"\5\0", encode(SET, encode(SEQUENCE)))),
    "an attribute without values": items(
        bag(f"{BAG}.3", b"\5\0", encode(SET, encode(SEQUENCE, oid("1.2"), encode(SET))))
    ),
    "too many items": items(*[bag(f"{BAG}.5", b"\5\0")] * 1001),
    "an unknown scheme": encrypted_part(encode(SEQUENCE, oid("1.2.3")), EMPTY),
    "an unknown derivation": encrypted_part(pbes2(encode(SEQUENCE, oid("1.2.3")), AES), EMPTY),
    "an unknown cipher": encrypted_part(pbes2(pbkdf2(), encode(SEQUENCE, oid("1.2.3"))), EMPTY),
    "an unknown function": encrypted_part(pbes2(pbkdf2(prf="1.2.3"), AES), EMPTY),
    "no parameters": encrypted_part(encode(SEQUENCE, oid("1.2.840.113549.1.12.1.3")), EMPTY),
    "one parameter": encrypted_part(
        encode(SEQUENCE, oid("1.2.840.113549.1.12.1.3"), encode(SEQUENCE, b"\5\0")), EMPTY
    ),
    "too many rounds": encrypted_part(pbes2(pbkdf2(5_000_001), AES), EMPTY),
    "half a block of RC2": encrypted_part(
        encode(
            SEQUENCE,
            oid("1.2.840.113549.1.12.1.6"),
            encode(SEQUENCE, encode(OCTET_STRING, b"s"), number(1)),
        ),
        encode(0x80, bytes(4)),
    ),
    "a megabyte of RC2": encrypted_part(
        encode(
            SEQUENCE,
            oid("1.2.840.113549.1.12.1.6"),
            encode(SEQUENCE, encode(OCTET_STRING, b"s"), number(1)),
        ),
        encode(0x80, bytes(1 << 20)),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_files_are_refused(what: str) -> None:
    with pytest.raises(KeystoreError) as refused:
        read_keystore(BROKEN[what], password="x", source="x.p12")
    assert refused.value.code == "keystore-invalid"
    assert refused.value.message.startswith("x.p12 ")


def test_items_of_other_kinds_are_left_alone() -> None:
    certified = bag(f"{BAG}.3", encode(SEQUENCE, oid("1.2.3"), encode(0xA0, b"\5\0")))
    plain = bag(f"{BAG}.1", private_bytes(KEY))
    inner = encode(
        SEQUENCE, oid("1.2.840.113549.1.9.22.1"), encode(0xA0, encode(OCTET_STRING, own(1)))
    )
    nested = bag(f"{BAG}.6", encode(SEQUENCE, plain, bag(f"{BAG}.3", inner)))
    data = items(bag(f"{BAG}.5", b"\5\0"), certified, nested)
    assert signs(read_keystore(data, password=None, source="x")) == 1
    other = parts(encode(SEQUENCE, oid("1.2.840.113549.1.7.3"), encode(0xA0, b"\5\0")))
    empty = encrypted_part(pbes2(pbkdf2(), AES))
    for nothing in (other, empty):
        assert read_keystore(nothing, password="x", source="x") == Keystore(keys=(), trusted=())


def test_a_wrong_password_without_mac_may_give_padding_that_is_right() -> None:
    """Of 256 passwords about one does; what comes out is no list of items then."""
    data = store(entry(), PASSWORD, mac=None)
    for attempt in range(300):
        with pytest.raises(KeystoreError) as refused:
            read_keystore(data, password=f"wrong {attempt}", source="x")
        assert refused.value.code == "keystore-password"


def test_right_padding_by_chance_is_a_wrong_password() -> None:
    """What comes out is neither a list of items nor a key."""
    algorithm, data = encrypted(b"\5\0", "x", "aes256", None)
    shrouded = encode(SEQUENCE, algorithm, encode(OCTET_STRING, data))
    for raw in (
        encrypted_part(algorithm, encode(0x80, data)),
        items(bag(f"{BAG}.2", shrouded)),
        pem("ENCRYPTED PRIVATE KEY", shrouded),
    ):
        with pytest.raises(KeystoreError) as refused:
            read_keystore(raw, password="x", source="x")
        assert refused.value.code == "keystore-password"


def test_encrypted_content_may_come_in_pieces() -> None:
    algorithm, data = encrypted(encode(SEQUENCE), "x", "3des", None)
    halves = [encode(OCTET_STRING, half) for half in (data[:3], data[3:])]
    raw = encrypted_part(algorithm, encode(0xA0, *halves))
    assert read_keystore(raw, password="x", source="x") == Keystore(keys=(), trusted=())


def test_a_pem_key_encrypted_by_its_header() -> None:
    made = KEY.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")
    )
    text = made + pem("CERTIFICATE", own(1))
    assert signs(read_keystore(text, password="x", source="x")) == 1
    for wrong in ("y", "", None):
        with pytest.raises(KeystoreError) as refused:
            read_keystore(text, password=wrong, source="x")
        assert refused.value.code == "keystore-password"


def test_rc2_is_rfc_2268s() -> None:
    """Vectors of Java's cipher, since the RFC's are of single blocks."""
    plain = bytes(i * 11 & 0xFF for i in range(64))
    for bits, made in (
        (40, "7d30361416cbd5cd68812b7fe70a209a4a1a4f60e75210ebb3874c0e3530ed393a211052e8b517fc5ce8f4309e7673317763c5a307b649b5279d1452e2a33421"),
        (64, "b65a6296997253e8a18ca4d5cf1b259a72585c5cc40e69691359307c0a5dde2e008d8dd93ec159a96acadf9f6fa3a99a0b14d8963053965693b44de58e633f58"),
        (128, "0453b2484e455ad1aa19043511b16e1b42477aa79851aaee0145690a92cc652b59542e24f7377e8c45161a0d89dd5c88e48bf8d1caa0fac6a57cd623607952ae"),
    ):  # fmt: skip
        key = bytes(i * 37 + 200 & 0xFF for i in range(5 if bits == 40 else 16))
        data = bytes.fromhex(made)
        assert rc2.decrypt(data, key=key, effective_bits=bits, iv=bytes(range(1, 9))) == plain
    with pytest.raises(DerRefusedError):
        rc2.decrypt(b"1234", key=b"12345", effective_bits=40, iv=bytes(8))


def made_by(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=120)


@needs_tools
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-legacy",),
        ("-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-2DES"),
        ("-legacy", "-certpbe", "PBE-SHA1-RC4-40", "-keypbe", "PBE-SHA1-RC4-128"),
        ("-certpbe", "NONE", "-keypbe", "NONE", "-nomac"),
        ("-certpbe", "AES-192-CBC", "-keypbe", "DES-EDE3-CBC", "-macalg", "SHA512"),
    ],
)
@pytest.mark.parametrize("password", ["secret1", ""])
def test_openssls_key_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], password: str
) -> None:
    """The old certificate comes first; the renewed one is bound to the key."""
    monkeypatch.chdir(tmp_path)
    Path("k.pem").write_bytes(pem("PRIVATE KEY", private_bytes(KEY)))
    Path("c.pem").write_bytes(pem("CERTIFICATE", own(1)))
    words = ("-inkey", "k.pem", "-in", "c.pem", "-name", "e", "-out", "e.p12", *options)
    made_by("openssl", "pkcs12", "-export", *words, "-passout", f"pass:{password}")
    keystore = read_keystore(Path("e.p12").read_bytes(), password=password, source="e.p12")
    assert signs(keystore, "e") == 1


@needs_tools
def test_javas_older_key_stores_bind_under_rc2_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until 2021 keytool encrypted certificates with RC2: a trusted one before the key's own."""
    monkeypatch.chdir(tmp_path)
    items = [Item(alias="release", entry_id=b"1", key=KEY), Item(entry_id=b"1", certificate=own(1))]
    Path("new.p12").write_bytes(store(items, PASSWORD))
    Path("old.der").write_bytes(own(2, 2025))
    legacy = "-J-Dkeystore.pkcs12.legacy"
    target = ("-keystore", "ks.p12", "-storetype", "pkcs12", "-storepass", PASSWORD)
    made_by(
        "keytool", legacy, "-importcert", "-noprompt", "-alias", "old", "-file", "old.der", *target
    )
    source = ("-srckeystore", "new.p12", "-srcstoretype", "pkcs12", "-srcstorepass", PASSWORD)
    made_by(
        *("keytool", legacy, "-importkeystore", "-noprompt", *source, "-destkeystore", "ks.p12"),
        *("-deststoretype", "pkcs12", "-deststorepass", PASSWORD),
    )
    keystore = read_keystore(Path("ks.p12").read_bytes(), password=PASSWORD, source="ks.p12")
    assert signs(keystore, "release") == 1
    assert [c.serial_number for c in keystore.trusted] == [2]


def test_a_certificate_that_a_chain_states_is_not_trusted_twice() -> None:
    keystore = opened(entry())
    assert keystore.trusted == ()
    assert [type(anchor) for anchor in keystore.anchors()] == [Certificate]
