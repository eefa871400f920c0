"""RFC 3161 timestamps: by a real authority, and every answer that must not be believed."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from cpi.crypto.keys import SigningKey, load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.errors import CpiError, SignatureError, TrustError
from cpi.jar.signing import resign
from cpi.jar.timestamp_requests import RESPONSE_BYTES_MAX, timestamper, unavailable
from cpi.package.verify import verify_package
from host.cli.timestamp_client import http_fetcher
from tests.cpi import support
from tests.cpi.support import self_signed
from tests.cpi.timestamp_authority import POLICY, TimestampAuthority, serving
from tests.support.properties import examples

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which plays the authority, is not installed"
)


@pytest.fixture
def tsa(tmp_path: Path) -> TimestampAuthority:
    return TimestampAuthority(tmp_path / "tsa")


def stamped(tsa: Callable[[bytes], bytes], *trusted, **options) -> bytes:
    key = self_signed("ec256")
    stamp = timestamper(tsa, trusted=trusted, **options)
    return resign(support.cpk(key), [key], keep_signatures=False, stamp=stamp)


def refused_with(tsa: Callable[[bytes], bytes], *trusted, **options) -> CpiError:
    with pytest.raises(CpiError) as refused:
        stamped(tsa, *trusted, **options)
    return refused.value


@pytest.mark.parametrize("kind", ["ec256", "rsa2048", "ed25519"])
def test_a_timestamp_outlives_the_certificate(tsa: TimestampAuthority, kind: str) -> None:
    key = self_signed(kind)
    root = tsa.root.certificate
    data = support.cpk(key)
    begin = datetime.now(UTC) - timedelta(seconds=2)
    stamp = timestamper(tsa, trusted=[root], policy=POLICY)
    data = resign(data, [key], keep_signatures=False, stamp=stamp)
    late = key.anchor.not_valid_after_utc + timedelta(days=1)
    result = verify_package(data, package_type=None, trusted=[key.anchor, root], at=late)
    time = result.signers[0].timestamp
    assert time is not None
    assert begin < time < begin + timedelta(minutes=1)
    assert result.warnings == ()
    plain = support.cpk(key)
    codes = support.refuse(plain, trusted=[root])
    assert codes == ["signer-not-trusted"]
    with pytest.raises(CpiError, match="TSA certificate path"):
        verify_package(data, package_type=None, trusted=[key.anchor], at=late)


@pytest.mark.skipif(shutil.which("jarsigner") is None, reason="jarsigner is not installed")
@pytest.mark.conformance
def test_jarsigner_accepts_our_timestamps(tsa: TimestampAuthority, tmp_path: Path) -> None:
    store, package = tmp_path / "keys.p12", tmp_path / "package.jar"
    store.write_bytes(
        create_keystore(password="changeit", alias="k", distinguished_name="CN=S, O=A, C=GB")
    )
    (tmp_path / "root.pem").write_bytes(tsa.root.certificate.public_bytes(Encoding.PEM))
    access = ("-keystore", str(store), "-storepass", "changeit")
    run(
        "keytool",
        "-importcert",
        "-noprompt",
        "-alias",
        "tsa",
        "-file",
        f"{tmp_path}/root.pem",
        *access,
    )
    key = load_signing_key(store, password="changeit", alias="k")
    stamp = timestamper(tsa, trusted=[tsa.root.certificate])
    package.write_bytes(resign(support.cpk(key), [key], keep_signatures=False, stamp=stamp))
    shown = run("jarsigner", "-verify", "-strict", "-verbose", "-certs", *access, str(package))
    assert "jar verified." in shown
    assert "entry was signed on" in shown.lower() or "timestamped by" in shown.lower()


@pytest.mark.skipif(shutil.which("jarsigner") is None, reason="jarsigner is not installed")
@pytest.mark.conformance
def test_we_accept_jarsigners_timestamps(tsa: TimestampAuthority, tmp_path: Path) -> None:
    store, package = tmp_path / "keys.p12", tmp_path / "package.jar"
    store.write_bytes(
        create_keystore(password="changeit", alias="k", distinguished_name="CN=S, O=A, C=GB")
    )
    key = load_signing_key(store, password="changeit", alias="k")
    package.write_bytes(
        support.edit(support.cpk(key), lambda es: [e for e in es if "META-INF/K." not in e[0]])
    )
    access = ("-keystore", str(store), "-storepass", "changeit")
    with serving(tsa) as url:
        run("jarsigner", *access, "-tsa", url, str(package), "k")
    trusted = [key.anchor, tsa.root.certificate]
    result = verify_package(package.read_bytes(), package_type=None, trusted=trusted)
    assert result.signers[0].timestamp is not None


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_over_http(tsa: TimestampAuthority) -> None:
    with serving(tsa) as url:
        assert stamped(http_fetcher(url), tsa.root.certificate)


def test_an_authority_must_be_trusted(tsa: TimestampAuthority) -> None:
    error = refused_with(tsa, self_signed("ec256").anchor)
    assert isinstance(error, TrustError)
    assert "TSA" in error.message


def test_an_authority_must_be_one(tsa: TimestampAuthority) -> None:
    """The answer is signed by a trusted certificate that is not for timestamps."""
    key = ec.generate_private_key(ec.SECP256R1())
    other = support.certificate("CN=No TSA,O=Acme,C=GB", key)

    def fetch(request: bytes) -> bytes:
        response = tsp.TimeStampResp.load(tsa(request))
        signed: cms.SignedData = response["time_stamp_token"]["content"]
        signer = signed["signer_infos"][0]
        mine = asn1_x509.Certificate.load(other.public_bytes(Encoding.DER))
        signed["certificates"] = [mine]
        signer["sid"] = cms.SignerIdentifier(
            {
                "issuer_and_serial_number": {
                    "issuer": mine.issuer,
                    "serial_number": mine.serial_number,
                }
            }
        )
        covered = b"\x31" + signer["signed_attrs"].dump()[1:]
        signer["signature"] = key.sign(covered, ec.ECDSA(hashes.SHA256()))
        return response.dump(force=True)

    error = refused_with(fetch, other)
    assert error.code == "timestamp-invalid"
    assert "may not timestamp" in error.message


def rewritten(tsa: TimestampAuthority, change: Callable[[tsp.TimeStampReq], None]):
    """The authority's honest answer to another request than ours."""

    def fetch(request: bytes) -> bytes:
        parsed = tsp.TimeStampReq.load(request)
        change(parsed)
        return tsa(parsed.dump(force=True))

    return fetch


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.__setitem__("nonce", 5), "nonce 0x5"),
        (lambda r: r.__setitem__("nonce", None), "nonce none"),
        (
            lambda r: r["message_imprint"].__setitem__("hashed_message", bytes(32)),
            "about another signature",
        ),
        (lambda r: r.__setitem__("req_policy", "1.2.3.4.5"), "policy 1.2.3.4.5"),
        (lambda r: r.__setitem__("req_policy", "1.2.3.4.9"), "is a refusal: rejection"),
        (lambda r: r.__setitem__("cert_req", False), "certificate is not in the block"),
        (
            lambda r: r.__setitem__(
                "message_imprint",
                {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": bytes(20)},
            ),
            "is a refusal",
        ),
    ],
)
def test_answers_to_other_requests(tsa: TimestampAuthority, change: Callable, words: str) -> None:
    error = refused_with(rewritten(tsa, change), tsa.root.certificate, policy=POLICY)
    assert error.code in ("timestamp-invalid", "signature-format")
    assert words in error.message


