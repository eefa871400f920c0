"""The walk over DER before any library, and PEM: what is refused, where, and at what cost."""

import ast
import base64
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_der, load_pem_certificates
from cpi.crypto.cms import verify_signed_data
from cpi.crypto.der import DEPTH_MAX, DerRefusedError, check_der
from cpi.crypto.keys import load_keystore
from cpi.crypto.pem import PemRefusedError, pem_blocks, single_pem
from cpi.crypto.pfx import read_pkcs12
from cpi.crypto.signer_hash import certificate_der
from cpi.errors import KeystoreError, SignatureError
from cpi.jar.timestamp_requests import _read
from cpi.package.group_policy import _certificate_fault
from tests.cpi.support import certificate, root, self_signed
from tests.steps import steps_of

ROOT = Path(__file__).parents[2]


def tlv(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    size = len(body).to_bytes(max(1, (len(body).bit_length() + 7) // 8), "big")
    head = bytes([len(body)]) if len(body) < 0x80 else bytes([0x80 | len(size)]) + size
    return bytes([tag]) + head + body


def nested(depth: int, inner: bytes = b"") -> bytes:
    for _ in range(depth):
        inner = tlv(0x30, inner)
    return inner


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"\x30", "cut off"),
        (b"\x04\x05abc", "ends at byte 7, what holds it at byte 5"),
        (b"\x30\x03\x04\x05a", "ends at byte 9, what holds it at byte 5"),
        (b"\x30\x02\x30\x80\0\0", "ends nothing"),
        (b"\x30\x02\0\0", "ends nothing"),
        (b"\0\0", "ends nothing"),
        (b"\x30\x80\x04\x01a", "cut off"),
        (b"\x04\x80", "has no length"),
        (b"\x04\x89" + bytes(9), "has 9 bytes"),
        (b"\x04\x84\xff\xff\xff\xff", "what holds it at byte 6"),
        (b"\x1f" + b"\x80" * 9 + b"\0", "too long"),
        (nested(2) + b"\0", "1 bytes follow the value that ends at byte 4"),
        (tlv(0x06, b"a" * 65), "OBJECT IDENTIFIER at byte 0 has 65 bytes, at most 64"),
        (tlv(0x02, b"a" * 2050), "INTEGER at byte 0 has 2050 bytes, at most 2049"),
        (tlv(0x18, b"2" * 65), "GeneralizedTime at byte 0 has 65 bytes"),
        (tlv(0x05, b"a"), "NULL at byte 0 has 1 bytes"),
        (nested(DEPTH_MAX + 1), "nested deeper than 32"),
        (b"\x30\x80" * 60_000 + b"\0\0" * 60_000, "nested deeper than 32"),
        (b"\x24\x80" * 60_000 + b"\0\0" * 60_000, "nested deeper than 32"),
        (tlv(0x30, b"\x05\0" * 1000), "more elements than one for each 4 bytes"),
        (b"\x24\x80" + b"\x04\x02ab" * 5001 + b"\0\0", "more than 5000 segments"),
    ],
)
def test_what_the_walk_refuses(data: bytes, words: str) -> None:
    with pytest.raises(DerRefusedError, match=words):
        check_der(data)


@pytest.mark.parametrize(
    "data",
    [
        nested(DEPTH_MAX),
        tlv(0x06, b"a" * 64),
        tlv(0x02, b"a" * 2049),
        b"\x30\x80\x30\x80\0\0\x24\x80\x04\x02ab\x04\x01c\0\0\0\0",
        b"\x30\x06\x30\x80\x05\0\0\0",
        b"\xbf\x8f\x7f\x02\x05\0",
        b"\x24\x80" + b"\x04\x02ab" * 5000 + b"\0\0",
    ],
)
def test_what_the_walk_lets_through(data: bytes) -> None:
    check_der(data)
    check_der(data + b"\0", trailing=True)


def test_the_greatest_rsa_keys_pass() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 16383) + 1)
    der = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    check_der(der)


@cache
def oid_bomb() -> bytes:
    return tlv(0x30, tlv(0x06, b"\x81" * 240_000 + b"\x01"), b"\xa0\x80\0\0")


