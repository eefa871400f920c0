from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.domain.errors import NotFoundError
from host.nodes.packages.certificates import CertificateRefusedError, parse_chain
from host.nodes.packages.tables import PACKAGES
from host.nodes.packages.trust import CertificateStore

Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(name: str, issuer: Issued | None = None) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(issuer[1] if issuer else key, SHA256())
    )
    return certificate, key


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CertificateStore]:
    with Database.open(tmp_path / "cluster.sqlite", [PACKAGES]) as database:
        yield CertificateStore(database=database, clock=SimClock())


def test_a_chain_is_kept_under_its_alias_and_trusted(store: CertificateStore) -> None:
    root = issue("root")
    leaf = issue("leaf", root)
    store.import_certificate("code-signer", " mine ", pem(leaf[0], root[0]))
    assert store.aliases("code-signer") == ["mine"]
    assert store.aliases("rest-tls") == []
    assert store.chain("code-signer", "mine").encode() == pem(leaf[0], root[0])
    assert store.trusted() == [leaf[0], root[0]]


def test_the_same_alias_replaces(store: CertificateStore) -> None:
    first, second = issue("first")[0], issue("second")[0]
    store.import_certificate("code-signer", "a", pem(first))
    store.import_certificate("code-signer", "a", pem(second))
    assert store.trusted() == [second]


def test_other_usages_are_not_trusted_for_packages(store: CertificateStore) -> None:
    store.import_certificate("rest-tls", "a", pem(issue("tls")[0]))
    assert store.trusted() == []


@pytest.mark.parametrize(
    ("usage", "alias", "data", "message"),
    [
        ("code-signer", "  ", b"", "Empty alias"),
        ("code-signer", "x" * 256, b"", "at most 255"),
        ("code-signer", "a\nb", b"", "printable"),
        ("root-of-all", "a", b"", "Unknown usage"),
        ("code-signer", "a", b"", "No certificates in PEM"),
        ("code-signer", "a", b"\xff\xfe", "Not a valid certificate"),
        ("code-signer", "a", b"x" * 70_000, "at most 65536"),
        (
            "code-signer",
            "a",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "found 'PRIVATE KEY'",
        ),
        (
            "code-signer",
            "a",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "Not a valid certificate",
        ),
    ],
)
def test_a_wrong_import_is_refused(
    store: CertificateStore, usage: str, alias: str, data: bytes, message: str
) -> None:
    with pytest.raises(CertificateRefusedError, match=message):
        store.import_certificate(usage, alias, data)
    assert store.aliases("code-signer") == []


def test_a_chain_in_the_wrong_order_is_refused() -> None:
    root = issue("root")
    leaf = issue("leaf", root)
    with pytest.raises(CertificateRefusedError, match="was issued by CN=root and not by CN=leaf"):
        parse_chain(pem(root[0], leaf[0]))


def test_a_repeated_certificate_is_a_loop() -> None:
    root = issue("root")[0]
    with pytest.raises(CertificateRefusedError, match="can not hold a loop"):
        parse_chain(pem(root, root))


def test_a_namesake_that_did_not_sign_is_refused() -> None:
    leaf = issue("leaf", issue("root"))
    with pytest.raises(CertificateRefusedError, match="carries no valid signature"):
        parse_chain(pem(leaf[0], issue("root")[0]))


def test_an_endless_chain_is_refused() -> None:
    with pytest.raises(CertificateRefusedError, match="at most 10"):
        parse_chain(pem(issue("a")[0]) * 11)


def test_an_unknown_alias_is_not_found(store: CertificateStore) -> None:
    with pytest.raises(NotFoundError, match="'b'"):
        store.chain("code-signer", "b")


def test_a_certificate_that_the_library_chokes_on_is_refused(store: CertificateStore) -> None:
    """An address of seven bytes in a name constraint is a TypeError of the library."""
    constraint = bytes.fromhex("300da00b300987077f000001ffffff")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    odd = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.30"), constraint), True
        )
        .sign(key, SHA256())
    )
    with pytest.raises(CertificateRefusedError, match="Not a valid certificate"):
        store.import_certificate("code-signer", "odd", pem(odd))
    assert store.aliases("code-signer") == []


def test_text_between_certificates_is_let_be_a_cut_one_is_refused(store: CertificateStore) -> None:
    one = pem(issue("one")[0])
    store.import_certificate("code-signer", "one", b"subject=one\n" + one + b"end\n")
    with pytest.raises(CertificateRefusedError, match="has no end"):
        store.import_certificate("code-signer", "two", one + one[:100])
