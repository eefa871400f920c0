"""What we sign, and what Java's tools make of it; what they sign, and what we make of it."""

import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import algos, cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from cpi.crypto.algorithms import encode_pss
from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.crypto.signature_schemes import is_pss_only
from cpi.errors import CpiError, PackageRefusedError, SignatureError, TrustError
from cpi.jar.signatures import Role, role_of
from cpi.jar.signer_warnings import signer_warnings
from cpi.jar.signing import resign, signature_base_name
from cpi.package.resigning import resigned
from cpi.package.verify import verify_package
from tests.cpi import support
from tests.cpi.support import (
    NOW,
    accept,
    alice,
    bob,
    entries_of,
    refusal,
    refuse,
    root,
    self_signed,
)
from tests.support.properties import examples

KINDS = ["ec256", "ec384", "rsa2048", "rsa4096", "ed25519"]
JARSIGNER = shutil.which("jarsigner")
KEYTOOL = shutil.which("keytool")
needs_java = pytest.mark.skipif(
    not (JARSIGNER and KEYTOOL), reason="jarsigner and keytool are not installed"
)


def java(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_kind_verifies(kind: str) -> None:
    key = self_signed(kind)
    result = accept(support.cpk(key), trusted=(key.anchor,))
    assert result.cpk_signer_summary_hash == result.cpi_signer_summary_hash
    extension = ".RSA" if kind.startswith("rsa") else ".EC"
    names = [n for n, _ in entries_of(support.cpk(key))]
    assert names[:3] == [
        "META-INF/MANIFEST.MF",
        f"META-INF/{kind.upper()}.SF",
        f"META-INF/{kind.upper()}{extension}",
    ]


JAVA_KINDS = [
    ("RSA", 2048),
    ("RSA", 4096),
    ("RSASSA-PSS", 2048),
    ("RSASSA-PSS", 4096),
    ("EC", 256),
    ("EC", 384),
    ("Ed25519", None),
]


@needs_java
@pytest.mark.slow
@pytest.mark.conformance
@pytest.mark.parametrize(("algorithm", "size"), JAVA_KINDS)
def test_jarsigner_accepts_what_we_sign(algorithm: str, size: int | None, tmp_path: Path) -> None:
    store = tmp_path / "keys.p12"
    store.write_bytes(
        create_keystore(
            password="changeit",
            alias="key",
            distinguished_name="CN=Signer, O=Acme, L=London, C=GB",
            key_algorithm=algorithm,
            key_size=size,
        )
    )
    key = load_signing_key(store, password="changeit", alias="key")
    assert is_pss_only(key.anchor) == (algorithm == "RSASSA-PSS")
    cpk = support.cpk(key)
    cpb = support.cpb(key, cpks={"a.jar": cpk})
    packages = {"a.jar": cpk, "a.cpb": cpb, "a.cpi": support.cpi(key, bundle=cpb)}
    running = []
    for name, data in packages.items():
        (tmp_path / name).write_bytes(data)
        words = (JARSIGNER or "", "-verify", "-strict", "-keystore", str(store))
        running.append(
            subprocess.Popen(
                (*words, "-storepass", "changeit", f"{tmp_path}/{name}", "key"),
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert verify_package(data, package_type=None, trusted=[key.anchor]).id
    for process in running:
        shown, _ = process.communicate(timeout=60)
        assert process.returncode == 0, shown


@needs_java
@pytest.mark.slow
@pytest.mark.conformance
@pytest.mark.parametrize(
    ("algorithm", "size"), [kind for kind in JAVA_KINDS if kind != ("RSASSA-PSS", 4096)]
)
def test_we_accept_what_jarsigner_signs(algorithm: str, size: int | None, tmp_path: Path) -> None:
    store, package = tmp_path / "keys.p12", tmp_path / "package.jar"
    access = ("-keystore", str(store), "-storepass", "changeit")
    made = java(
        *(KEYTOOL or "", "-genkeypair", "-alias", "java", "-keyalg", algorithm, *access),
        *("-storetype", "PKCS12", "-dname", "CN=Java, O=Acme, L=London, C=GB"),
        *(("-keysize", str(size)) if size else ()),
    )
    assert made.returncode == 0, made.stdout
    key = load_signing_key(store, password="changeit", alias="java")
    unsigned = support.edit(
        support.cpk(),
        lambda es: [e for e in es if role_of(e[0]) is Role.CONTENT or "MANIFEST" in e[0]],
    )
    package.write_bytes(unsigned)
    signed = java(JARSIGNER or "", *access, str(package), "java")
    assert signed.returncode == 0, signed.stdout
    data = package.read_bytes()
    result = verify_package(data, package_type=None, trusted=[key.anchor])
    assert result.id is not None
    assert result.signers[0].subject == "CN=Java,O=Acme,L=London,C=GB"
    tampered = support.replace_entry(data, "package/Cpk1.class", lambda c: c + b"!")
    with pytest.raises(PackageRefusedError) as refused:
        verify_package(tampered, package_type=None, trusted=[key.anchor])
    assert refused.value.code == "digest-mismatch"
    assert accept_now(resign(data, [key], keep_signatures=False), key)


def accept_now(data: bytes, key: SigningKey) -> bool:
    return verify_package(data, package_type=None, trusted=[key.anchor]).id is not None


def test_a_pss_key_must_not_sign_by_pkcs1(tmp_path: Path) -> None:
    store = tmp_path / "keys.p12"
    store.write_bytes(
        create_keystore(
            password="p", alias="k", distinguished_name="CN=S,O=A,C=GB", key_algorithm="rsassa-pss"
        )
    )
    key = load_signing_key(store, password="p", alias=None)
    package = support.cpk(key)
    assert accept_now(package, key)

    def by_pkcs1(block: bytes) -> bytes:
        info = cms.ContentInfo.load(block)
        signer = info["content"]["signer_infos"][0]
        statement = dict(entries_of(package))["META-INF/K.SF"]
        signer["signature"] = key.private_key.sign(statement, padding.PKCS1v15(), hashes.SHA256())
        signer["signature_algorithm"] = {"algorithm": "sha256_rsa"}
        return info.dump(force=True)

    forged = support.replace_entry(package, "META-INF/K.RSA", by_pkcs1)
    with pytest.raises(PackageRefusedError, match="is for RSASSA-PSS") as refused:
        verify_package(forged, package_type=None, trusted=[key.anchor])
    assert refused.value.code == "signature-format"


@needs_java
@pytest.mark.conformance
@pytest.mark.parametrize(("digest", "salt"), [("sha384", 48), ("sha512", 100)])
def test_a_restricted_pss_key_signs_as_it_may(digest: str, salt: int, tmp_path: Path) -> None:
    key = restricted_pss_key(tmp_path, digest, salt)
    package, store = tmp_path / "a.jar", tmp_path / "trust.p12"
    package.write_bytes(support.cpk(key))
    assert accept_now(package.read_bytes(), key)
    access = ("-keystore", str(store), "-storepass", "changeit")
    pem = f"{tmp_path}/certificate.pem"
    assert java(KEYTOOL or "", "-importcert", "-noprompt", "-file", pem, *access).returncode == 0
    shown = java(JARSIGNER or "", "-verify", "-strict", *access, str(package))
    assert shown.returncode == 0, shown.stdout


def restricted_pss_key(folder: Path, digest: str, salt: int) -> SigningKey:
    restriction = (
        f"rsa_pss_keygen_md:{digest}",
        f"rsa_pss_keygen_mgf1_md:{digest}",
        f"rsa_pss_keygen_saltlen:{salt}",
    )
    done = java(
        *("openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"),
        *(word for option in restriction for word in ("-pkeyopt", option)),
        *("-nodes", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"),
        *("-days", "3650", "-subj", "/CN=pss/O=Acme/C=GB"),
    )
    assert done.returncode == 0, done.stderr
    certificates = load_pem_certificates((folder / "certificate.pem").read_bytes(), source="x")
    return load_signing_key(
        folder / "key.pem", password=None, alias=None, certificates=certificates
    )


def test_a_restricted_pss_key_must_not_sign_otherwise(tmp_path: Path) -> None:
    key = restricted_pss_key(tmp_path, "sha384", 48)
    package = support.cpk(key)

    def by_sha256(block: bytes) -> bytes:
        info = cms.ContentInfo.load(block)
        signer = info["content"]["signer_infos"][0]
        statement = dict(entries_of(package))["META-INF/KEY.SF"]
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        signer["signature"] = key.private_key.sign(statement, scheme, hashes.SHA256())
        signer["digest_algorithm"] = {"algorithm": "sha256"}
        signer["signature_algorithm"] = algos.SignedDigestAlgorithm.load(encode_pss("sha256", 32))
        return info.dump(force=True)

    forged = support.replace_entry(package, "META-INF/KEY.RSA", by_sha256)
    with pytest.raises(PackageRefusedError, match="is for sha384 with a salt of 48") as refused:
        verify_package(forged, package_type=None, trusted=[key.anchor])
    assert refused.value.code == "signature-format"


def test_weak_and_foreign_keys_do_not_sign() -> None:
    for private in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())):
        made = support.certificate("CN=weak,O=Acme,C=GB", private)
        with pytest.raises(SignatureError) as refused:
            support.cpk(SigningKey(private_key=private, certificate_chain=(made,), alias="w"))
        assert refused.value.code == "key-weak"


def test_a_chain_that_does_not_hold_does_not_sign() -> None:
    good = alice()
    mixed = (good.certificate_chain[0], bob().certificate_chain[1], good.certificate_chain[2])
    same_name = support.authority("CN=Corda Dev CA1,OU=R3,O=Corda,L=Dublin,C=IE")
    stranger = (good.certificate_chain[0], same_name.certificate)
    for chain in (mixed, stranger):
        with pytest.raises(TrustError, match="is not signed by") as refused:
            support.cpk(
                SigningKey(private_key=good.private_key, certificate_chain=chain, alias="s")
            )
        assert refused.value.code == "certificate-invalid"
    short = SigningKey(
        private_key=good.private_key, certificate_chain=good.certificate_chain[:2], alias="short"
    )
    assert accept(support.cpk(short)), "a trusted root needs not be in the chain"


def test_several_signers_at_once() -> None:
    kinds = ("ec256", "rsa2048", "ed25519")
    keys = [self_signed(kind) for kind in kinds]
    anchors = [key.anchor for key in keys]
    package = support.cpk(*keys)
    result = accept(package, trusted=anchors)
    assert [s.name for s in result.signers] == [f"META-INF/{kind.upper()}" for kind in kinds]
    assert support.refuse(package, trusted=anchors[:2]) == ["signer-not-trusted"]
    again = resign(package, [alice(), bob()], keep_signatures=True)
    assert len(accept(again, trusted=[*anchors, root().certificate]).signers) == 5
    replaced = resign(package, [alice(), bob()], keep_signatures=False)
    assert [s.name for s in accept(replaced).signers] == ["META-INF/ALICE", "META-INF/BOB"]


def test_signing_again_tells_what_changes() -> None:
    bundle = support.cpi(alice())
    trusted = [root().certificate]
    same, result = resigned(bundle, [alice()], trusted=trusted, keep_signatures=False, at=NOW)
    assert "package-identity-changed" not in [w.code for w in result.warnings]
    assert "certificate-chain-in-identity" in [w.code for w in result.warnings]
    assert same == bundle
    _, changed = resigned(bundle, [bob()], trusted=trusted, keep_signatures=True, at=NOW)
    (warning,) = [w for w in changed.warnings if w.code == "package-identity-changed"]
    before, after = accept(bundle).id, changed.id
    assert before
    assert after
    assert before.signer_summary_hash in warning.message
    assert after.signer_summary_hash in warning.message


def test_an_expired_or_unrooted_certificate_does_not_sign() -> None:
    later = alice().certificate_chain[0].not_valid_after_utc + timedelta(days=1)
    for trusted, at, code in (
        ([root().certificate], later, "certificate-not-valid-now"),
        ([self_signed("ec256").anchor], NOW, "signer-not-trusted"),
    ):
        with pytest.raises(TrustError) as refused:
            resigned(support.cpk(), [alice()], trusted=trusted, keep_signatures=False, at=at)
        assert refused.value.code == code


def test_certificates_that_should_be_replaced_are_warned_of(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    soon = support.certificate("CN=soon,O=A,C=GB", key, end=NOW + timedelta(days=29))
    signer = SigningKey(private_key=key, certificate_chain=(soon,), alias="soon")
    _, result = resigned(support.cpk(), [signer], trusted=[soon], keep_signatures=False, at=NOW)
    assert [w.code for w in result.warnings] == [
        "certificate-expires-soon",
        "package-identity-changed",
    ]
    kinds = {
        "signature-weak-algorithm": sha1_certificate(tmp_path),
        "key-weak": support.certificate("CN=k,O=A,C=GB", rsa.generate_private_key(65537, 1024)),
    }
    for code, made in kinds.items():
        found = [w.code for w in signer_warnings((made,), has_timestamp=False, at=NOW)]
        assert found == [code]


def test_a_key_of_an_unknown_kind_is_left_to_who_judges_its_path() -> None:
    made = support.certificate("CN=k,O=A,C=GB", ec.generate_private_key(ec.SECP256R1()))
    curve = bytes.fromhex("06082a8648ce3d030107")
    odd = Certificate(made.public_bytes(Encoding.DER).replace(curve, curve[:-1] + b"\x7f"))
    with pytest.raises(TrustError):
        odd.public_key()
    assert [w.code for w in signer_warnings((odd,), has_timestamp=False, at=NOW)] == []


def test_no_date_is_too_far_away_for_the_warnings() -> None:
    """Half a year after the last day that there is has no date."""
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    made = support.certificate(
        "CN=k,O=A,C=GB", key, begin=datetime(1950, 1, 1, tzinfo=UTC), end=last
    )
    for at in (NOW, last - timedelta(days=1), last, datetime.max.replace(tzinfo=UTC)):
        found = [w.code for w in signer_warnings((made,), has_timestamp=False, at=at)]
        assert found == (["certificate-expires-soon"] if at == last - timedelta(days=1) else [])


@pytest.mark.parametrize(
    ("date", "time"), [(0, 0), (0xFFFF, 0xFFFF), (0x005F, 0xBF7D), (0xFF9F, 0)]
)
def test_the_times_of_entries_have_no_meaning(date: int, time: int) -> None:
    """They are not signed: anybody may set them to months and seconds that there are not."""
    signer = alice()
    data = bytearray(support.cpk(signer))
    for mark, place in ((b"PK\3\4", 10), (b"PK\1\2", 12)):
        at = data.find(mark)
        while at >= 0:
            data[at + place : at + place + 4] = struct.pack("<HH", time, date)
            at = data.find(mark, at + 4)
    accept(bytes(data))


def sha1_certificate(folder: Path) -> x509.Certificate:
    """Self-signed by SHA-1, which the library verifies and does not make."""
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha1", "-days", "3650")
    files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem")
    done = java("openssl", *words, *files, "-subj", "/CN=old/O=A/C=GB")
    assert done.returncode == 0, done.stderr
    pem = (folder / "certificate.pem").read_bytes()
    return load_pem_certificates(pem, source="openssl")[0]


def test_packages_are_reproducible() -> None:
    for key in (self_signed("ec256"), self_signed("rsa2048"), self_signed("ed25519")):
        entries = dict(support.cpk_spec().entries)
        one = support.cpk(key, entries=entries)
        other = support.cpk(key, entries=dict(reversed(entries.items())))
        assert one == other
        bundle = support.cpb(key, cpks={"a.jar": one})
        assert support.cpi(key, bundle=bundle) == support.cpi(key, bundle=bundle)


def test_each_entry_section_has_one_digest() -> None:
    from cpi.jar.manifest import parse_manifest

    manifest = parse_manifest(dict(entries_of(support.cpk()))["META-INF/MANIFEST.MF"])
    assert all(set(s.attributes) == {"Name", "SHA-256-Digest"} for s in manifest.entries.values())


def test_resign_replaces_or_adds() -> None:
    original = support.cpk(alice())
    added = accept(resign(original, [bob()], keep_signatures=True))
    assert [s.name for s in added.signers] == ["META-INF/ALICE", "META-INF/BOB"]
    replaced = accept(resign(original, [bob()], keep_signatures=False))
    assert [s.name for s in replaced.signers] == ["META-INF/BOB"]
    assert replaced.id
    assert added.id
    assert replaced.id.name == added.id.name == "test.cpk"
    assert dict(replaced.cpks[0].entries) == dict(added.cpks[0].entries)


def test_resign_of_unsigned_and_of_broken_packages() -> None:
    unsigned = support.edit(
        support.cpk(), lambda es: [e for e in es if not e[0].endswith((".SF", ".EC"))]
    )
    assert accept(resign(unsigned, [alice()], keep_signatures=True)) == accept(support.cpk())
    broken = support.replace_entry(support.cpk(), "package/Cpk1.class", lambda c: c + b"!")
    for keep in (True, False):
        with pytest.raises(SignatureError, match="digest error"):
            resign(broken, [bob()], keep_signatures=keep)


def test_a_second_signature_of_one_name_gets_a_number() -> None:
    twice = resign(support.cpk(alice()), [alice()], keep_signatures=True)
    assert [s.name for s in accept(twice).signers] == ["META-INF/ALICE", "META-INF/ALICE2"]
    with pytest.raises(SignatureError) as refused:
        resign(support.cpk(alice()), [alice()], keep_signatures=True, signature_name="alice")
    assert refused.value.code == "signer-name-taken"


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("signing key 1", "SIGNING_"),
        ("key1", "KEY1"),
        ("key2", "KEY2"),
        ("a.b/c", "A_B_C"),
        ("\u00fcber", "_BER"),
        ("cordapp", "CORDAPP"),
    ],
)
def test_signature_names(alias: str, expected: str) -> None:
    assert signature_base_name(alias) == expected


def test_signatures_must_follow_the_manifest() -> None:
    def late(entries):
        return [entries[0], *entries[3:], *entries[1:3]]

    assert refuse(support.edit(support.cpk(), late)) == ["signature-misplaced"]


def test_a_block_may_precede_its_signature_file_and_case_may_differ() -> None:
    def swap(entries):
        return [entries[0], entries[2], entries[1], *entries[3:]]

    assert accept(support.edit(support.cpk(), swap))
    lower = support.edit(
        support.cpk(),
        lambda es: [(n.lower() if n.endswith((".SF", ".EC")) else n, c) for n, c in es],
    )
    assert accept(lower)


def test_a_second_block_for_one_signature_file_is_refused() -> None:
    data = support.edit(
        support.cpk(), lambda es: [*es[:3], ("META-INF/ALICE.RSA", es[2][1]), *es[3:]]
    )
    assert refuse(data) == ["signature-format"]


def test_a_lone_signature_file_is_ignored_with_a_warning() -> None:
    data = support.edit(support.cpk(), lambda es: [*es, ("META-INF/STRAY.SF", b"x")])
    assert [w.code for w in accept(data).warnings] == ["signature-stray-file"]


def test_a_block_of_another_file_is_refused() -> None:
    other = dict(entries_of(support.cpk(symbolic_name="other")))["META-INF/ALICE.EC"]
    error = refusal(support.replace_entry(support.cpk(), "META-INF/ALICE.EC", lambda _: other))
    assert error.code == "signature-invalid"
    assert error.entry == "META-INF/ALICE.EC"


def test_weak_digests_do_not_count() -> None:
    def weaken(raw: bytes) -> bytes:
        return raw.replace(b"SHA-256-Digest: ", b"SHA1-Digest: ")

    data = support.replace_entry(support.cpk(), "META-INF/MANIFEST.MF", weaken)
    assert refuse(data)[0] in ("signature-invalid", "signature-weak-algorithm")


PACKAGE = support.cpk(self_signed("ec256"))
BLOCK = dict(entries_of(PACKAGE))["META-INF/EC256.EC"]


@pytest.mark.property
@settings(deadline=None, max_examples=examples(300))
@given(st.integers(0, len(BLOCK) - 1), st.integers(1, 255), st.integers(0, 3))
def test_no_damaged_block_is_accepted_or_crashes(at: int, change: int, cut: int) -> None:
    damaged = bytearray(BLOCK)
    damaged[at] ^= change
    data = support.replace_entry(
        PACKAGE, "META-INF/EC256.EC", lambda _: bytes(damaged[: len(damaged) - cut])
    )
    anchor = self_signed("ec256").anchor
    try:
        result = verify_package(data, package_type=None, trusted=[anchor], at=NOW)
    except PackageRefusedError:
        return
    # Some bytes say nothing: the version numbers, the list of digest algorithms.
    assert result.signers[0].chain == (anchor,)


@pytest.mark.property
@settings(deadline=None, max_examples=examples(150))
@given(st.data())
def test_no_damaged_package_is_accepted_with_other_content(data: st.DataObject) -> None:
    raw = bytearray(PACKAGE)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    anchor = self_signed("ec256").anchor
    try:
        result = verify_package(bytes(raw), package_type=None, trusted=[anchor], at=NOW)
    except PackageRefusedError:
        return
    honest = verify_package(PACKAGE, package_type=None, trusted=[anchor], at=NOW)
    assert dict(result.cpks[0].entries) == dict(honest.cpks[0].entries)
    assert result.id == honest.id


def test_signing_needs_a_matching_certificate_that_may_sign() -> None:
    mixed = SigningKey(
        private_key=bob().private_key, certificate_chain=alice().certificate_chain, alias="x"
    )
    with pytest.raises(CpiError, match="for another key"):
        support.cpk(mixed)
    key = self_signed("ec256").private_key
    encipher = support.certificate("CN=x,O=y,C=GB", key, usage={"key_encipherment": True})
    with pytest.raises(CpiError, match="may not sign"):
        support.cpk(SigningKey(private_key=key, certificate_chain=(encipher,), alias="x"))
    assert root()