@cache
def in_certificate() -> bytes:
    """A certificate whose signature algorithm is an object identifier of 240,000 bytes."""
    parts = asn1_x509.Certificate.load(certificate_der(root().certificate))
    bomb = tlv(0x30, tlv(0x06, b"\x81" * 240_000 + b"\x01"))
    return tlv(0x30, parts["tbs_certificate"].dump(), bomb, parts["signature_value"].dump())


@cache
def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    return (
        f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"
    ).encode()


READERS = {
    "certificate": (lambda: load_der(in_certificate()), ValueError),
    "certificates in PEM": (
        lambda: load_pem_certificates(pem(in_certificate()), source="x"),
        KeystoreError,
    ),
    "signature block": (
        lambda: verify_signed_data(oid_bomb(), b"", what="META-INF/A.EC"),
        SignatureError,
    ),
    "timestamp response": (lambda: _read(oid_bomb()), SignatureError),
    "key file": (lambda: read_pkcs12(oid_bomb(), password="p", source="x"), KeystoreError),
}


@pytest.mark.parametrize("name", READERS)
def test_an_object_identifier_bomb_costs_nothing(name: str) -> None:
    read, refusal = READERS[name]

    def refused() -> None:
        with pytest.raises(refusal, match="OBJECT IDENTIFIER at byte"):
            read()

    refused()
    assert steps_of(refused) < 5_000, "the second time, when the input is made already"


def test_a_trust_root_of_a_group_policy_is_walked_too() -> None:
    assert "OBJECT IDENTIFIER" in (_certificate_fault(pem(in_certificate()).decode()) or "")


def test_a_bomb_inside_a_signed_certificate_set() -> None:
    """The walk goes through the whole block: also what is read late, such as attributes."""
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": {
                "issuer_and_serial_number": {
                    "issuer": asn1_x509.Name.build({"common_name": "x"}),
                    "serial_number": 1,
                }
            },
            "digest_algorithm": {"algorithm": "sha256"},
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
            "signature": b"x",
        }
    )
    signer["unsigned_attrs"] = [{"type": "1.2.3.4", "values": [core.Integer(1 << 20_000)]}]
    block = cms.ContentInfo(
        {
            "content_type": "signed_data",
            "content": cms.SignedData(
                {
                    "version": "v1",
                    "digest_algorithms": [{"algorithm": "sha256"}],
                    "encap_content_info": {"content_type": "data"},
                    "signer_infos": [signer],
                }
            ),
        }
    )
    with pytest.raises(SignatureError, match=r"INTEGER at byte \d+ has 2501 bytes"):
        verify_signed_data(block.dump(), b"", what="META-INF/A.EC")


_LIBRARY_READERS = {
    "load_der_x509_certificate": {
        "host/rest/tls_files.py",
        "host/network/gateway/revocation.py",
        "host/network/gateway/tls.py",
        "cpi/crypto/keystore_creation.py",
    },
    "load_pem_x509_certificate": {"host/rest/tls.py", "host/tools/network/authority.py"},
    "load_pem_x509_certificates": set(),
    "load_pkcs12": set(),
    "load_key_and_certificates": set(),
    "load_der_private_key": {"cpi/crypto/private_keys.py", "host/keys/store.py"},
    "load_pem_private_key": {
        "cpi/crypto/pem_keys.py",
        "host/tools/data_check/tls_pair.py",
        "host/rest/tls.py",
        "host/rest/tls_files.py",
        "host/tools/network/authority.py",
    },
    "load_pem_public_key": set(),
    "load_der_public_key": {
        "cpi/crypto/certificate.py",
        "host/keys/schemes.py",
        "host/network/membership/sealing.py",
    },
    "load_der_ocsp_response": {"host/network/gateway/revocation.py"},
    "load_der_x509_crl": {"host/network/gateway/revocation.py"},
    "load_pem_x509_crl": set(),
    "load_der_x509_csr": {"host/tools/network/authority.py"},
    "load_pem_x509_csr": set(),
}
"""Who calls the libraries: after the walk, or for the host's and its operator's own files."""


def test_no_reader_goes_past_the_walk() -> None:
    found: dict[str, set[str]] = {name: set() for name in _LIBRARY_READERS}
    loads = set()
    for room in ("cpi", "host", "plugins"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text()
            where = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(text)):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else None
                name = node.func.id if isinstance(node.func, ast.Name) else name
                if name in found:
                    found[name].add(where)
                if name == "load" and isinstance(node.func, ast.Attribute) and "asn1crypto" in text:
                    loads.add(where)
    assert all(found[name] <= allowed for name, allowed in _LIBRARY_READERS.items()), found
    assert loads == {"cpi/crypto/der.py"}


