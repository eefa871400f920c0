"""What is told of a node's peers, and pings of them, between two clusters in memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from host.domain.clock import SimClock
from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import EpochMs
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.link.frames import Data, Kind
from host.network.link.pings import KEPT_MS
from host.network.link.protection import protect
from host.network.link.reports import EVERY_MS
from host.network.link.reports import KEPT_MS as REPORT_KEPT_MS
from host.network.peers import PINGS_MAX, NetworkPeersOf
from host.ports.network_peers import NetworkPeer, PeerRoute, PingFailedError
from tests.flow.network import ALICE, BOB
from tests.network.clusters import Cluster, Entropy, Group, Medium
from tests.network.test_link_clusters import ALICES, BOBS, B, clusters, membership, put

ENTROPY = Entropy("pings")
NOBODY = "O=Nobody, L=London, C=GB"


def peers_of(cluster: Cluster, pause: Callable[[], None] = lambda: None) -> NetworkPeersOf:
    return NetworkPeersOf(
        members=cluster.members,
        routes=cluster.routes,
        store=cluster.store,
        clock=cluster.clock,
        entropy=ENTROPY,
        pause=pause,
    )


def bob_of(cluster: Cluster) -> NetworkPeer:
    (found,) = peers_of(cluster).peers(ALICES.holding, [BOBS.holding.x500_name])
    return found


def driven(medium: Medium) -> Callable[[], None]:
    """What time does while somebody waits for a ping."""

    def pause() -> None:
        if not medium.step():
            medium.clock.advance(500)

    return pause


def ping(cluster: Cluster, medium: Medium, name: str = BOB) -> Any:
    peers = peers_of(cluster, driven(medium))
    return peers.ping(ALICES.holding, MemberX500Name.parse(name))


def test_a_ping_makes_a_session_and_a_second_one_uses_it() -> None:
    group = Group()
    group.version = (7, b"h" * 32)
    a, _, medium = clusters(group)
    pong = ping(a, medium)
    assert (pong.list_version, pong.software) == (7, "test")
    posts = len(medium.recorded)
    assert posts == 3, "two of the handshake, one heartbeat"
    assert ping(a, medium).milliseconds == 0, "of the clock, which stands still"
    assert len(medium.recorded) == posts + 1
    assert a.states("p2p/ping/"), "answers are kept for a minute"
    medium.clock.advance(KEPT_MS)
    a.work()
    assert a.states("p2p/ping/") == []


def test_a_ping_measures_the_time_of_its_heartbeat_alone() -> None:
    a, _, medium = clusters()
    carry = medium.carry
    medium.carry = lambda post: (medium.clock.advance(30), carry(post))[1]  # type: ignore[method-assign]
    assert ping(a, medium).milliseconds == 30


def test_a_ping_overtakes_messages_and_the_delay_of_a_peer_that_failed() -> None:
    a, _, medium = clusters()
    medium.is_cut = True
    put(a, membership("m1"))
    for _ in range(20):
        if not medium.step():
            medium.clock.advance(5_000)
    medium.is_cut = False
    assert ping(a, medium).list_version == 1


def test_who_does_not_answer_is_told_with_the_reason() -> None:
    a, _, medium = clusters()
    medium.is_cut = True
    with pytest.raises(PingFailedError, match=f"{B}: lost"):
        ping(a, medium)
    assert not a.states("p2p/tx/"), "a ping leaves nothing to send"


def test_a_ping_that_no_process_takes_ends() -> None:
    a, _, medium = clusters()
    a.link.adopt({})
    with pytest.raises(PingFailedError, match="10 s"):
        ping(a, medium)
    a.link.adopt(dict.fromkeys(range(a.store.partitions)))
    medium.clock.advance(1)
    medium.step()
    assert medium.recorded == [], "nobody waits for it any more"


def test_pings_of_members_that_cannot_be_asked_are_refused() -> None:
    group = Group()
    a, _, medium = clusters(group)
    with pytest.raises(NotFoundError):
        ping(a, medium, NOBODY)
    assert ping(a, medium, ALICE).milliseconds == 0
    group.change(BOBS, status=MemberStatus.SUSPENDED)
    with pytest.raises(ConflictError, match="suspended"):
        ping(a, medium)


def test_pings_have_a_bound_in_number() -> None:
    a, _, medium = clusters()
    refused: list[str] = []
    depth = 0

    def asks_more() -> None:
        nonlocal depth
        depth += 1
        if depth < PINGS_MAX:
            peers.ping(ALICES.holding, BOBS.holding.x500_name)
        elif not refused:
            with pytest.raises(PingFailedError, match="under way") as failed:
                peers.ping(ALICES.holding, BOBS.holding.x500_name)
            refused.append(failed.value.message)
        driven(medium)()

    peers = peers_of(a, asks_more)
    peers.ping(ALICES.holding, BOBS.holding.x500_name)
    assert refused


def test_data_that_claims_to_be_a_ping_is_refused_for_ever() -> None:
    a, b, medium = clusters()
    put(a, membership("m1"))
    medium.run(lambda: bool(b.arrived()))
    (pair,) = a.link._outbox.pairs.values()
    assert pair.session is not None
    body = Data(
        channel=pair.head.channel,
        n=2,
        base=2,
        ttl_ms=1_000,
        subsystem="ping",
        filter="ACTIVE",
        message_id="x",
        trace="",
        payload=b"",
    )
    session, post = pair.session, medium.recorded[-1]
    frame = protect(session.keys, session.mode, Kind.DATA, lane=session.lane, counter=99, body=body)
    assert medium.deliver(replace(post, body=frame.encode())).status == 200
    assert len(b.arrived()) == 1


def test_a_peer_that_answers_has_sessions_and_nothing_queued() -> None:
    a, b, medium = clusters()
    assert bob_of(a).outbound == 0
    ping(a, medium)
    found = bob_of(a)
    assert (found.route, found.outbound, found.queued, found.as_of) == (PeerRoute.LINK, 1, 0, None)
    assert found.expires_at is not None
    assert [(each.url, each.failures) for each in found.endpoints] == [(B, 0)]
    (alice,) = peers_of(b).peers(BOBS.holding, [ALICES.holding.x500_name])
    assert (alice.outbound, alice.inbound) == (0, 1)


def test_a_peer_that_does_not_answer_is_told_with_what_waits_for_it() -> None:
    a, _, medium = clusters(clock=SimClock(EpochMs(1_000_000)))
    medium.is_cut = True
    put(a, membership("m1"))
    begun = medium.clock.now_ms()
    while medium.step():
        pass
    medium.clock.advance(EVERY_MS)
    medium.step()
    found = bob_of(a)
    assert (found.queued, found.queued_bytes, found.error) == (1, len(b"hello"), "lost")
    assert found.oldest_at == begun
    assert found.endpoints[0].failures >= 1
    assert found.next_at is not None
    medium.is_cut = False
    medium.run(lambda: bob_of(a).as_of is None, most_ms=60_000)
    assert bob_of(a).endpoints[0].failures == 0


def test_reports_of_a_process_that_is_gone_are_deleted() -> None:
    a, _, medium = clusters()
    medium.is_cut = True
    put(a, membership("m1"))
    while medium.step():
        pass
    medium.clock.advance(EVERY_MS)
    medium.step()
    assert bob_of(a).as_of is not None
    a.restart()
    medium.clock.advance(REPORT_KEPT_MS)
    a.link.adopt(dict.fromkeys(range(a.store.partitions)))
    a.link._outbox.pairs.clear()
    a.work()
    assert bob_of(a).as_of is None


def test_members_here_and_refused_ones_are_told_as_such() -> None:
    group = Group()
    a, _, _ = clusters(group)
    group.change(BOBS, status=MemberStatus.SUSPENDED)
    names = [ALICES.holding.x500_name, BOBS.holding.x500_name]
    here, suspended = peers_of(a).peers(ALICES.holding, names)
    assert here.route is PeerRoute.HERE
    assert (suspended.route, "suspended" in suspended.reason) == (PeerRoute.REFUSED, True)
