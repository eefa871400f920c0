"""Members whose clusters send what no link and no membership would: it is refused, and stops nobody.

Numbers and ids of messages become keys and values of rows: one that a database cannot store would
fail again each time that its record is tried.
"""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from host.flow.core.messages import Close, Init, Party, SessionMessage, encode
from host.flow.core.messages import Data as FlowData
from host.network.link.frames import (
    Ack,
    FramesUnreadableError,
    Kind,
    decode_body,
    encode_body,
    split,
)
from host.network.link.frames import (
    Close as CloseFrame,
)
from host.network.link.handshake import InitiatorStatement
from host.network.link.protection import acknowledged, protect
from host.network.values.contexts import encode_context, read_context
from host.network.values.errors import ContextInvalidError, MembershipMessageInvalidError
from host.network.values.messages import (
    MembershipIn,
    PackagePart,
    StatusUpdate,
    SyncAck,
    SyncRequest,
    VerificationRequest,
    VerificationResponse,
    encode_message,
    encode_record,
    read_message,
)
from host.ports.link import TlsPeer
from tests.flow.network import ALICE, BOB
from tests.network.dynamic_networks import MGM, Network, identity, member_name
from tests.network.frame_bodies import ack, data
from tests.network.test_link_clusters import ALICES, PAIRS, clusters, is_over, settled

LARGE = 2**64 - 1
"""What MessagePack can say, and a column cannot hold."""
PARTIES = [Party(name=name, group_id=ALICES.holding.group_id) for name in (ALICE, BOB)]
CLOSING = SessionMessage(
    session_id="x", sequence=1, source=PARTIES[0], target=PARTIES[1], payload=Close()
)
INIT = Init(protocol="p", versions=(1,), require_close=False, context={"k": "v" * 900_000})


def test_session_messages_that_no_engine_makes_reach_no_flow() -> None:
    a, b, medium = clusters()
    a.network.start()
    medium.run(lambda: is_over(a) and settled(a, b))
    found = a.link._inbox.sessions.outbound(PAIRS[0])
    assert found is not None
    session = found[0]
    assert session is not None
    before = (b.states("session/"), len(b.network.bobs()))
    hostile = [
        replace(CLOSING, session_id="x" * 900_000),
        replace(CLOSING, session_id="a\0b-INITIATED"),
        replace(CLOSING, sequence=2**70),
        replace(CLOSING, payload=FlowData(payload="1", init=INIT)),
    ]
    frames = [
        protect(
            session.keys,
            session.mode,
            Kind.DATA,
            lane=9,
            counter=number,
            body=data(encode(message), n=number),
        )
        for number, message in enumerate(hostile, start=1)
    ]
    for frame in frames:
        reply = b.link.receive(frame.encode(), TlsPeer(address="10.0.0.1"))
        told = acknowledged(session.keys, frame.header, split(reply.body)[0])
        assert (told.upto, told.refused) == (0, ((frame.header.counter, "refused"),))
    medium.run(lambda: True)

    assert (b.states("session/"), len(b.network.bobs())) == before


@pytest.mark.parametrize(
    "body",
    [
        ack(list_version=LARGE),
        ack(upto=LARGE),
        ack(ranges=((1, LARGE),)),
        ack(credit_bytes=-1),
        replace(ack(), refused=((LARGE, "x"),)),
    ],
)
def test_numbers_of_frames_are_such_as_every_database_holds(body: Ack) -> None:
    with pytest.raises(FramesUnreadableError):
        decode_body(encode_body(body), Ack)


def test_numbers_of_a_handshake_are_such_as_every_database_holds() -> None:
    said = InitiatorStatement(
        key=bytes(32),
        peer_key=bytes(32),
        realm=bytes(32),
        modes=("Authentication",),
        max_message=10_000,
        list_version=LARGE,
        head_hash=b"",
        location_epoch=0,
        software="",
        certificates=None,
    )
    with pytest.raises(FramesUnreadableError):
        decode_body(encode_body(said), InitiatorStatement)
    assert decode_body(encode_body(CloseFrame(reason="")), CloseFrame)


@pytest.mark.parametrize(
    "message",
    [
        SyncRequest(version=LARGE, head_hash=b""),
        SyncRequest(version=-1, head_hash=b""),
        SyncAck(version=1, head_hash=b"", serial=2**31),
        VerificationResponse(registration_id="a\0b", is_ours=True),
        VerificationResponse(registration_id="a\n", is_ours=True),
        StatusUpdate(registration_id="é", status="APPROVED", reason=None),
        PackagePart(package_id="a\0", index=0, count=1, data=b""),
        PackagePart(package_id="a", index=0, count=LARGE, data=b""),
    ],
)
def test_messages_of_membership_with_what_no_column_holds_are_unreadable(message: Any) -> None:
    with pytest.raises(MembershipMessageInvalidError):
        read_message(encode_message(message))


def test_contexts_have_no_character_that_no_column_holds() -> None:
    for context in ({"corda.auth.token": "a\0b"}, {"ext.\0": "x"}):
        with pytest.raises(ContextInvalidError, match="cannot be stored"):
            encode_context(context)
        with pytest.raises(ContextInvalidError, match="cannot be stored"):
            read_context(msgspec.json.encode(context))


def test_an_mgm_serves_its_members_after_a_message_that_it_cannot_read(network: Network) -> None:
    name = member_name(0)
    for payload in (
        encode_message(SyncRequest(version=LARGE, head_hash=b"")),
        encode_message(SyncAck(version=LARGE, head_hash=b"", serial=LARGE)),
        # What an MGM sends: who registers under its name has it sent to itself.
        encode_message(VerificationRequest(registration_id="r")),
        encode_message(StatusUpdate(registration_id="r", status="DECLINED", reason="no")),
        encode_message(PackagePart(package_id="p", index=0, count=1, data=b"")),
        b"\xc1",
    ):
        record = MembershipIn(
            group_id=identity(MGM).group_id,
            source=name,
            target=MGM,
            message_id="m\0",
            payload=payload,
        )
        network.mgm.worker.handle(encode_record(record))
    network.join(member_name(1), 1)
    network.settle()

    assert network.view(name).version == network.view(member_name(1)).version


def test_the_reason_of_an_mgm_is_stored_whatever_it_is(network: Network) -> None:
    name = member_name(1)
    request = network.join(name, 1)
    told = StatusUpdate(registration_id=request, status="DECLINED", reason="\0" * 5_000)
    record = MembershipIn(
        group_id=identity(MGM).group_id,
        source=MGM,
        target=name,
        message_id="m",
        payload=encode_message(told),
    )
    network.places[name].worker.handle(encode_record(record))

    status, reason = network.status(name, request)
    assert status == "DECLINED"
    assert reason is not None
    assert len(reason) <= 1024
    assert "\0" not in reason
