"""What we sign, and what Java's tools make of it; what they sign, and what we make of it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from cpi.certificates import load_pem_certificates
from cpi.errors import CpiError, PackageRefusedError, SignatureError
from cpi.keys import SigningKey
from cpi.signatures import Role, role_of
from cpi.signing import resign, signature_base_name
from cpi.verify import verify_package
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

KINDS = ["ec256", "ec384", "rsa2048", "rsa4096", "ed25519"]
JARSIGNER = shutil.which("jarsigner")
KEYTOOL = shutil.which("keytool")
needs_java = pytest.mark.skipif(
    not (JARSIGNER and KEYTOOL), reason="jarsigner and keytool are not installed"
)


def keystore(path: Path, key: SigningKey) -> Path:
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"key", key.private_key, key.certificate_chain[0], None, NoEncryption()
        )
    )
    return path


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


@needs_java
@pytest.mark.conformance
@pytest.mark.parametrize("kind", ["ec256", "rsa2048", "rsa4096", "ed25519"])
def test_jarsigner_accepts_what_we_sign(kind: str, tmp_path: Path) -> None:
    key = self_signed(kind)
    bundle = support.cpb(key, cpks={"a.jar": support.cpk(key)})
    package = tmp_path / "package.jar"
    package.write_bytes(support.cpi(key, bundle=bundle))
    store = tmp_path / "trust.p12"
    pem = tmp_path / "signer.pem"
    from cryptography.hazmat.primitives.serialization import Encoding

    pem.write_bytes(key.anchor.public_bytes(Encoding.PEM))
    java(
        *(KEYTOOL or "", "-importcert", "-noprompt", "-alias", "signer", "-file", str(pem)),
        *("-keystore", str(store), "-storepass", "changeit", "-storetype", "PKCS12"),
    )
    done = java(
        *(JARSIGNER or "", "-verify", "-strict"),
        *("-keystore", str(store), "-storepass", "changeit", str(package)),
    )
    # The fixture certificates have no key usage; exit code 8 would say that they may not sign.
    assert done.returncode == 0, done.stdout + done.stderr


@needs_java
@pytest.mark.conformance
@pytest.mark.parametrize("algorithm", ["RSA", "EC"])
def test_we_accept_what_jarsigner_signs(algorithm: str, tmp_path: Path) -> None:
    store, package = tmp_path / "keys.p12", tmp_path / "package.jar"
    access = ("-keystore", str(store), "-storepass", "changeit")
    java(
        *(KEYTOOL or "", "-genkeypair", "-alias", "java", "-keyalg", algorithm, *access),
        *("-storetype", "PKCS12", "-dname", "CN=Java, O=Acme, L=London, C=GB"),
    )
    exported = java(KEYTOOL or "", "-exportcert", "-rfc", "-alias", "java", *access)
    anchors = load_pem_certificates(exported.stdout.encode(), source="keytool")
    unsigned = support.edit(
        support.cpk(),
        lambda es: [e for e in es if role_of(e[0]) is Role.CONTENT or "MANIFEST" in e[0]],
    )
    package.write_bytes(unsigned)
    signed = java(JARSIGNER or "", *access, str(package), "java")
    assert signed.returncode == 0, signed.stdout
    data = package.read_bytes()
    result = verify_package(data, package_type=None, trusted=anchors)
    assert result.id is not None
    assert result.signers[0].subject == "CN=Java,O=Acme,L=London,C=GB"
    tampered = support.replace_entry(data, "package/Cpk1.class", lambda c: c + b"!")
    with pytest.raises(PackageRefusedError) as refused:
        verify_package(tampered, package_type=None, trusted=anchors)
    assert refused.value.code == "digest-mismatch"


def test_packages_are_reproducible() -> None:
    for key in (self_signed("ec256"), self_signed("rsa2048"), self_signed("ed25519")):
        entries = dict(support.cpk_spec().entries)
        one = support.cpk(key, entries=entries)
        other = support.cpk(key, entries=dict(reversed(entries.items())))
        assert one == other
        bundle = support.cpb(key, cpks={"a.jar": one})
        assert support.cpi(key, bundle=bundle) == support.cpi(key, bundle=bundle)


def test_each_entry_section_has_one_digest() -> None:
    from cpi.manifest import parse_manifest

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
@settings(deadline=None, max_examples=300)
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
@settings(deadline=None, max_examples=150)
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
