"""What links are built from, against vectors of others, and against our own golden handshake."""

import hmac
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from host.domain.ids import EpochMs
from host.flow.core.messages import Data, Init, Party, Payload, SessionMessage, encode
from host.network.link import frames, suites
from host.network.link.protection import Mode, acknowledge, protect
from host.network.link.suites import KeyAgreementError, Secrets
from host.network.values import contexts
from host.network.values.head import Head, SignedHead, encode_head, head_text, root_of
from host.network.values.member import SignedMember, member_text, mgm_text
from host.network.values.messages import (
    Entry,
    MembershipMessage,
    Package,
    Register,
    SignedParameters,
    SyncRequest,
    encode_message,
    registration_text,
)
from host.network.values.signed import registration_info
from tests.network.frame_bodies import ack, data
from tests.network.handshakes import ALICE, BOB, KEYS, REALM, Sides, secrets
from tests.support.vectors import VECTORS

pytestmark = pytest.mark.conformance
GOLDEN, GOLDEN_FRAMES, GOLDEN_MEMBERSHIP = (
    Path(__file__).parent / f"golden_{name}.json" for name in ("handshake", "frames", "membership")
)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "link-protocol.md"
FIRST = SessionMessage(
    session_id="11111111-1111-4111-8111-111111111111-INITIATED",
    sequence=1,
    source=Party.of(ALICE.holding),
    target=Party.of(BOB.holding),
    payload=Data(
        payload='"how much?"',
        init=Init(
            protocol="quotes",
            versions=(1, 2),
            require_close=True,
            context={"mine": "1"},
            platform={
                "corda.hops": "1",
                "corda.descendants": "3999",
                "corda.originFlowId": "33333333-3333-4333-8333-333333333333",
                "corda.traceParent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            },
        ),
    ),
)
"""The first message of a traced flow."""


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


def compared(file: Path, found: object) -> None:
    assert json.loads(json.dumps(found)) == json.loads(file.read_text(encoding="utf-8"))


def given_secrets(number: int) -> dict[str, str]:
    made = secrets(number)
    return {"x25519": made.x25519.hex(), "random": made.random.hex()}


def test_the_golden_handshake() -> None:
    """Everything but the random numbers is fixed: any change of the protocol shows here."""
    run = Sides().run()
    alice, bob = run.both
    assert alice.agreed.keys == bob.agreed.keys
    keys = alice.agreed.keys
    found = {
        "given": {
            "suites": [1],
            "session": secrets(10).session.hex(),
            "realm": REALM.hex(),
            "initiator": {
                "name": str(ALICE.holding.x500_name),
                "ed25519": ALICE.private.private_bytes_raw().hex(),
                "digest": ALICE.key.digest.hex(),
                **given_secrets(10),
            },
            "responder": {
                "name": str(BOB.holding.x500_name),
                "ed25519": BOB.private.private_bytes_raw().hex(),
                "digest": BOB.key.digest.hex(),
                **given_secrets(20),
            },
        },
        "messages": [message.hex() for message in run.messages],
        "sessionId": keys.session_id.hex(),
        "dataKey": keys.data_key.hex(),
        "dataIv": keys.data_iv.hex(),
        "ackKey": keys.ack_key.hex(),
    }
    compared(GOLDEN, found)


def test_the_golden_frames() -> None:
    """A request over the golden handshake's session in both modes, and its answer."""
    keys = Sides().run().both[0].agreed.keys
    body = data(encode(FIRST), ttl_ms=300_000, message_id=f"{FIRST.session_id}/1")
    sent = {
        mode: protect(keys, mode, frames.Kind.DATA, lane=1, counter=0, body=body) for mode in Mode
    }
    answer = ack(
        upto=1,
        ranges=((3, 4),),
        refused=((2, "refused"),),
        credit_bytes=1_048_576,
        list_version=7,
        head_hash=bytes(32),
    )
    found = {
        "payload": encode(FIRST).decode(),
        "body": frames.encode_body(body).hex(),
        **{mode.value: frame.encode().hex() for mode, frame in sent.items()},
        "ackBody": frames.encode_body(answer).hex(),
        "ack": acknowledge(keys, sent[Mode.ENCRYPTED].header, answer).encode().hex(),
    }
    compared(GOLDEN_FRAMES, found)


def test_the_golden_texts_and_messages_of_membership() -> None:
    """What members and the MGM sign of contexts, registrations and lists, and how they travel."""
    realm, context = REALM.hex(), contexts.encode_context({"corda.name": "O=A, L=L, C=GB"})
    of_mgm = contexts.encode_context({"corda.serial": "1", "corda.status": "ACTIVE"})
    request = Register(
        registration_id="22222222-2222-4222-8222-222222222222",
        member_context=context,
        member_signature=b"member",
        registration_context=b"{}",
        registration_signature=b"registration",
    )
    member = SignedMember(
        member_context=context,
        member_signature=b"member",
        mgm_context=of_mgm,
        mgm_signature=b"mgm",
    )
    head = encode_head(
        Head(
            group_id="6f2c1a3e-0000-4000-8000-000000000001",
            version=1,
            previous="",
            root=root_of({"O=A, L=L, C=GB": member.digest}).hex(),
            members=1,
            parameters=f"SHA-256:{'AB' * 32}",
            at=EpochMs(1_700_000_000_000),
        )
    )
    package = Package(
        from_version=0,
        heads=(SignedHead(content=head, signature=b"head"),),
        entries=(Entry(version=1, name="O=A, L=L, C=GB", digest=member.digest),),
        members=(member,),
        parameters=(SignedParameters(content=b"{}", signature=b"p", at=1),),
    )
    found = {
        "memberText": member_text(realm, context).hex(),
        "mgmText": mgm_text(realm, context, of_mgm).hex(),
        "registrationText": registration_text(realm, request).hex(),
        "registrationInfo": registration_info(realm).hex(),
        "head": head.decode(),
        "headText": head_text(realm, head).hex(),
        "memberDigest": member.digest.hex(),
        "register": encode_message(request).hex(),
        "sync": encode_message(SyncRequest(version=1, head_hash=bytes(32))).hex(),
        "package": msgspec.msgpack.encode(package).hex(),
    }
    compared(GOLDEN_MEMBERSHIP, found)


def fields_in(page: str, name: str) -> list[str]:
    """The fields in the row of a table whose first cell is this name."""
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    return re.findall(r"[a-zA-Z_]+", row.split("|")[2].replace("`", ""))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((kind.__struct_config__.tag, kind) for kind in get_args(MembershipMessage)),
        *((kind.__struct_config__.tag, kind) for kind in get_args(Payload)),
        ("session", SessionMessage),
        ("Init", Init),
        ("Party", Party),
        ("Package", Package),
        ("SignedHead", SignedHead),
        ("Entry", Entry),
        ("SignedMember", SignedMember),
        ("SignedParameters", SignedParameters),
    ],
)
def test_the_page_of_the_protocol_has_every_field(name: str, kind: type[msgspec.Struct]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert fields_in(page, name) == list(kind.__struct_fields__)


def test_the_page_of_the_protocol_has_every_field_of_frames() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, kind in (("DATA", frames.Data), ("ACK", frames.Ack)):
        (row,) = [line for line in page.splitlines() if f"| {name} |" in line]
        assert re.findall("[a-z_]+", row.split("|")[3]) == list(kind.__struct_fields__)


def test_the_page_of_the_protocol_has_every_status_of_a_gateway() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = {int(found) for found in re.findall(r"^\| (\d{3}) \|", page, re.MULTILINE)}
    assert listed == {200, 400, 404, 408, 411, 413, 415, 429, 500, 501, 503, 505}
