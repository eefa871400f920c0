"""What Java's tools and Cordbox say of one key store, and whether the difference is documented."""

import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cpi.crypto.certificate import Certificate
from cpi.crypto.certificates import load_der
from cpi.crypto.keys import load_signing_key
from cpi.crypto.trust import validate_path
from cpi.errors import CpiError
from cpi.jar.signer_warnings import signing_warnings
from cpi.jar.signing import resign
from cpi.package.verify import verify_package
from tests.certificates.cases import PASSWORD, Case
from tests.certificates.java_tools import JavaTools
from tests.certificates.stores import Item, store

COMPLAINTS = {
    "certificate has expired": "certificate-not-valid-now",
    "certificate is not yet valid": "certificate-not-valid-now",
    "will expire within six months": "certificate-expires-soon",
    "KeyUsage extension doesn't allow": "certificate-usage",
    "NetscapeCertType extension doesn't allow": "certificate-usage",
    "signer certificate is self-signed": "certificate-self-signed",
    "do not include a timestamp": "timestamp-missing",
    "considered a security risk": "key-weak|signature-weak-algorithm",
    "will be disabled in a future update": "key-weak|signature-weak-algorithm",
    "Reason: KeyUsage does not allow digital signatures": "certificate-usage",
    "Reason: Extended key usage does not permit": "certificate-usage",
}
"""jarsigner's words and our code."""

LAXER = ("chain: renewed issuer",)
"""Key stores that we sign with and jarsigner does not: it takes the first certificate with the
issuer's name, we one whose key did sign."""

STRICTER = {
    "key-weak": ("rsa1024", "dsa2048", "k256"),
    "key-unsupported": ("dsa2048", "k256"),
    "certificate-not-valid-now": ("shape: expired", "shape: not yet valid"),
    "certificate-usage": ("shape: key usage without signatures", "shape: empty key usage"),
    "certificate-invalid": (
        "chain: foreign issuer",
        "shape: two algorithms",
        "shape: unknown critical extension",
        "shape: unreadable constraints",
        "shape: constrained names",
    ),
    "signature-weak-algorithm": ("shape: SHA-1", "chain: weak issuer"),
    "signer-not-trusted": ("chain: incomplete",),
    "keystore-invalid": (),
}
"""Our refusals of key stores that jarsigner signs with, each with the dimensions that explain it:
the how-to on signing lists them."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a JAR was signed and verified; the certificate that signed, complaints, the reason."""

    verified: bool
    serial: int | None
    complaints: frozenset[str]
    reason: str


def plain_jar(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        jar.writestr("a.txt", "a")


def trusting(folder: Path) -> tuple[object, ...]:
    return ("-keystore", folder / "trust.p12", "-storetype", "pkcs12", "-storepass", PASSWORD)


def by_java(java: JavaTools, case: Case, folder: Path) -> tuple[Verdict, Path]:
    jar, ks = folder / "java.jar", folder / "ks.p12"
    plain_jar(jar)
    access = ("-keystore", ks, "-storetype", "pkcs12", "-storepass", case.password)
    signed = java.jarsigner(*access, "-sigfile", "K", jar, case.alias)
    if "jar signed." not in signed.text:
        return Verdict(verified=False, serial=None, complaints=frozenset(), reason=signed.text), jar
    checked = java.jarsigner("-verify", "-strict", *trusting(folder), jar)
    found = frozenset(ours for words, ours in COMPLAINTS.items() if words in checked.text)
    broken = "chain is invalid" in checked.text and "sage does not" not in checked.text
    verified = "jar verified" in checked.text and not broken
    serial = signer_of(jar)
    return Verdict(verified=verified, serial=serial, complaints=found, reason=checked.text), jar


def signer_of(jar: Path) -> int | None:
    from asn1crypto import cms

    with zipfile.ZipFile(jar) as archive:
        block = next(n for n in archive.namelist() if n.startswith("META-INF/K.") and not n.endswith(".SF"))  # fmt: skip
        info = cms.ContentInfo.load(archive.read(block))
    return int(info["content"]["signer_infos"][0]["sid"].chosen["serial_number"].native)


def by_cordbox(case: Case, folder: Path) -> tuple[Verdict, Path]:
    jar, now = folder / "ours.jar", datetime.now(UTC)
    plain_jar(jar)
    try:
        key = load_signing_key(folder / "ks.p12", password=case.password, alias=case.alias)
        anchors = [key.anchor, load_der(case.trust)]
        validate_path(key.certificate_chain, anchors, at=now, whose="signing key's")
        warned = signing_warnings(key.certificate_chain, has_timestamp=False, at=now)
        codes = frozenset(issue.code.value for issue in warned)
        jar.write_bytes(resign(jar.read_bytes(), [key], keep_signatures=False, signature_name="K"))
        verified(jar, anchors)
    except CpiError as error:
        reason = f"{error.code}: {error.message}"
        codes = frozenset({error.code})
        return Verdict(verified=False, serial=None, complaints=codes, reason=reason), jar
    serial = key.certificate_chain[0].serial_number
    return Verdict(verified=True, serial=serial, complaints=codes, reason=""), jar


def verified(jar: Path, anchors: list[Certificate]) -> None:
    """Verify a JAR with our verifier, as `package verify --signature-only` does."""
    verify_package(jar.read_bytes(), package_type=None, trusted=anchors, signature_only=True)


def differences(java: JavaTools, case: Case, folder: Path) -> list[str]:
    """What differs without being documented."""
    (folder / "ks.p12").write_bytes(case.data)
    root = Item(alias="root", trusted=True, certificate=case.trust)
    (folder / "trust.p12").write_bytes(store([root], PASSWORD))
    theirs, their_jar = by_java(java, case, folder)
    ours, our_jar = by_cordbox(case, folder)
    found = []
    if theirs.verified and not ours.verified:
        (code,) = ours.complaints
        if not set(STRICTER.get(code, ())) & set(case.what):
            found.append(f"Java signs and verifies, we refuse: {ours.reason}")
    if ours.verified:
        found += _agreement(java, case, folder, theirs, ours, our_jar)
    if theirs.verified and ours.verified:
        key = load_signing_key(folder / "ks.p12", password=case.password, alias=case.alias)
        if theirs.serial != ours.serial:
            found.append(f"Java signs with {theirs.serial}, we with {ours.serial}")
        try:
            verified(their_jar, [key.anchor, load_der(case.trust)])
        except CpiError as error:
            found.append(f"we refuse what Java signed: {error.code}: {error.message}")
    return found


def _agreement(
    java: JavaTools, case: Case, folder: Path, theirs: Verdict, ours: Verdict, jar: Path
) -> list[str]:
    """What Java says of the JAR that we signed."""
    found = []
    if not theirs.verified and not set(LAXER) & set(case.what):
        found.append(f"we sign, Java does not: {theirs.reason}")
    checked = java.jarsigner("-verify", "-strict", *trusting(folder), jar)
    if "jar verified" not in checked.text:
        found.append(f"Java refuses what we signed: {checked.text}")
    told = {ours for words, ours in COMPLAINTS.items() if words in checked.text}
    missing = {each for each in told if not set(each.split("|")) & ours.complaints}
    if missing:
        found.append(f"jarsigner complains of what we did not warn of: {missing}: {checked.text}")
    return found
