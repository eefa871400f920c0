"""Keystores: made, opened, refused."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.certificates import load_pem_certificates
from cpi.errors import KeystoreError
from cpi.keys import create_keystore, load_keystore, load_signing_key
from tests.cpi.support import NOW, accept, cpk

NAME = "CN=Signer, O=Acme, L=London, C=GB"


def make(path: Path, **changes: object) -> Path:
    values = {"password": "secret", "alias": "signing key 1", "distinguished_name": NAME}
    path.write_bytes(create_keystore(**{**values, "now": NOW, **changes}))
    return path


@pytest.mark.parametrize(
    ("options", "kind", "size"),
    [
        ({}, ec.EllipticCurvePrivateKey, 256),
        ({"key_size": 384}, ec.EllipticCurvePrivateKey, 384),
        ({"key_algorithm": "rsa"}, rsa.RSAPrivateKey, 3072),
        ({"key_algorithm": "RSA", "key_size": 2048}, rsa.RSAPrivateKey, 2048),
    ],
)
def test_create_and_load(tmp_path: Path, options: dict, kind: type, size: int) -> None:
    path = make(tmp_path / "k.p12", validity_days=30, **options)
    key = load_signing_key(path, password="secret", alias="Signing Key 1")
    assert isinstance(key.private_key, kind)
    assert key.private_key.key_size == size
    (certificate,) = key.certificate_chain
    assert certificate.subject.rfc4514_string() == "CN=Signer,O=Acme,L=London,C=GB"
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + timedelta(days=30)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    result = accept(cpk(key), trusted=load_keystore(path, password="secret").anchors())
    assert "certificate-expires-soon" not in [w.code for w in result.warnings]
    assert "private_key" not in repr(key)


def test_a_certificate_that_expires_soon_is_warned_of(tmp_path: Path) -> None:
    key = load_signing_key(
        make(tmp_path / "k.p12", validity_days=10), password="secret", alias=None
    )
    assert [w.code for w in accept(cpk(key), trusted=[key.anchor]).warnings] == [
        "certificate-expires-soon"
    ]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"key_algorithm": "DSA"}, "key-unsupported"),
        ({"key_size": 224}, "key-unsupported"),
        ({"key_algorithm": "RSA", "key_size": 1024}, "key-unsupported"),
        ({"key_algorithm": "RSA", "key_size": 8192}, "key-unsupported"),
        ({"validity_days": 0}, "keystore-invalid"),
        ({"password": ""}, "keystore-invalid"),
        ({"alias": " "}, "keystore-invalid"),
        ({"distinguished_name": "nonsense"}, "keystore-invalid"),
        ({"distinguished_name": "CN=x"}, "keystore-invalid"),
        ({"distinguished_name": "CN=x, O=y, C=England"}, "keystore-invalid"),
    ],
)
def test_arguments_that_cannot_be_used(tmp_path: Path, options: dict, code: str) -> None:
    with pytest.raises(KeystoreError) as refused:
        make(tmp_path / "k.p12", **options)
    assert refused.value.code == code


def test_wrong_password_alias_and_file(tmp_path: Path) -> None:
    path = make(tmp_path / "k.p12")
    for options, code in (
        ({"password": "wrong", "alias": None}, "keystore-password"),
        ({"password": "secret", "alias": "other"}, "keystore-alias-unknown"),
    ):
        with pytest.raises(KeystoreError) as refused:
            load_signing_key(path, **options)
        assert refused.value.code == code
        assert "secret" not in refused.value.message
    path.write_bytes(b"junk")
    with pytest.raises(KeystoreError):
        load_signing_key(path, password="secret", alias=None)
    path.write_bytes(bytes(5_000_000))
    with pytest.raises(KeystoreError, match="more than"):
        load_keystore(path, password="secret")


@pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool is not installed")
@pytest.mark.conformance
def test_a_java_keystore_with_two_keys_and_a_trusted_certificate(tmp_path: Path) -> None:
    path, pem = tmp_path / "java.p12", tmp_path / "own.pem"
    own = load_signing_key(make(tmp_path / "own.p12"), password="secret", alias=None)
    pem.write_bytes(own.anchor.public_bytes(Encoding.PEM))
    access = ("-keystore", str(path), "-storepass", "changeit", "-noprompt")
    for words in (
        ("-genkeypair", "-alias", "one", "-keyalg", "EC", "-dname", "CN=One, O=A, C=GB"),
        ("-genkeypair", "-alias", "two", "-keyalg", "RSA", "-dname", "CN=Two, O=A, C=GB"),
        ("-importcert", "-alias", "own", "-file", str(pem)),
    ):
        subprocess.run(("keytool", *words, *access), check=True, capture_output=True, timeout=60)
    keystore = load_keystore(path, password="changeit")
    assert [key.alias for key in keystore.keys] == ["one", "two"]
    assert keystore.trusted == (own.anchor,)
    two = load_signing_key(path, password="changeit", alias="TWO")
    assert two.anchor.subject.rfc4514_string() == "CN=Two,O=A,C=GB"
    with pytest.raises(KeystoreError, match="name one of them: 'one', 'two'"):
        load_signing_key(path, password="changeit", alias=None)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"junk",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        bytes(2_000_000),
    ],
)
def test_pem_files_that_cannot_be_used(pem: bytes) -> None:
    with pytest.raises(KeystoreError) as refused:
        load_pem_certificates(pem, source="x.pem")
    assert refused.value.code == "certificate-unreadable"
    assert "x.pem" in refused.value.message
