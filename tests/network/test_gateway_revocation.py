"""Revocation of peers' certificates: CRLs and OCSP of a certificate authority of the test."""

import ipaddress
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from host.domain.clock import SimClock
from host.network.gateway.revocation import NotFetchedError, RevocationMode, Revocations
from host.network.gateway.revocation_fetch import HttpFetch
from host.network.gateway.tls import TlsRefusedError, check_chain

CRL, OCSP = "http://ca.test/list.crl", "http://ca.test/ocsp"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODES = (RevocationMode.SOFT_FAIL, RevocationMode.HARD_FAIL)


def name(text):
    return x509.Name.from_rfc4514_string(text)


class Authority:
    """Issues certificates that name its CRL or its responder, and answers for them."""

    def __init__(self):
        self.clock = SimClock(int(NOW.timestamp() * 1000))
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.signer = self.key
        self.name = name("CN=CA")
        self.root = self.signed("CN=CA", self.key)
        self.revoked = set()
        self.fetched = Counter()
        self.is_down = False
        self.until = timedelta(hours=1)
        self.age = timedelta(0)

    def signed(self, subject, key, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=100))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, SHA256())

    def certificate(self, *extensions):
        return self.signed("CN=Gateway", ec.generate_private_key(ec.SECP256R1()), *extensions)

    def fetch(self, url, body):
        self.fetched[url] += 1
        if self.is_down:
            raise NotFetchedError("down")
        return self.crl() if url == CRL else self.answer(body)

    def crl(self):
        at = self.now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(at)
            .next_update(at + self.until)
        )
        for serial in self.revoked:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(self.signer, SHA256()).public_bytes(Encoding.DER)

    def answer(self, body):
        request = ocsp.load_der_ocsp_request(body)
        found = next(c for c in self.known if c.serial_number == request.serial_number)
        is_revoked = found.serial_number in self.revoked
        status = ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=found,
            issuer=self.root,
            algorithm=SHA1(),  # names the issuer
            cert_status=status,
            this_update=self.now(),
            next_update=self.now() + self.until,
            revocation_time=self.now() if is_revoked else None,
            revocation_reason=None,
        )
        signer = self.root if self.signer is self.key else self.signed("CN=Else", self.signer)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer)
        return builder.sign(self.signer, SHA256()).public_bytes(Encoding.DER)

    def now(self):
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC) - self.age

    def refusal(self, revocations, certificate, mode):
        self.known = [certificate]
        chain = [certificate.public_bytes(Encoding.DER)]
        return revocations.refusal(chain, [self.root.public_bytes(Encoding.DER)], mode)


def by_crl():
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(CRL)], None, None, None)
    return x509.CRLDistributionPoints([point])


def by_ocsp():
    where = x509.UniformResourceIdentifier(OCSP)
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
    return x509.AuthorityInformationAccess([access])


@pytest.mark.parametrize("named", [by_crl, by_ocsp])
@pytest.mark.parametrize("mode", MODES)
def test_a_revoked_certificate_is_refused_once_its_next_update_is_due(named, mode):
    authority = Authority()
    revocations = Revocations(authority.fetch, authority.clock)
    certificate = authority.certificate(named())
    assert authority.refusal(revocations, certificate, mode) is None
    authority.revoked.add(certificate.serial_number)
    assert authority.refusal(revocations, certificate, mode) is None  # the answer is in force
    authority.clock.advance(3_600_001)
    assert "was revoked" in authority.refusal(revocations, certificate, mode)
    assert authority.fetched.total() == 2
    assert authority.refusal(revocations, certificate, RevocationMode.OFF) is None


@pytest.mark.parametrize("named", [by_crl, by_ocsp])
@pytest.mark.parametrize("fault", ["down", "forged", "stale"])
def test_what_cannot_be_had_is_taken_by_soft_fail_alone(named, fault):
    authority = Authority()
    authority.is_down = fault == "down"
    if fault == "forged":
        authority.signer = ec.generate_private_key(ec.SECP256R1())
    if fault == "stale":
        authority.age = timedelta(hours=2)
    revocations = Revocations(authority.fetch, authority.clock)
    certificate = authority.certificate(named())
    authority.revoked.add(certificate.serial_number)
    assert authority.refusal(revocations, certificate, RevocationMode.SOFT_FAIL) is None
    refused = authority.refusal(revocations, certificate, RevocationMode.HARD_FAIL)
    assert "is not known" in refused
    assert authority.fetched.total() == 1  # not asked again within a minute


def test_a_certificate_that_names_no_responder_is_refused_by_hard_fail_alone():
    authority = Authority()
    revocations = Revocations(authority.fetch, authority.clock)
    certificate = authority.certificate()
    assert authority.refusal(revocations, certificate, RevocationMode.SOFT_FAIL) is None
    assert "names neither" in authority.refusal(revocations, certificate, RevocationMode.HARD_FAIL)


def test_bytes_that_are_no_certificate_are_refused():
    """The check of the chain, which comes first, refuses them in every mode."""
    authority = Authority()
    roots = [authority.root.public_bytes(Encoding.DER)]
    damaged = bytearray(authority.certificate(by_crl()).public_bytes(Encoding.DER))
    damaged[40] ^= 0xFF
    for chain in ([b"none"], [bytes(damaged)]):
        with pytest.raises(TlsRefusedError):
            check_chain(chain, roots, at=NOW)
    revocations = Revocations(authority.fetch, authority.clock)
    assert "cannot be read" in revocations.refusal([b"none"], roots, RevocationMode.HARD_FAIL)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "http://127.0.0.1:1/", "file:///etc/passwd", "http://u@h/"]
)
def test_addresses_that_are_not_fetched(url):
    denied = (ipaddress.ip_network("127.0.0.0/8"),)
    with pytest.raises(NotFetchedError):
        HttpFetch(denied)(url, None)
