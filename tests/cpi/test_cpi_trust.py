"""Certificate paths and signers: one rule of PKIX at a time, and what Java reads and refuses."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.certificates import load_der, load_pem_certificates
from cpi.crypto.keys import SigningKey
from cpi.crypto.signer_hash import certificate_der
from cpi.crypto.trust import validate_path
from cpi.errors import TrustError
from tests.cpi.support import (
    NOW,
    accept,
    alice,
    authority,
    ca,
    certificate,
    cpk,
    root,
    self_signed,
)


def leaf_below(issuer, **options) -> tuple[x509.Certificate, ...]:
    made = certificate(
        "CN=Leaf,O=Acme,C=GB", ec.generate_private_key(ec.SECP256R1()), issuer, **options
    )
    return (made, *issuer.chain)


def code_of(chain, anchors, at=NOW) -> str | None:
    try:
        validate_path(chain, anchors, at=at)
    except TrustError as refused:
        return refused.code
    return None


def test_the_anchor_issues_the_last_certificate() -> None:
    chain = alice().certificate_chain
    leaf, issuer, top = chain
    assert code_of(chain, [top]) is None
    assert code_of(chain, [issuer]) == "signer-not-trusted"
    assert code_of(chain, [leaf]) == "signer-not-trusted"
    assert code_of((leaf, issuer), [top]) is None
    assert code_of((leaf,), [issuer]) is None
    assert code_of((leaf,), [leaf]) == "signer-not-trusted"
    assert code_of((leaf,), [top]) == "signer-not-trusted"
    assert code_of(chain, [ca(2).certificate, top]) is None


def test_a_self_signed_certificate_is_its_own_anchor() -> None:
    own = self_signed("ec256").certificate_chain
    assert code_of(own, own) is None
    assert code_of(own, self_signed("ec384").certificate_chain) == "signer-not-trusted"


def test_a_namesake_is_not_the_anchor() -> None:
    impostor = authority("CN=Corda Dev Root CA,OU=R3,O=Corda,L=Dublin,C=IE")
    assert code_of(alice().certificate_chain, [impostor.certificate]) == "signer-not-trusted"


def test_a_signer_cannot_vouch_for_others() -> None:
    """A trusted self-signed signer that is no CA does not make the certificates it issues good."""
    signer = authority("CN=Signer,O=Acme,C=GB", ca=False)
    chain = leaf_below(signer)
    assert code_of(chain[:1], [signer.certificate]) == "signer-not-trusted"
    assert code_of(chain, [signer.certificate]) == "certificate-invalid"


@pytest.mark.parametrize(
    ("begin", "end", "good"),
    [(-1, 1, True), (0, 1, True), (-1, 0, True), (-2, -1, False), (1, 2, False)],
)
def test_validity_is_inclusive(begin: int, end: int, good: bool) -> None:
    second = timedelta(seconds=1)
    chain = leaf_below(root(), begin=NOW + begin * second, end=NOW + end * second)
    expected = None if good else "certificate-not-valid-now"
    assert code_of(chain, [root().certificate]) == expected


def test_an_expired_intermediate_is_named() -> None:
    old = authority("CN=Old CA,O=Acme,C=GB", root(), end=NOW - timedelta(days=1))
    with pytest.raises(TrustError, match=r"index \[1\], X.509 name: CN=Old CA,O=Acme,C=GB"):
        validate_path(leaf_below(old), [root().certificate], at=NOW)


def test_issuers_must_be_cas_that_may_sign_certificates() -> None:
    anchors = [root().certificate]
    assert code_of(leaf_below(authority("CN=A,O=x,C=GB", root(), ca=False)), anchors) == (
        "certificate-invalid"
    )
    assert code_of(leaf_below(authority("CN=A,O=x,C=GB", root(), ca=None)), anchors) == (
        "certificate-invalid"
    )
    no_signing = authority("CN=A,O=x,C=GB", root(), usage={"crl_sign": True})
    assert code_of(leaf_below(no_signing), anchors) == "certificate-usage"


def test_path_length() -> None:
    short = authority("CN=Short,O=x,C=GB", root(), path_length=0)
    assert code_of(leaf_below(short), [root().certificate]) is None
    below = authority("CN=Below,O=x,C=GB", short)
    assert code_of(leaf_below(below), [root().certificate]) == "certificate-invalid"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"digital_signature": True}, None),
        ({"content_commitment": True}, None),
        ({"key_encipherment": True}, "certificate-usage"),
    ],
)
def test_key_usage_of_the_signer(usage: dict[str, bool], expected: str | None) -> None:
    assert code_of(leaf_below(root(), usage=usage), [root().certificate]) == expected


def test_weak_keys_and_digests() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    signed = certificate("CN=Weak,O=x,C=GB", weak)
    assert code_of((signed,), [signed]) is None, "Corda accepts RSA 1024; the verifier warns"
    p224 = ec.generate_private_key(ec.SECP224R1())
    odd = certificate("CN=Odd,O=x,C=GB", p224)
    assert code_of((odd,), [odd]) == "key-weak"
    sha224 = leaf_below(root(), digest=hashes.SHA224())
    assert code_of(sha224, [root().certificate]) == "signature-weak-algorithm"


@pytest.mark.parametrize(
    ("extension", "critical", "good"),
    [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True, False),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), False, True),
        (x509.NameConstraints([x509.DNSName("a.b")], None), False, False),
        (x509.PolicyConstraints(0, None), False, False),
        (x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), True, True),
    ],
)
def test_extensions(extension: x509.ExtensionType, critical: bool, good: bool) -> None:
    chain = leaf_below(root(), extensions=[(extension, critical)])
    expected = None if good else "certificate-invalid"
    assert code_of(chain, [root().certificate]) == expected


def test_a_chain_out_of_order_is_refused() -> None:
    leaf, issuer, top = alice().certificate_chain
    assert code_of((issuer, leaf, top), [top]) is not None


def odd_signer(subject: str, serial: int) -> SigningKey:
    """A self-signed certificate that `x509.CertificateBuilder` would not make."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = asn1_x509.Certificate.load(certificate_der(certificate("CN=x,O=x,C=GB", key)))
    body = made["tbs_certificate"]
    body["serial_number"] = serial
    parts = dict(part.split("=") for part in subject.split(", "))
    names = {"CN": "common_name", "O": "organization_name", "C": "country_name"}
    body["subject"] = body["issuer"] = asn1_x509.Name.build(
        {names[kind]: value for kind, value in parts.items()}
    )
    made["signature_value"] = key.sign(body.dump(force=True), ec.ECDSA(hashes.SHA256()))
    loaded = load_der(made.dump(force=True))
    return SigningKey(private_key=key, certificate_chain=(loaded,), alias="odd")