def test_an_answer_from_another_time(tsa: TimestampAuthority) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    error = refused_with(tsa, tsa.root.certificate, clock=lambda: later)
    assert error.code == "timestamp-invalid"
    assert "from the own clock" in error.message


def test_damaged_answers(tsa: TimestampAuthority) -> None:
    for answer in (b"", b"junk", b"\x30\x00", bytes(RESPONSE_BYTES_MAX + 1)):
        assert refused_with(lambda _, a=answer: a).code == "timestamp-invalid"

    def flipped(request: bytes) -> bytes:
        response = tsp.TimeStampResp.load(tsa(request))
        signed: cms.SignedData = response["time_stamp_token"]["content"]
        raw = bytearray(signed["signer_infos"][0]["signature"].native)
        raw[-1] ^= 1
        signed["signer_infos"][0]["signature"] = bytes(raw)
        return response.dump(force=True)

    assert refused_with(flipped, tsa.root.certificate).code == "signature-invalid"


@pytest.mark.parametrize(
    ("options", "body", "words"),
    [
        ({"status": 500}, b"", "found 500"),
        ({"status": 302}, b"", "found 302"),
        ({"kind": "text/html"}, b"", "text/html"),
        ({}, bytes(RESPONSE_BYTES_MAX + 1), "more than"),
    ],
)
def test_http_answers_that_are_refused(options: dict, body: bytes, words: str) -> None:
    with serving(lambda _: body, **options) as url, pytest.raises(SignatureError) as refused:
        http_fetcher(url)(b"request")
    assert refused.value.code == "timestamp-unavailable"
    assert words in refused.value.message
    assert url in refused.value.message


def test_http_that_gives_no_answer() -> None:
    with serving(lambda _: b"") as url:
        pass
    with pytest.raises(SignatureError, match="timestamp authority") as refused:
        http_fetcher(url)(b"request")
    assert refused.value.code == "timestamp-unavailable"
    times = iter([0.0, 1000.0])
    with serving(lambda _: b"x") as url, pytest.raises(SignatureError, match="too long"):
        http_fetcher(url, clock=lambda: next(times))(b"request")
    done = threading.Event()
    with serving(lambda _: b"x" if done.wait(20) else b"") as url:
        with pytest.raises(SignatureError, match="timed out"):
            http_fetcher(url, seconds_max=0.1)(b"request")
        done.set()
    for bad in ("file:///etc/passwd", "ftp://a/", "http://", "nonsense"):
        with pytest.raises(SignatureError, match="http"):
            http_fetcher(bad)
    assert unavailable("x", "y").code == "timestamp-unavailable"


def test_nothing_is_stamped_without_being_asked() -> None:
    key: SigningKey = self_signed("ed25519")
    assert support.accept(support.cpk(key), trusted=[key.anchor]).signers[0].timestamp is None


@pytest.mark.property
def test_a_damaged_answer_is_refused_or_says_the_same(tsa: TimestampAuthority) -> None:
    """Some bytes say nothing, such as the status texts; none may change what is stated."""
    answers: list[bytes] = []

    def keep(request: bytes) -> bytes:
        answers.append(tsa(request))
        return answers[0]

    options = {"trusted": [tsa.root.certificate], "nonce": lambda: 77}
    honest = stated(timestamper(keep, **options)(b"signature"))

    @settings(deadline=None, max_examples=examples(200))
    @given(st.data())
    def damage(data: st.DataObject) -> None:
        raw = bytearray(answers[0])
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        try:
            token = timestamper(lambda _: bytes(raw), **options)(b"signature")
        except CpiError:
            return
        assert stated(token) == honest

    damage()


def stated(token: bytes) -> bytes:
    signed: cms.SignedData = cms.ContentInfo.load(token)["content"]
    return bytes(signed["encap_content_info"]["content"])
