"""x509-limbo: every case that is here, the verdicts that differ by name, each with its reason.

Limbo judges TLS servers. A code signer's path is judged as Java's PKIX does without revocation: the
path is what the signature block states, the trust anchor is a name and a key, and what it is for
besides signing is not asked.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cpi.crypto.certificates import issuer_path, load_pem_certificates
from cpi.crypto.trust import validate_path
from cpi.errors import CpiError, TrustError
from tests.cpi.support import NOW, Authority, authority, certificate
from tests.support.vectors import VECTORS

ANCHOR = "a trust anchor is a name and a key; what its certificate says is not judged, as in Java"
REVOCATION = "revocation is not judged: Corda checks packages without it"
NAMES = "name constraints below the anchor refuse the path, whatever they permit"
STATED = "the path is what the block states: issuer after issuer by name, up to the self-issued one"
IDENTIFIERS = "key identifiers are hints for path building, and are not judged, as in Java"
SERVER = "a rule about servers' names, which signers do not have"
USAGE = "a signer that is a CA needs digitalSignature or nonRepudiation in its key usage"
SECONDS = "a moment past notAfter is past it; Java compares milliseconds too"
SERIAL = "Java reads serial numbers that are not positive, and public roots have them"

DIFFERENCES = {
    "crl::revoked-certificate-with-crl": REVOCATION,
    "crl::crlnumber-critical": REVOCATION,
    "pathlen::max-chain-depth-1-self-issued": STATED,
    "pathological::nc-dos-2": ANCHOR,
    "rfc5280::aki::critical-aki": IDENTIFIERS,
    "rfc5280::aki::intermediate-missing-aki": IDENTIFIERS,
    "rfc5280::aki::cross-signed-root-missing-aki": IDENTIFIERS,
    "rfc5280::nc::permitted-dns-mismatch": ANCHOR,
    "rfc5280::nc::permitted-ip-mismatch": ANCHOR,
    "rfc5280::nc::excluded-ipv6-match": ANCHOR,
    "rfc5280::nc::excluded-dn-match": ANCHOR,
    "rfc5280::nc::permitted-dn-match-subject-san-mismatch": ANCHOR,
    "rfc5280::nc::excluded-match-permitted-and-excluded": ANCHOR,
    "rfc5280::nc::invalid-dnsname-leading-period": ANCHOR,
    "rfc5280::nc::nc-forbids-same-chain-ica": NAMES,
    "rfc5280::nc::nc-permits-email-domain": NAMES,
    "rfc5280::nc::nc-permits-email-literal-double-asterisk": NAMES,
    "rfc5280::nc::nc-permits-email-literal-mid-asterisk": NAMES,
    "rfc5280::nc::nc-forbids-othername-noop": NAMES,
    "rfc5280::san::noncritical-with-empty-subject": SERVER,
    "rfc5280::san::ip-in-dns": SERVER,
    "rfc5280::serial::zero": SERIAL,
    "rfc5280::ski::critical-ski": IDENTIFIERS,
    "rfc5280::ski::intermediate-missing-ski": IDENTIFIERS,
    "rfc5280::root-missing-basic-constraints": ANCHOR,
    "rfc5280::root-inconsistent-ca-extensions": ANCHOR,
    "rfc5280::leaf-ku-keycertsign": "an excess of key usage in a signer harms nobody, as in Java",
}
NAMED = {
    "rfc5280::validity::expired-root": ("SUCCESS", ANCHOR),
    "rfc5280::validity::notafter-fractional": ("FAILURE", SECONDS),
    "pathlen::self-issued-certs-pathlen": ("FAILURE", STATED),
    "pathlen::validation-ignores-pathlen-in-leaf": ("FAILURE", USAGE),
}
"""Cases of the suite's other half, which are built below too."""
ABOUT_THE_PATH = (
    "pathlen::",
    "rfc5280::validity::",
    "rfc5280::unknown-critical-extension-ee",
    "rfc5280::unknown-critical-extension-intermediate",
    "rfc5280::unknown-critical-extension-unrelated-root",
    "rfc5280::intermediate-ca-without-ca-bit",
    "rfc5280::no-keyusage",
    "rfc5280::eku::ee-without-eku",
    "pathological::intermediate-cycle",
    "rfc5280::mismatching-signature-algorithm",
)
"""Whatever a path is for: here a verdict that differs must be named above."""
BUILDING = "pathlen::max-chain-depth"
"""These are about finding a path among namesakes within a depth, which nobody asks for here."""


def limbo() -> list[dict]:
    path = VECTORS / "x509" / "limbo.json.zst"
    text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    cases: list[dict] = json.loads(text)["testcases"]
    return cases