def test_a_signature_of_other_than_whole_octets_is_refused() -> None:
    made = certificate("CN=bits,O=Acme,L=London,C=GB", ec.generate_private_key(ec.SECP256R1()))
    der = made.public_bytes(Encoding.DER)
    at = len(der) - len(made.signature) - 1
    with pytest.raises(ValueError, match="a signature is not of whole octets"):
        Certificate(der[:at] + b"\1" + der[at + 1 :])


def test_an_odd_name_constraint_is_a_refusal() -> None:
    """The library raises a TypeError for an address of another size (kept from callers)."""
    constraint = tlv(0x30, tlv(0xA0, tlv(0x30, tlv(0x87, b"\x7f\0\0\1\xff\xff\xff"))))
    odd = certificate(
        "CN=Odd,O=x,C=GB",
        ec.generate_private_key(ec.SECP256R1()),
        ca=True,
        extensions=[
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.30"), constraint), True)
        ],
    )
    with pytest.raises(ValueError, match=r".+"):
        load_der(certificate_der(odd))
    with pytest.raises(KeystoreError) as refused:
        load_pem_certificates(odd.public_bytes(Encoding.PEM), source="x")
    assert refused.value.code == "certificate-unreadable"


class TestPem:
    BLOCK = b"-----BEGIN THING-----\nAAAA\n-----END THING-----\n"

    def test_text_between_blocks_is_let_be(self) -> None:
        blocks = list(pem_blocks(b"Bag Attributes\n" + self.BLOCK + b"more - text\n" + self.BLOCK))
        assert [(b.label, b.der()) for b in blocks] == [("THING", b"\0\0\0")] * 2

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"-----BEGIN THING-----\nAAAA\n", "has no end"),
            (b"-----BEGIN THING-----\nAAAA\n-----END OTHER-----\n", "has no end"),
            (b"-----BEGIN THING-----\n" + BLOCK, "has no end"),
            (b"-----BEGIN " + b"A" * 70 + b"-----\n", "has no label"),
        ],
    )
    def test_blocks_without_end(self, data: bytes, words: str) -> None:
        with pytest.raises(PemRefusedError, match=words):
            list(pem_blocks(data))

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "expected a PEM block THING, found ''"),
            (b"text\n" + BLOCK, "expected a PEM block THING, found 'text"),
            (BLOCK + b"x", "2 bytes follow the PEM block THING"),
            (BLOCK + BLOCK, "47 bytes follow the PEM block THING"),
            (BLOCK.replace(b"THING", b"OTHER"), "found OTHER"),
        ],
    )
    def test_where_one_block_is_expected(self, data: bytes, words: str) -> None:
        with pytest.raises(PemRefusedError, match=words):
            single_pem(data, "THING")

    def test_one_block_with_spaces_around(self) -> None:
        assert single_pem(b"\n " + self.BLOCK + b"\r\n\n", "THING").der() == b"\0\0\0"

    def test_a_file_of_many_blocks_is_read_no_further_than_it_may(self) -> None:
        one = pem(certificate_der(self_signed("ec256").anchor))
        with pytest.raises(KeystoreError, match="more than 64 PEM certificates"):
            load_pem_certificates(one * 65, source="x")
        assert len(load_pem_certificates(one * 64, source="x")) == 64

    def test_a_key_file_whose_key_has_no_end(self, tmp_path: Path) -> None:
        path = tmp_path / "k.pem"
        path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n")
        with pytest.raises(KeystoreError, match="has no end"):
            load_keystore(path, password=None)


def test_steps_grow_with_the_size_alone() -> None:
    """Twice the bytes cost at most twice the steps and a little, whatever the bytes are."""
    for unit in (b"\x04\x02ab", b"\x30\x06\x04\x04abcd", b"\x30\x80\x05\0\0\0\x04\x04abcd"):
        small = steps_of(lambda u=unit: check_der(tlv(0x30, u * 500)))
        large = steps_of(lambda u=unit: check_der(tlv(0x30, u * 1000)))
        assert large < 2.1 * small
