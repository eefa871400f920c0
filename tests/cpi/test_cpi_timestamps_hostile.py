"""Timestamp tokens in packages that were made by hand: each is refused by its code, at once.

The token of a package is chosen by whoever signs it. It decides at which time the signer's
certificate is judged, so it must not speak of the future, of other bytes or for others.
"""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from cpi.errors import CpiError
from cpi.jar.signing import resign
from cpi.package.verify import verify_package
from tests.cpi import support
from tests.cpi.support import NOW, Authority, authority, certificate, self_signed

STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
CODE_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
DAY = timedelta(days=1)


class Stamper:
    """A timestamp authority that lies: everything it states can be chosen."""

    def __init__(self, *, usage=STAMPING, begin=NOW - 300 * DAY, end=NOW + 300 * DAY, **token):
        self.root: Authority = authority("CN=TSA root,O=Acme,C=GB", end=NOW + 9000 * DAY)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = certificate(
            "CN=TSA,O=Acme,C=GB",
            self._key,
            self.root,
            begin=begin,
            end=end,
            extensions=[(usage, True)] if usage else [],
        )
        self._token = token

    def __call__(self, signature: bytes) -> bytes:
        return self.token(signature, **self._token)

    def token(
        self,
        signature,
        *,
        time=NOW,
        digest="sha256",
        kind="tst_info",
        attribute="tst_info",
        unsigned=(),
        padding=(),
        signers=1,
    ):
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.2.3.4.1",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": digest},
                    "hashed_message": hashlib.new(digest, signature).digest(),
                },
                "serial_number": 1,
                "gen_time": time,
            }
        ).dump()
        content = tsp.TSTInfo.load(info) if kind == "tst_info" else info
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": [attribute]},
                {"type": "message_digest", "values": [hashlib.sha256(info).digest()]},
            ]
        )
        signed = self._key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256()))
        leaf = asn1_x509.Certificate.load(self._certificate.public_bytes(Encoding.DER))
        signer = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                {"issuer": leaf.issuer, "serial_number": leaf.serial_number},
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": signed,
        }
        if unsigned:
            signer["unsigned_attrs"] = cms.CMSAttributes(list(unsigned))
        whole = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": kind, "content": content},
                "certificates": [leaf, *padding],
                "signer_infos": [signer] * signers,
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": whole}).dump()


def stamped(stamp, key=None):
    key = key or self_signed("ec256")
    return resign(support.cpk(key), [key], keep_signatures=False, stamp=stamp)


def verified(tsa, data, *, at=NOW + DAY):
    trusted = [self_signed("ec256").anchor, tsa.root.certificate]
    return verify_package(data, package_type=None, trusted=trusted, at=at)


def codes_of(tsa, data, **options):
    with pytest.raises(CpiError) as refused:
        verified(tsa, data, **options)
    return [issue.code for issue in refused.value.issues] or [refused.value.code]


def test_the_liars_truth_is_believed():
    tsa = Stamper()
    assert verified(tsa, stamped(tsa)).signers[0].timestamp == NOW.replace(microsecond=0)


@pytest.mark.parametrize("years", [1, 500, 7000])
def test_a_timestamp_of_the_future_is_refused(years):
    """It would judge the signer's certificate by a time that has not come."""
    late = datetime(min(9999, NOW.year + years), 1, 1, tzinfo=UTC)
    tsa = Stamper(time=late, end=datetime(9999, 12, 1, tzinfo=UTC))
    assert codes_of(tsa, stamped(tsa)) == ["timestamp-invalid"]


def test_clocks_may_be_a_little_apart():
    tsa = Stamper(time=NOW + timedelta(minutes=5))
    assert verified(tsa, stamped(tsa), at=NOW).signers[0].timestamp > NOW


def test_an_authority_that_had_expired_when_it_stamped_is_refused():
    tsa = Stamper(end=NOW - DAY)
    assert codes_of(tsa, stamped(tsa)) == ["certificate-not-valid-now"]
    tsa = Stamper(begin=NOW + DAY)
    assert codes_of(tsa, stamped(tsa), at=NOW + 2 * DAY) == ["certificate-not-valid-now"]


def test_an_authority_that_expired_since_is_believed():
    """The path is judged at the time of the timestamp, as Java does."""
    tsa = Stamper(end=NOW + DAY)
    assert verified(tsa, stamped(tsa), at=NOW + 200 * DAY).signers[0].timestamp


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"usage": None}, "timestamp-invalid"),
        ({"usage": CODE_SIGNING}, "timestamp-invalid"),
        ({"digest": "sha1"}, "signature-weak-algorithm"),
        ({"digest": "md5"}, "signature-weak-algorithm"),
        ({"kind": "data"}, "signature-format"),
        ({"attribute": "data"}, "signature-format"),
        ({"signers": 0}, "signature-format"),
        ({"signers": 2}, "signature-format"),
    ],
)
def test_what_is_no_timestamp_is_refused(options, code):
    tsa = Stamper(**options)
    assert codes_of(tsa, stamped(tsa)) == [code]


def test_a_timestamp_of_other_bytes_is_refused():
    tsa = Stamper()
    other = tsa(b"another signature")
    assert codes_of(tsa, stamped(lambda _: other)) == ["timestamp-invalid"]


@pytest.mark.parametrize("garbage", [b"\x30\x00", b"\x02\x01\x01", b"\x30\x80\x00\x00"])
def test_what_is_no_token_is_refused(garbage):
    assert codes_of(Stamper(), stamped(lambda _: garbage)) in (
        ["signature-format"],
        ["timestamp-invalid"],
    )


def test_tokens_inside_of_tokens_are_not_opened():
    """Five of them exceed the depth of DER that is read; an inner one says nothing."""

    def nest(depth):
        def stamp(signature):
            token = tsa(signature)
            for _ in range(depth):
                attribute = {
                    "type": "signature_time_stamp_token",
                    "values": [cms.ContentInfo.load(token)],
                }
                token = tsa.token(signature, unsigned=[attribute])
            return token

        return stamp

    tsa = Stamper()
    assert codes_of(tsa, stamped(nest(4))) == ["signature-format"]
    assert verified(tsa, stamped(nest(1))).signers[0].timestamp


def test_a_giant_token_is_refused_by_its_size():
    tsa = Stamper()
    filler = asn1_x509.Certificate.load(tsa.root.certificate.public_bytes(Encoding.DER))
    data = stamped(lambda signature: tsa.token(signature, padding=[filler] * 19))
    assert verified(tsa, data)
    data = stamped(lambda signature: tsa.token(signature, padding=[filler] * 20))
    assert codes_of(tsa, data) == ["signature-format"]
    attribute = {"type": "1.2.3.4.5", "values": [core.OctetString(b"x" * 300_000)]}
    data = stamped(lambda signature: tsa.token(signature, unsigned=[attribute]))
    assert codes_of(tsa, data) == ["archive-too-large"]
