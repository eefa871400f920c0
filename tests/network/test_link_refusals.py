"""What a link refuses, and what it does when its peer, its store or its keys fail."""

from collections.abc import Callable

import pytest

from host.domain.errors import UnavailableError
from host.network.link.frames import HEADER_BYTES, Heartbeat, Kind, plain, split
from host.network.link.handshakes import HandshakeFailed
from host.network.link.service import IN_WORK_MAX, IN_WORK_OF_ONE_MAX, StateDamaged
from host.ports.link import PostResult, TlsPeer
from host.ports.state import StateWrite
from host.ports.units import Unit
from tests.flow.network import ALICE, BOB
from tests.network.test_link_clusters import PAIRS, clusters, membership, put, settled

PEER = TlsPeer(address="10.0.0.9")


def heartbeat(session: bytes = bytes(16)) -> bytes:
    return plain(Kind.HEARTBEAT, session, Heartbeat()).encode()


def test_the_first_bytes_of_a_body_decide_how_long_it_may_be() -> None:
    a, b, medium = clusters()
    put(a, membership("m1"))
    medium.run(lambda: settled(a, b))
    known = split(medium.recorded[-1].body)[0]

    assert b.link.body_limit(medium.recorded[0].body[:HEADER_BYTES]) == 4096
    assert b.link.body_limit(known.head) == 4 * 1024 * 1024
    assert b.link.body_limit(heartbeat()) == 4096
    assert b.link.body_limit(plain(Kind.UNAUTHENTICATED, bytes(16), Heartbeat()).head) == 256 * 1024
    assert b.link.body_limit(b"\x02" + known.head[1:]) == 0
    assert b.link.body_limit(b"") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        heartbeat(b"a" * 16) + heartbeat(b"b" * 16),
        plain(Kind.INITIATOR_HELLO, bytes(16), Heartbeat()).encode() * 2,
        plain(Kind.UNAUTHENTICATED, bytes(16), Heartbeat()).encode(),
    ],
)
def test_what_is_no_row_of_frames_of_one_session_is_unreadable(body: bytes) -> None:
    _, b, _ = clusters()

    assert b.link.receive(body, PEER).status == 400


def test_strangers_get_little_and_at_a_rate() -> None:
    _, b, medium = clusters()
    hello = plain(Kind.INITIATOR_HELLO, b"s" * 16, Heartbeat()).encode()
    found = [b.link.receive(hello, PEER) for _ in range(21)]

    assert [reply.status for reply in found] == [200] * 20 + [429]
    assert all(b"refused" in reply.body for reply in found[:20])
    medium.clock.advance(59_000)
    assert b.link.receive(hello, PEER).status == 429  # it failed 20 times in a minute
    medium.clock.advance(1_000)
    assert b.link.receive(hello, PEER).status == 200
    assert {event.failure for event in b.events if isinstance(event, HandshakeFailed)} == {"form"}
    unknown = b.link.receive(heartbeat(b"s" * 16), PEER)
    assert b"unknown-session" in unknown.body
    lost = plain(Kind.INITIATOR_HANDSHAKE, b"s" * 16, Heartbeat()).encode()
    assert b"unknown-handshake" in b.link.receive(lost, PEER).body


def test_more_requests_than_may_be_in_work_are_put_off() -> None:
    _, b, _ = clusters()
    for _ in range(IN_WORK_OF_ONE_MAX):
        assert b.link._in_work.enters(PEER.address)
    assert b.link.receive(heartbeat(), PEER).status == 503
    other = TlsPeer(address="10.0.0.10")
    assert b.link.receive(heartbeat(), other).status == 200
    for number in range(IN_WORK_MAX - IN_WORK_OF_ONE_MAX):
        assert b.link._in_work.enters(f"10.0.1.{number}")
    assert b.link.receive(heartbeat(), other).status == 503
    b.link._in_work.leaves(PEER.address)
    assert b.link.receive(heartbeat(), other).status == 200


def test_a_hint_that_a_session_is_unknown_is_believed_once_in_ten_seconds() -> None:
    a, b, medium = clusters()
    put(a, membership("m1"))
    medium.run(lambda: settled(a, b))
    refusal = b.link.receive(heartbeat(), PEER).body
    put(a, membership("m2"))
    kinds = []
    for _ in range(18):  # nine seconds
        a.work()
        for post in a.link.take(0, 4):
            kinds.append(kind := split(post.body)[0].kind)
            is_handshake = kind in {Kind.INITIATOR_HELLO, Kind.INITIATOR_HANDSHAKE}
            lie = PostResult(post_id=post.post_id, status=200, body=refusal)
            a.link.done([medium.carry(post) if is_handshake else lie])
        medium.clock.advance(500)

    assert kinds.count(Kind.INITIATOR_HELLO) == 1
    assert kinds.count(Kind.HEARTBEAT) >= 1  # one probe for each delay, not the queue
    medium.run(lambda: settled(a, b))
    assert [message_id for _, message_id, _ in b.arrived()] == ["m1", "m2"]


def test_a_message_that_is_too_large_fails_alone() -> None:
    a, b, medium = clusters()
    put(a, membership("large", payload=bytes(1024 * 1024 + 1)))
    put(a, membership("small"))
    medium.run(lambda: settled(a, b))

    assert a.outcomes() == {"large": "message-too-large", "small": None}
    assert [message_id for _, message_id, _ in b.arrived()] == ["small"]


def test_a_key_store_that_fails_delays_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, medium = clusters()
    whole: Callable[..., bytes] = a.keys.sign
    failing = 3

    def sign(*given: object, **named: object) -> bytes:
        nonlocal failing
        failing -= 1
        if failing >= 0:
            raise UnavailableError("no keys now")
        return whole(*given, **named)

    monkeypatch.setattr(a.keys, "sign", sign)
    put(a, membership("m1"))
    medium.run(lambda: settled(a, b))

    assert a.outcomes() == {"m1": None}
    assert [e.reason for e in a.events if not isinstance(e, HandshakeFailed)] == ["no keys now"] * 3


def test_a_damaged_pair_keeps_only_itself_waiting() -> None:
    a, b, medium = clusters()
    broken = StateWrite(key=f"p2p/tx/{PAIRS[0]}", value=b"?", expected=0)
    a.store.commit(Unit(states=(broken,)))
    put(a, membership("m1"))
    a.link.work()
    assert any(isinstance(event, StateDamaged) for event in a.events)
    put(b, membership("m3", source=BOB, target=ALICE))
    medium.run(lambda: bool(b.outcomes()))
    assert b.outcomes() == {"m3": None}
    assert a.outcomes() == {}