CASES = limbo()


def ours(case: dict) -> str:
    def load(pems: list[str]) -> list[x509.Certificate]:
        return [c for p in pems for c in load_pem_certificates(p.encode(), source="limbo")]

    moment = case["validation_time"]
    at = datetime.fromisoformat(moment) if moment else datetime(2026, 11, 21, tzinfo=UTC)
    try:
        anchors = load(case["trusted_certs"])
        (leaf,) = load([case["peer_certificate"]])
        path = issuer_path(leaf, load(case["untrusted_intermediates"]))
        validate_path(path, anchors, at=at)
    except CpiError:
        return "FAILURE"
    return "SUCCESS"


@pytest.mark.conformance
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_limbo(case: dict) -> None:
    verdict, name = ours(case), case["id"]
    if name in NAMED:
        assert verdict == NAMED[name][0], NAMED[name][1]
    elif name in DIFFERENCES:
        assert verdict != case["expected_result"], DIFFERENCES[name]
    elif name.startswith(ABOUT_THE_PATH) and not name.startswith(BUILDING):
        assert verdict == case["expected_result"]


@pytest.mark.conformance
def test_the_verdicts_that_differ_are_those_that_are_named() -> None:
    found = {case["id"] for case in CASES if ours(case) != case["expected_result"]}
    assert found - NAMED.keys() == DIFFERENCES.keys()


def leaf_of(issuer: Authority, **options: object) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate("CN=Leaf,O=Acme,C=GB", key, issuer, **options)


def code_of(chain: tuple[x509.Certificate, ...], anchor: Authority, at: datetime) -> str | None:
    try:
        validate_path(chain, [anchor.certificate], at=at)
    except TrustError as refused:
        return refused.code
    return None


class TestNamedCases:
    """The four cases of `NAMED`, made here: verdict and reason."""

    def test_expired_root(self) -> None:
        """SUCCESS: the anchor's own validity is not judged; in the block it would be."""
        expired = authority("CN=Root,O=Acme,C=GB", end=NOW - timedelta(days=1))
        leaf = leaf_of(expired)
        assert code_of((leaf,), expired, NOW) is None
        stated = (leaf, expired.certificate)
        assert code_of(stated, expired, NOW) == "certificate-not-valid-now"

    def test_notafter_fractional(self) -> None:
        """FAILURE: half a second after notAfter is after it."""
        top = authority("CN=Root,O=Acme,C=GB")
        leaf = leaf_of(top, end=NOW)
        assert code_of((leaf,), top, NOW) is None
        late = NOW + timedelta(milliseconds=500)
        assert code_of((leaf,), top, late) == "certificate-not-valid-now"

    def test_self_issued_certs_pathlen(self) -> None:
        """FAILURE: the path found by name ends at the self-issued CA. Stated whole, it holds."""
        top = authority("CN=Root,O=Acme,C=GB")
        old = authority("CN=CA,O=Acme,C=GB", top, path_length=0)
        new = authority("CN=CA,O=Acme,C=GB", old, path_length=0)
        leaf = leaf_of(new)
        assert issuer_path(leaf, [new.certificate, old.certificate]) == (leaf, new.certificate)
        assert code_of((leaf, new.certificate), top, NOW) == "signer-not-trusted"
        whole = (leaf, new.certificate, old.certificate)
        assert code_of(whole, top, NOW) is None, "self-issued CAs do not count for a path length"

    def test_validation_ignores_pathlen_in_leaf(self) -> None:
        """FAILURE for its key usage alone: a path length in the leaf is not looked at."""
        top = authority("CN=Root,O=Acme,C=GB")
        options = {"ca": True, "path_length": 0}
        ca_only = leaf_of(top, usage={"key_cert_sign": True}, **options)
        assert code_of((ca_only,), top, NOW) == "certificate-usage"
        usage = {"key_cert_sign": True, "digital_signature": True}
        assert code_of((leaf_of(top, usage=usage, **options),), top, NOW) is None


def test_constraints_of_the_anchor_are_skipped_those_below_it_refuse() -> None:
    nothing = x509.NameConstraints([x509.DNSName("example.com")], None)
    top = authority("CN=Root,O=Acme,C=GB", extensions=[(nothing, True)])
    assert code_of((leaf_of(top),), top, NOW) is None
    middle = authority("CN=CA,O=Acme,C=GB", top, extensions=[(nothing, True)])
    below = (leaf_of(middle), middle.certificate)
    assert code_of(below, top, NOW) == "certificate-invalid"
