"""Keystores: made, opened, refused."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import pem
from asn1crypto import pkcs12 as asn1_pkcs12
from asn1crypto.keys import EncryptedPrivateKeyInfo
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.derivation_rounds import DerivationRounds
from cpi.crypto.keys import SigningKey, load_keystore, load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.crypto.pem_keys import is_pem, read_pem
from cpi.crypto.pfx import read_pkcs12
from cpi.errors import KeystoreError
from tests.cpi.support import NOW, accept, alice, cpk, self_signed
from tests.support.properties import examples
from tests.support.vectors import VECTORS

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
        ({"key_algorithm": "RSASSA-PSS", "key_size": 2048}, rsa.RSAPrivateKey, 2048),
        ({"key_algorithm": "ed25519"}, ed25519.Ed25519PrivateKey, None),
    ],
)
def test_create_and_load(tmp_path: Path, options: dict, kind: type, size: int) -> None:
    path = make(tmp_path / "k.p12", validity_days=30, **options)
    key = load_signing_key(path, password="secret", alias="Signing Key 1")
    assert isinstance(key.private_key, kind)
    assert getattr(key.private_key, "key_size", None) == size
    (certificate,) = key.certificate_chain
    assert certificate.subject.rfc4514_string() == "CN=Signer,O=Acme,L=London,C=GB"
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + timedelta(days=30)
    extensions = x509.load_der_x509_certificate(certificate.der).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
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
        ({"key_algorithm": "Ed25519", "key_size": 448}, "key-unsupported"),
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


def pem_of(key, *, encryption=None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def chain_of(key) -> bytes:
    return b"".join(c.public_bytes(Encoding.PEM) for c in key.certificate_chain)


@pytest.mark.parametrize("kind", ["ec256", "ec384", "rsa2048", "ed25519"])
def test_a_key_with_its_chain_in_pem(tmp_path: Path, kind: str) -> None:
    made, path = self_signed(kind), tmp_path / "release.pem"
    forms = [PrivateFormat.PKCS8] + [PrivateFormat.TraditionalOpenSSL] * (kind != "ed25519")
    for form in forms:
        path.write_bytes(b"Bag Attributes\n" + pem_of(made, form=form) + chain_of(made))
        key = load_signing_key(path, password=None, alias=None)
        assert key.certificate_chain == made.certificate_chain
        assert key.alias == "release"
        assert accept(cpk(key), trusted=[made.anchor])
        assert cpk(key) == cpk(named(made, "release"))


def named(key: SigningKey, alias: str) -> SigningKey:
    return SigningKey(
        private_key=key.private_key, certificate_chain=key.certificate_chain, alias=alias
    )


def test_a_pem_chain_is_ordered_and_its_certificates_may_stand_apart(tmp_path: Path) -> None:
    path = tmp_path / "alice.pem"
    path.write_bytes(pem_of(alice()))
    leaf, *issuers = alice().certificate_chain
    key = load_signing_key(path, password=None, alias="ALICE", certificates=[*issuers, leaf])
    assert key.certificate_chain == (leaf, *issuers)
    with pytest.raises(KeystoreError, match="no certificate of it") as refused:
        load_signing_key(path, password=None, alias=None)
    assert refused.value.code == "keystore-invalid"
    path.write_bytes(chain_of(alice()))
    assert load_keystore(path, password=None).trusted == alice().certificate_chain
    with pytest.raises(KeystoreError, match="holds no private key"):
        load_signing_key(path, password=None, alias=None)


def test_an_encrypted_pem_key_needs_its_password(tmp_path: Path) -> None:
    made, path = self_signed("rsa2048"), tmp_path / "k.pem"
    path.write_bytes(
        chain_of(made) + pem_of(made, encryption=BestAvailableEncryption(b"pem secret"))
    )
    assert load_signing_key(path, password="pem secret", alias=None).anchor == made.anchor
    for wrong in ("other", "", None):
        with pytest.raises(KeystoreError) as refused:
            load_signing_key(path, password=wrong, alias=None)
        assert refused.value.code == "keystore-password"
        assert "pem secret" not in refused.value.message


def small_pfx() -> bytes:
    key = self_signed("ec256")
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(1)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(b"secret")
    )
    own, other = (x509.load_der_x509_certificate(k.anchor.der) for k in (key, alice()))
    return pkcs12.serialize_key_and_certificates(b"k", key.private_key, own, [other], encryption)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"\xfe\xed\xfe\xed" + bytes(40), "keystore-invalid", "keytool -importkeystore"),
        (b"\xce\xce\xce\xce" + bytes(40), "keystore-invalid", "JCEKS"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "keystore-invalid",
            "cannot be opened",
        ),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" * 17,
            "keystore-invalid",
            "more than 16 keys",
        ),
        (b"", "keystore-invalid", "no readable PKCS#12 file"),
        (small_pfx(), "keystore-password", "needs a password"),
    ],
)
def test_key_files_that_cannot_be_used(tmp_path: Path, data: bytes, code: str, words: str) -> None:
    path = tmp_path / "k"
    path.write_bytes(data)
    with pytest.raises(KeystoreError, match=words) as refused:
        load_signing_key(path, password=None, alias=None)
    assert refused.value.code == code


CORDAS = {
    "alice.p12": ["alice"],
    "bob.p12": ["bob"],
    "ca1.p12": ["ca1"],
    "ca2.p12": ["ca2"],
    "rootca.p12": ["rootca"],
    "signingkeys.pfx": ["rootca", "signing key 1", "signing key 2"],
}


@pytest.mark.conformance
class TestCordasPublicKeystores:
    """Their ECDSA certificates have NULL parameters, which the usual parser refuses."""

    folder = VECTORS / "packaging" / "keystores"

    @pytest.mark.parametrize("name", CORDAS)
    def test_they_open(self, name: str) -> None:
        password = "keystore password" if name.endswith("pfx") else "cordadevpass"
        keystore = load_keystore(self.folder / name, password=password)
        assert [key.alias for key in keystore.keys] == CORDAS[name]
        for key in keystore.keys:
            assert key.private_key.public_key() == key.certificate_chain[0].public_key()
        with pytest.raises(KeystoreError) as refused:
            load_keystore(self.folder / name, password="wrong")
        assert refused.value.code == "keystore-password"

    def test_they_verify_what_they_signed(self) -> None:
        keystore = load_keystore(self.folder / "rootca.p12", password="cordadevpass")
        assert keystore.anchors()[0].subject.rfc4514_string().startswith("CN=Corda Dev Root CA")

    def test_they_sign_and_what_they_sign_verifies(self) -> None:
        """As jarsigner signs with them: their certificates stay as they are."""
        key = load_signing_key(self.folder / "alice.p12", password="cordadevpass", alias=None)
        assert key.certificate_chain[0].key_algorithm == "1.2.840.10045.2.1"
        assert accept(cpk(key), trusted=[key.anchor]).signers[0].chain == key.certificate_chain

    def test_certificates_under_rc2_are_read(self) -> None:
        """Java encrypted certificates so until 2021."""
        new = load_keystore(self.folder / "alice.p12", password="cordadevpass")
        old = load_keystore(self.folder / "alice-v2.p12", password="cordadevpass")
        assert [key.alias for key in old.keys] == [key.alias for key in new.keys]
        with pytest.raises(KeystoreError) as refused:
            load_keystore(self.folder / "alice-v2.p12", password="wrong")
        assert refused.value.code == "keystore-password"

    def test_a_damaged_one_is_refused(self) -> None:
        data = bytearray((self.folder / "alice.p12").read_bytes())
        data[len(data) // 2] ^= 1
        with pytest.raises(KeystoreError) as refused:
            read_pkcs12(bytes(data), password="cordadevpass", source="x")
        assert refused.value.code == "keystore-password"

    def test_iterations_are_bounded(self) -> None:
        pfx = asn1_pkcs12.Pfx.load((self.folder / "alice.p12").read_bytes())
        pfx["mac_data"]["iterations"] = 5_000_001
        with pytest.raises(KeystoreError, match="5000001 iterations"):
            read_pkcs12(pfx.dump(force=True), password="cordadevpass", source="x")

    def test_iterations_of_all_items_together_are_bounded(self) -> None:
        rounds = DerivationRounds("x")
        for _ in range(4):
            rounds.spend(5_000_000)
        with pytest.raises(KeystoreError, match="more than 20000000 iterations for all"):
            rounds.spend(1)


def encrypted_pem(change: Callable[[EncryptedPrivateKeyInfo], None]) -> bytes:
    """A key under the password `pw`, whose encryption was changed afterwards."""
    made = self_signed("ec256")
    data = pem_of(made, encryption=BestAvailableEncryption(b"pw"))
    info = EncryptedPrivateKeyInfo.load(pem.unarmor(data)[2])
    change(info)
    return chain_of(made) + pem.armor("ENCRYPTED PRIVATE KEY", info.dump(force=True))


def test_iterations_of_a_pem_key_are_bounded_before_the_library_sees_it(tmp_path: Path) -> None:
    def many(info: EncryptedPrivateKeyInfo) -> None:
        function = info["encryption_algorithm"]["parameters"]["key_derivation_func"]
        function["parameters"]["iteration_count"] = 2**40

    path = tmp_path / "k.pem"
    path.write_bytes(encrypted_pem(many))
    with pytest.raises(KeystoreError, match="asks for 1099511627776 iterations") as refused:
        load_signing_key(path, password="pw", alias=None)
    assert refused.value.code == "keystore-invalid"


def test_a_derivation_that_takes_memory_as_the_file_says_is_refused(tmp_path: Path) -> None:
    key, path = tmp_path / "key.pem", tmp_path / "scrypt.pem"
    key.write_bytes(pem_of(self_signed("ec256")))
    words = ["openssl", "pkcs8", "-topk8", "-scrypt", "-passout", "pass:pw"]
    subprocess.run([*words, "-in", str(key), "-out", str(path)], check=True)
    with pytest.raises(KeystoreError, match=r"derives a key by '1\.3\.6\.1\.4\.1\.11591\.4\.11'"):
        load_signing_key(path, password="pw", alias=None)


@pytest.mark.property
@settings(deadline=None, max_examples=examples(150))
@given(st.data())
def test_damaged_key_files_are_refused_or_read(data: st.DataObject) -> None:
    """Whatever a byte is changed to, the answer is a key file's content or a refusal."""
    raw = bytearray(data.draw(st.sampled_from(KEY_FILES)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    read = read_pem if is_pem(bytes(raw)) else read_pkcs12
    with contextlib.suppress(KeystoreError):
        read(bytes(raw), password="secret", source="x")


KEY_FILES = [small_pfx(), pem_of(self_signed("ec256")) + chain_of(self_signed("ec256"))]


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


@pytest.mark.skipif(
    shutil.which("keytool") is None or shutil.which("openssl") is None,
    reason="keytool and openssl are not installed",
)
class TestWhichCertificateSigns:
    """The one that a key's entry is bound to, not the first one with the same public key."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "k")
        for name, days in (("old", "60"), ("new", "900")):
            subject = ("-subj", "/CN=Release/O=Org/C=GB")
            openssl("req", "-x509", "-new", "-key", "k", "-days", days, *subject, "-out", name)
        return tmp_path

    def keystore(self, alias: str, trusted: str, own: str, *options: str) -> Path:
        """A Java key store: a trusted certificate first, then the key `release`."""
        openssl("pkcs12", "-export", "-inkey", "k", "-in", own, "-name", "release", *options)
        store = ("-keystore", "ks.p12", "-storetype", "pkcs12", "-storepass", "secret1")
        source = ("-srckeystore", "key.p12", "-srcstorepass", "secret1")
        target = ("-destkeystore", "ks.p12", "-deststorepass", "secret1")
        for words in (
            ("-importcert", "-noprompt", "-alias", alias, "-file", trusted, *store),
            ("-importkeystore", "-noprompt", *source, *target),
        ):
            subprocess.run(["keytool", *words], check=True, capture_output=True)
        return Path("ks.p12")

    OUT = ("-out", "key.p12", "-passout", "pass:secret1")

    def serial(self, name: str) -> int:
        return x509.load_pem_x509_certificate(Path(name).read_bytes()).serial_number

    def test_a_trusted_entry_of_the_same_certificate_is_not_the_key(self, folder: Path) -> None:
        store = self.keystore("signing-cert", "new", "new", *self.OUT)
        key = load_signing_key(store, password="secret1", alias="release")
        assert key.alias == "release"
        with pytest.raises(KeystoreError, match="holds key 'release', not 'signing-cert'"):
            load_signing_key(store, password="secret1", alias="signing-cert")

    @pytest.mark.parametrize(("trusted", "own"), [("old", "new"), ("new", "old")])
    def test_the_entrys_own_certificate_signs(self, folder: Path, trusted: str, own: str) -> None:
        store = self.keystore("release-2025", trusted, own, *self.OUT)
        (key,) = load_keystore(store, password="secret1").keys
        assert key.certificate_chain[0].serial_number == self.serial(own)

    def test_of_pem_certificates_the_newest_signs(self, folder: Path) -> None:
        # Both begin within one second, so the end decides.
        for order in (("old", "new"), ("new", "old")):
            parts = [Path(name).read_bytes() for name in ("k", *order)]
            Path("both.pem").write_bytes(b"".join(parts))
            (key,) = load_keystore(Path("both.pem"), password=None).keys
            assert key.certificate_chain[0].serial_number == self.serial("new")

    @pytest.mark.parametrize("options", [(), ("-certpbe", "AES-128-CBC")])
    def test_an_empty_password(self, folder: Path, options: tuple[str, ...]) -> None:
        out = ("-out", "e.p12", "-passout", "pass:", *options)
        openssl("pkcs12", "-export", "-inkey", "k", "-in", "new", "-name", "e", *out)
        key = load_signing_key(Path("e.p12"), password="", alias=None)
        assert (key.alias, key.certificate_chain[0].serial_number) == ("e", self.serial("new"))
        with pytest.raises(KeystoreError) as refused:
            load_signing_key(Path("e.p12"), password="other", alias=None)
        assert refused.value.code == "keystore-password"
