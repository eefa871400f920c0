"""What links are built from, against vectors of others, and against our own golden handshake."""

import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from host.network.link import suites
from host.network.link.suites import KeyAgreementError, Secrets
from tests.network.handshakes import KEYS, Sides
from tests.support.vectors import VECTORS

pytestmark = pytest.mark.conformance
GOLDEN = Path(__file__).parent / "golden_handshake.json"


@cache
def groups(name: str) -> list[dict[str, Any]]:
    packed = (VECTORS / "wycheproof" / f"{name}.json.zst").read_bytes()
    found: list[dict[str, Any]] = json.loads(zstandard.decompress(packed))["testGroups"]
    return found


def cases(name: str) -> list[tuple[dict[str, Any], dict[str, Any], bool]]:
    """Group, case, and whether it is valid; those that may be judged either way are left out."""
    found = [
        (group, case, case["result"] == "valid")
        for group in groups(name)
        for case in group["tests"]
        if case["result"] != "acceptable"
    ]
    assert len(found) > 70
    return found


def octets(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def test_x25519_agrees_and_refuses_shares_that_give_zero() -> None:
    refused = 0
    for group in groups("x25519"):
        for case in group["tests"]:
            public, private, shared = octets(case, "public", "private", "shared")
            secrets = Secrets(x25519=private, random=b"")
            try:
                secret = suites.conclude(secrets, suites.X25519, public)
                assert secret == shared, case
                assert any(secret)
            except KeyAgreementError:
                refused += 1
                assert not any(shared) or len(public) != 32, case
    assert refused > 10


def test_hkdf() -> None:
    for _, case, is_valid in cases("hkdf_sha256"):
        ikm, salt, info, okm = octets(case, "ikm", "salt", "info", "okm")
        try:
            made = HKDFExpand(SHA256(), case["size"], info).derive(
                HKDF.extract(SHA256(), salt, ikm)
            )
            assert (made == okm) is is_valid, case
        except ValueError:
            assert not is_valid, case


def test_aes_gcm() -> None:
    for group, case, is_valid in cases("aes_gcm"):
        if group["ivSize"] != 96:
            continue
        key, iv, aad, msg, ct, tag = octets(case, "key", "iv", "aad", "msg", "ct", "tag")
        try:
            assert AESGCM(key).decrypt(iv, ct + tag, aad) == msg
            assert is_valid, case
            assert AESGCM(key).encrypt(iv, msg, aad) == ct + tag
        except InvalidTag:
            assert not is_valid, case


def test_hmac() -> None:
    for group, case, is_valid in cases("hmac_sha256"):
        key, msg, tag = octets(case, "key", "msg", "tag")
        made = hmac.digest(key, msg, "sha256")[: group["tagSize"] // 8]
        assert hmac.compare_digest(made, tag) is is_valid, case


@pytest.mark.parametrize(
    ("name", "spec"), [("ecdsa_secp256r1_sha256", "SHA256withECDSA"), ("ed25519", "EdDSA")]
)
def test_signatures_of_session_keys(name: str, spec: str) -> None:
    for group, case, is_valid in cases(name):
        msg, sig = octets(case, "msg", "sig")
        assert KEYS.verify(group["publicKeyPem"], msg, sig, spec) is is_valid, case


def test_the_golden_handshake() -> None:
    """Everything but the random numbers is fixed: any change of the protocol shows here."""
    run = Sides().run()
    alice, bob = run.both
    assert alice.agreed.keys == bob.agreed.keys
    keys = alice.agreed.keys
    found = {
        "messages": [message.hex() for message in run.messages],
        "sessionId": keys.session_id.hex(),
        "dataKey": keys.data_key.hex(),
        "dataIv": keys.data_iv.hex(),
        "ackKey": keys.ack_key.hex(),
    }
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