@pytest.mark.parametrize(
    ("subject", "serial"),
    [
        ("CN=Unknown, O=Unknown, C=Unknown", 5),
        ("CN=X, O=Org, C=USA", 5),
        ("CN=Удостоверяющий центр подписи приложений, O=Org, C=RU", 5),
        (f"CN={'x' * 78}, O=Org, C=GB", 5),
        ("CN=Root, O=Org, C=GB", 0),
        ("CN=Root, O=Org, C=GB", -3),
    ],
)
def test_odd_certificates_that_java_reads_sign_and_are_trusted(subject: str, serial: int) -> None:
    """keytool's answers to Enter, other countries, long names, serials of public roots."""
    odd = odd_signer(subject, serial)
    package = accept(cpk(odd), trusted=[odd.anchor])
    assert package.signers[0].serial_number == serial
    (again,) = load_pem_certificates(odd.anchor.public_bytes(Encoding.PEM), source="x")
    assert again == odd.anchor


_USAGES = x509.oid.ExtendedKeyUsageOID
_NETSCAPE = x509.ObjectIdentifier("2.16.840.1.113730.1.1")


@pytest.mark.parametrize(
    ("extension", "warned"),
    [
        (x509.ExtendedKeyUsage([_USAGES.SERVER_AUTH]), True),
        (x509.ExtendedKeyUsage([_USAGES.SERVER_AUTH, _USAGES.CODE_SIGNING]), False),
        (x509.ExtendedKeyUsage([_USAGES.ANY_EXTENDED_KEY_USAGE]), False),
        (x509.UnrecognizedExtension(_NETSCAPE, b"\3\2\4\x10"), False),
        (x509.UnrecognizedExtension(_NETSCAPE, b"\3\2\6\x40"), True),
        (x509.UnrecognizedExtension(_NETSCAPE, b"\3\1\0"), True),
    ],
    ids=["server", "server and code", "any", "object signing", "server type", "no type"],
)
def test_who_signs_with_a_certificate_for_other_things_is_warned(
    extension: x509.ExtensionType, warned: bool
) -> None:
    """`jarsigner -verify -strict` refuses such packages; Corda takes them."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate("CN=Leaf,O=Acme,C=GB", key, root(), extensions=[(extension, False)])
    signer = SigningKey(private_key=key, certificate_chain=(leaf, root().certificate), alias="leaf")
    warnings = [w.code.value for w in accept(cpk(signer)).warnings]
    assert ("certificate-usage" in warnings) == warned


@pytest.mark.skipif(shutil.which("jarsigner") is None, reason="jarsigner is not installed")
@pytest.mark.parametrize(
    "usage", [_USAGES.SERVER_AUTH, _USAGES.CODE_SIGNING], ids=["server", "code"]
)
def test_jarsigner_agrees_with_the_warning(tmp_path: Path, usage: x509.ObjectIdentifier) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate(
        "CN=Leaf,O=Acme,C=GB", key, extensions=[(x509.ExtendedKeyUsage([usage]), False)]
    )
    signer = SigningKey(private_key=key, certificate_chain=(leaf,), alias="leaf")
    package, store, pem = (tmp_path / name for name in ("a.jar", "trust.p12", "leaf.pem"))
    package.write_bytes(cpk(signer))
    pem.write_bytes(leaf.public_bytes(Encoding.PEM))
    words = ("-importcert", "-noprompt", "-file", pem, "-keystore", store, "-storepass", "secret1")
    subprocess.run(["keytool", *words], check=True, capture_output=True)
    words = ("-verify", "-strict", "-keystore", store, "-storepass", "secret1", package)
    done = subprocess.run(["jarsigner", *words], capture_output=True, text=True, check=False)
    refused = "doesn't allow code signing" in done.stdout
    warned = "certificate-usage" in [
        w.code.value for w in accept(package.read_bytes(), trusted=[leaf]).warnings
    ]
    assert refused == warned == (usage == _USAGES.SERVER_AUTH), done.stdout
