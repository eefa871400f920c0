"""Certificates of all shapes, as they are read: names, times, versions, extensions, signatures."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto import tlv
from cpi.crypto.certificate import Certificate, as_certificates
from cpi.crypto.certificate_signatures import is_issued_by, is_signed_by, signature_digest
from cpi.crypto.certificate_times import certificate_time
from cpi.crypto.certificates import load_der, load_pem_certificates
from cpi.crypto.der import DerRefusedError
from cpi.crypto.distinguished_names import DistinguishedName
from cpi.crypto.extensions import BasicConstraints, basic_constraints, extended_key_usage, key_usage
from cpi.crypto.signer_hash import certificate_rdns, hashed_text
from cpi.crypto.tlv import SEQUENCE, SET, Element, encode, read_element
from cpi.errors import KeystoreError, TrustError
from host.nodes.packages.certificates import CertificateRefusedError, parse_chain
from tests.certificates import making
from tests.certificates.cases import SHAPES, SUBJECTS
from tests.certificates.making import (
    CN,
    CRITICAL,
    PRINTABLE,
    T61,
    UNCRITICAL,
    UTF8,
    Shape,
    bit_string,
    certificate,
    constraints,
    name,
    oid,
    plain_name,
    private_key,
    purposes,
)

KEY = private_key("p256")
PLAIN = Shape(subject=plain_name("Release"))


def read(**changes: object) -> Certificate:
    return load_der(certificate(PLAIN.with_changes(**changes), KEY))


def time(tag: int, text: str) -> datetime:
    return certificate_time(read_element(encode(tag, text.encode()), tag, "a time"))


@pytest.mark.parametrize(
    ("tag", "text", "moment"),
    [
        (0x17, "240101000000Z", datetime(2024, 1, 1, tzinfo=UTC)),
        (0x17, "500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (0x17, "491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (0x17, "2401010102Z", datetime(2024, 1, 1, 1, 2, tzinfo=UTC)),
        (0x17, "240101000000+0130", datetime(2023, 12, 31, 22, 30, tzinfo=UTC)),
        (0x17, "240101000000-0130", datetime(2024, 1, 1, 1, 30, tzinfo=UTC)),
        (0x17, "240230000000Z", datetime(2024, 3, 1, tzinfo=UTC)),
        (0x18, "20240101000000.123Z", datetime(2024, 1, 1, tzinfo=UTC)),
        (0x18, "99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_in_every_form_that_java_reads(tag: int, text: str, moment: datetime) -> None:
    assert time(tag, text) == moment


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x17, "20240101000000Z"),
        (0x18, "240101000000Z"),
        (0x17, "240101000000.1Z"),
        (0x17, "241301000000Z"),
        (0x17, "240100000000Z"),
        (0x17, "240101240000Z"),
        (0x17, "240101006000Z"),
        (0x17, "240101000000"),
        (0x18, "00000101000000Z"),
        (0x18, "99991231235959-2300"),
        (0x13, "240101000000Z"),
        (0x17, "\uff1240101000000Z"),
    ],
)
def test_what_is_no_time_is_refused(tag: int, text: str) -> None:
    with pytest.raises(DerRefusedError, match="is no time"):
        time(tag, text)


def subject_of(*values: tuple[str, int, bytes]) -> DistinguishedName:
    return DistinguishedName(name([list(values)]))


def test_names_are_equal_but_for_case_spaces_and_string_types() -> None:
    one = subject_of((CN, UTF8, "Zürich  Bank".encode()))
    assert one == subject_of((CN, T61, " ZÜRICH bank".encode("latin-1")))
    assert hash(one) == hash(subject_of((CN, T61, "zürich BANK".encode("latin-1"))))
    assert one != subject_of((CN, UTF8, b"Zurich Bank"))
    assert one != "CN=Zürich  Bank"
    assert "Zürich" in repr(one)


@pytest.mark.parametrize(
    ("tag", "octets", "text"),
    [
        (UTF8, b"a\xffb", "CN=a\ufffdb"),
        (making.BMP, "ü".encode("utf-16-be"), "CN=ü"),
        (making.UNIVERSAL, "ü".encode("utf-32-be"), "CN=ü"),
        (making.NUMERIC, b"12", "CN=12"),
        (2, b"\5", "CN=#020105"),
        (UTF8, b"", "CN="),
        (UTF8, b" #a,b ", "CN=\\ #a\\,b\\ "),
        (UTF8, b"#a\0", "CN=\\#a\\00"),
    ],
)
def test_every_value_of_a_name_has_a_text(tag: int, octets: bytes, text: str) -> None:
    assert subject_of((CN, tag, octets)).rfc4514_string() == text


def test_a_name_may_have_several_attributes_in_one_of_any_type() -> None:
    found = read(subject=[[(CN, UTF8, b"a"), ("1.2.3.4", UTF8, b"b")], [(CN, PRINTABLE, b"c")]])
    assert found.subject.rfc4514_string() == "CN=c,CN=a+1.2.3.4=b"


def test_hashed_names_have_values_without_text_by_their_encoding() -> None:
    """As Java writes them, and without an escape before the number sign."""
    found = read(subject=[[(CN, 2, b"\5")], [(CN, UTF8, b"#a"), ("1.2.3", UTF8, b"b")]])
    # The first type of the second RDN is 1.2.3, which is not hashed.
    assert hashed_text(certificate_rdns(found)) == "CN=#020105"
    found = read(subject=[[(CN, UTF8, b"#a"), ("2.5.4.97", UTF8, b"b")]])
    assert found.subject.rdns[0][1].rfc2253_value == b"\x0c\1b"


@pytest.mark.parametrize(
    ("version", "extended", "stated"),
    [(None, False, 1), (1, False, 2), (2, True, 3), (3, False, 4), (None, True, 0), (3, True, 0)],
)
def test_versions(version: int | None, extended: bool, stated: int) -> None:
    extensions = [("1.2.3", UNCRITICAL, b"")] if extended else []
    if stated:
        assert read(version=version, extensions=extensions).version == stated
    else:
        with pytest.raises(DerRefusedError, match=r"version \d has extensions"):
            read(version=version, extensions=extensions)


def test_serial_numbers_may_be_any_number() -> None:
    for serial in (0, -5, 1 << 511):
        assert read(serial=serial).serial_number == serial


def test_the_encoding_stays_as_it_is() -> None:
    der = certificate(PLAIN.with_changes(null_parameters=True, serial=0), KEY)
    found = load_der(der)
    assert found.public_bytes(Encoding.DER) == found.der == der
    assert load_pem_certificates(found.public_bytes(Encoding.PEM), source="x") == (found,)
    assert is_signed_by(found, found), "NULL parameters do not matter"


def test_a_certificate_equals_the_librarys_of_the_same_encoding() -> None:
    der = certificate(PLAIN, KEY)
    theirs, ours = x509.load_der_x509_certificate(der), load_der(der)
    assert ours == theirs
    assert theirs == ours
    assert as_certificates([theirs, ours]) == (ours, ours)
    assert ours != der
    assert "Release" in repr(ours)
    assert ours.public_bytes(Encoding.PEM) == theirs.public_bytes(Encoding.PEM)


DAMAGED = {
    "no sequence": encode(SET),
    "too few parts": encode(SEQUENCE, encode(SEQUENCE)),
    "an empty body": encode(SEQUENCE, encode(SEQUENCE), encode(SEQUENCE, oid("1.2")), b"\3\1\0"),
    "no octets": b"",
    "one more byte": certificate(PLAIN, KEY) + b"\0",
    "an unknown field": certificate(PLAIN.with_changes(unique_ids=b"\x84\0"), KEY),
    "a serial number of nothing": certificate(PLAIN, KEY).replace(b"\2\2\x12\x67", b"\4\2\x12\x67"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_certificates_are_refused(what: str) -> None:
    with pytest.raises(DerRefusedError):
        load_der(DAMAGED[what])


@pytest.mark.parametrize(
    "extension",
    [
        ("2.5.29.19", b"\xff"),
        ("2.5.29.19", encode(SEQUENCE, b"\2\1\xff")),
        ("2.5.29.15", b"\5\0"),
        ("2.5.29.15", b"\3\0"),
        ("2.5.29.37", encode(SEQUENCE, b"\5\0")),
        ("2.5.29.17", b"\xff"),
    ],
)
def test_what_is_critical_must_be_readable(extension: tuple[str, bytes]) -> None:
    kind, value = extension
    with pytest.raises(DerRefusedError, match="cannot be read"):
        read(extensions=[(kind, CRITICAL, value)])
    lenient = read(extensions=[(kind, UNCRITICAL, value)])
    if kind == "2.5.29.19":
        with pytest.raises(TrustError, match=r"extension 2\.5\.29\.19 cannot be read") as refused:
            basic_constraints(lenient)
        assert refused.value.code == "certificate-invalid"


def test_extensions_as_they_are_used() -> None:
    found = read(
        extensions=[
            ("2.5.29.19", CRITICAL, constraints(ca=True, path_length=3, true=b"\1")),
            ("2.5.29.15", CRITICAL, bit_string(0x84, unused=2)),
            ("2.5.29.37", UNCRITICAL, purposes("1.3.6.1.5.5.7.3.3")),
        ]
    )
    assert basic_constraints(found) == BasicConstraints(ca=True, path_length=3)
    assert key_usage(found) == {0, 5}
    assert extended_key_usage(found) == {"1.3.6.1.5.5.7.3.3"}
    assert basic_constraints(read()) is None
    with pytest.raises(DerRefusedError, match="appears twice"):
        read(extensions=[("1.2.3", UNCRITICAL, b"")] * 2)


@pytest.mark.parametrize("kind", ["p384", "rsa2048", "dsa2048", "ed25519", "ed448"])
def test_signatures_of_every_kind_of_key(kind: str) -> None:
    key = private_key(kind)
    own = load_der(certificate(PLAIN, key))
    assert is_issued_by(own, own)
    assert signature_digest(own) == (None if kind.startswith("ed") else "sha256")
    other = load_der(certificate(PLAIN, KEY))
    assert not is_signed_by(own, other)
    assert not is_issued_by(own, read(subject=plain_name("Other")))


@pytest.mark.parametrize("digest", ["md5", "sha1", "sha224", "sha384", "sha512"])
def test_digests_of_signatures(digest: str) -> None:
    own = load_der(certificate(PLAIN.with_changes(digest=digest), private_key("rsa2048")))
    assert is_signed_by(own, own)
    assert signature_digest(own) == digest


def test_pss_and_unknown_algorithms() -> None:
    key = private_key("rsa2048")
    der = certificate(PLAIN.with_changes(pss=True), key)
    own = load_der(der)
    assert is_signed_by(own, own)
    assert signature_digest(own) == "sha256"
    identifier, stranger = oid("1.2.840.113549.1.1.10"), oid("1.2.840.113549.1.1.99")
    strange = load_der(der.replace(identifier, stranger))
    assert not is_signed_by(strange, strange)
    assert signature_digest(strange) == "1.2.840.113549.1.1.99"
    mixed = load_der(certificate(PLAIN.with_changes(other_inner_algorithm=True), key))
    assert not is_signed_by(mixed, mixed)
    sha256, sha384 = oid("2.16.840.1.101.3.4.2.1"), oid("2.16.840.1.101.3.4.2.2")
    first, second, third, fourth, last = der.split(sha256)
    two_digests = load_der(
        first + sha256 + second + sha384 + third + sha256 + fourth + sha384 + last
    )
    assert not is_signed_by(two_digests, two_digests)
    no_parameters = load_der(der.replace(oid("1.2.840.113549.1.1.8"), oid("1.2.840.113549.1.1.7")))
    assert not is_signed_by(no_parameters, no_parameters)


def test_a_key_that_no_library_reads_spoils_no_certificate() -> None:
    der = certificate(PLAIN, KEY)
    strange = load_der(der.replace(oid("1.2.840.10045.3.1.7"), oid("1.2.840.10045.3.1.9")))
    with pytest.raises(TrustError, match=r"key of algorithm 1\.2\.840\.10045\.2\.1 cannot") as no:
        strange.public_key()
    assert no.value.code == "key-unsupported"
    assert not strange.has_key(KEY.public_key())
    assert not is_signed_by(strange, strange)


def bundle(*certificates: bytes) -> bytes:
    data = encode(SEQUENCE, oid("1.2.840.113549.1.7.1"))
    content = encode(
        SEQUENCE, b"\2\1\1", encode(SET), data, encode(0xA0, *certificates), encode(SET)
    )
    return encode(SEQUENCE, oid("1.2.840.113549.1.7.2"), encode(0xA0, content))


def test_certificates_in_der_and_in_bundles() -> None:
    one, two = certificate(PLAIN, KEY), certificate(PLAIN.with_changes(serial=2), KEY)
    assert [c.der for c in load_pem_certificates(one, source="x")] == [one]
    both = bundle(one, two)
    assert [c.der for c in load_pem_certificates(both, source="x")] == [one, two]
    text = b"-----BEGIN PKCS7-----\n" + base64.encodebytes(both) + b"-----END PKCS7-----\n"
    assert [c.der for c in load_pem_certificates(text, source="x")] == [one, two]
    for broken in (
        encode(SEQUENCE, oid("1.2.3"), encode(0xA0)),
        encode(SEQUENCE, oid("1.2.840.113549.1.7.2"), encode(0xA0)),
        bundle(),
        bundle(encode(SEQUENCE)),
    ):
        with pytest.raises(KeystoreError) as refused:
            load_pem_certificates(broken, source="x")
        assert refused.value.code == "certificate-unreadable"


class TestElements:
    """DER, one level at a time."""

    @pytest.mark.parametrize(
        "der",
        [
            b"\x30",
            b"\x30\x80\0\0",
            b"\x1f\x81\1\0",
            b"\x30\x81\5hello",
            b"\x30\x02a",
            b"\x30\x82\0\x80",
        ],
    )
    def test_other_forms_are_refused(self, der: bytes) -> None:
        with pytest.raises(DerRefusedError):
            read_element(der, SEQUENCE, "it")

    def test_long_contents(self) -> None:
        for size in (127, 128, 255, 256, 70_000):
            element = read_element(encode(4, bytes(size)), 4, "it")
            assert len(element.content) == size

    @pytest.mark.parametrize("dotted", ["1.2.840.113549", "2.5.4.3", "0.9.2342", "2.999.1"])
    def test_identifiers(self, dotted: str) -> None:
        assert tlv.object_identifier(read_element(oid(dotted), 6, "it")) == dotted

    def test_damaged_values(self) -> None:
        with pytest.raises(DerRefusedError, match="1 bytes follow it"):
            read_element(b"\5\0\0", 5, "it")
        for der, reader in ((b"\6\0", tlv.object_identifier), (b"\6\1\x80", tlv.object_identifier),
                            (b"\2\0", tlv.integer), (b"\3\0", tlv.bits)):  # fmt: skip
            with pytest.raises(DerRefusedError):
                reader(Element(tag=der[0], content=der[2:], der=der))

    def test_ber_becomes_der(self) -> None:
        pieces = b"\x24\x80" + encode(4, b"ab") + encode(4, b"c") + b"\0\0"
        ber = b"\x30\x80" + pieces + b"\x02\x81\x01\x05" + b"\0\0"
        assert tlv.definite(ber + b"more") == encode(SEQUENCE, encode(4, b"abc"), b"\2\1\5")
        assert tlv.definite(b"\x30\x81\x03\2\1\5") == encode(SEQUENCE, b"\2\1\5")
        with pytest.raises(DerRefusedError):
            tlv.definite(b"\x30\x80")


def test_what_a_key_store_opens_with_is_taken_over_rest_and_kept_as_it_is() -> None:
    taken = 0
    for changed in (*SHAPES.values(), *map(renamed, SUBJECTS.values())):
        der = certificate(changed(PLAIN), KEY)
        try:
            found = load_der(der)
        except DerRefusedError:
            with pytest.raises(CertificateRefusedError):
                parse_chain(pem_of(der))
            continue
        assert parse_chain(pem_of(der)) == (found,)
        assert parse_chain(found.public_bytes(Encoding.PEM))[0].der == der
        taken += 1
    assert taken > 60


def renamed(change: Callable[[list[list[making.Value]]], list[list[making.Value]]]) -> Any:
    return lambda shape: shape.with_changes(subject=change(shape.subject))


def pem_of(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return (
        "# Zürich\n".encode()
        + b"-----BEGIN CERTIFICATE-----\n"
        + body
        + b"-----END CERTIFICATE-----\n"
    )
