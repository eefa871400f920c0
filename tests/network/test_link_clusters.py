"""Two clusters, each with a store and an engine of its own: flows talk over the link."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace as changed

from host.adapters.sqlite.store import SqliteStore
from host.domain.accounts import Account
from host.domain.clock import SimClock
from host.domain.membership import MemberStatus
from host.flow.core.messages import Close, Party, SessionMessage, encode
from host.network.link.frames import Kind, split
from host.network.link.outgoing import head_write, read_pair
from host.network.link.protection import Mode, acknowledged, protect
from host.network.values import p2p_out
from host.network.values.p2p_out import Filter, P2pOut, Subsystem
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord
from host.ports.link import TlsPeer
from host.ports.units import FlowStore, Unit
from tests.flow.network import ALICE, BOB
from tests.flow.scripted import CallFailed, Guest
from tests.network.clusters import Cluster, Group, Medium, of_name
from tests.network.frame_bodies import data
from tests.network.handshakes import FIRST_SEED, SCHEDULES

A, B = "https://a.test:8080", "https://b.test:8080"
ALICES, BOBS = of_name(ALICE, 1), of_name(BOB, 2)
ROUNDS = 5


def asks(guest: Guest) -> str:
    try:
        session = guest.open(BOB)
        for number in range(ROUNDS):
            guest.send(session, f"planted {number}")
            assert guest.receive(session) == f"answer {number}"
    except CallFailed as failed:
        return failed.code
    return "done"


def answers(guest: Guest) -> str:
    for number in range(ROUNDS):
        assert guest.receive(guest.session) == f"planted {number}"
        guest.send(guest.session, f"answer {number}")
    return "answered"


FLOWS: dict[str, Any] = {"test.Initiator": asks, "test.Responder": answers}


def clusters(
    group: Group | None = None,
    seed: int = 0,
    *,
    clock: SimClock | None = None,
    stores: Sequence[FlowStore | None] = (None, None),
) -> tuple[Cluster, Cluster, Medium]:
    group = group or Group()
    group.add(ALICES, A)
    group.add(BOBS, B)
    clock = clock or SimClock()
    a = Cluster(A, group, [ALICES], FLOWS, clock, stores[0])
    b = Cluster(B, group, [BOBS], FLOWS, clock, stores[1])
    return a, b, Medium(a, b, seed=seed)


def is_over(a: Cluster, request_id: str = "r1") -> bool:
    return a.network.alice(request_id).status.is_final


def settled(*both: Cluster) -> bool:
    return not any(c.states("p2p/tx/" + name + "/") for c in both for name in PAIRS)


PAIRS = (pair_of(ALICES.holding, BOBS.holding), pair_of(BOBS.holding, ALICES.holding))


@pytest.mark.parametrize("mode", list(Mode))
def test_a_flow_talks_to_a_member_on_another_cluster(mode: Mode) -> None:
    a, b, medium = clusters(Group(mode=mode))
    a.network.start()
    medium.run(lambda: is_over(a) and settled(a, b))

    assert a.network.alice().result == "done"
    assert [status.result for status in b.network.bobs()] == ["answered"]
    carried = b"".join([*(post.body for post in medium.recorded), *medium.answers])
    assert (b"planted" in carried) is (mode is Mode.AUTHENTICATED)
    assert not a.events
    assert not b.events


def test_flows_talk_over_stores_on_disk_and_leave_nothing_behind(tmp_path: Path) -> None:
    clock = SimClock()
    stores = [SqliteStore(tmp_path / name, clock=clock) for name in ("a.sqlite", "b.sqlite")]
    try:
        a, b, medium = clusters(clock=clock, stores=stores)
        medium.loss = 0.2
        a.network.start()
        medium.run(lambda: is_over(a) and settled(a, b))
        assert a.network.alice().result == "done"
        for store in stores:
            assert store.recount() == []
            assert store.placed("link", range(store.partitions)) == [
                state for state in store.scan("p2p/") if state.due_at is not None
            ]
        clock.advance(15 * 24 * 3600 * 1000)
        a.work()
        b.work()
        for store, own in zip(stores, (ALICES, BOBS), strict=True):
            assert store.balance(own.holding.short_hash, Account.BUS).bytes == 0
        assert [a.states("p2p/"), b.states("p2p/")] == [
            [f"p2p/tx/{PAIRS[0]}"],
            [f"p2p/tx/{PAIRS[1]}"],
        ]
    finally:
        for store in stores:
            store.close()


def test_session_keys_are_sealed_where_they_are_stored() -> None:
    a, b, medium = clusters()
    a.network.start()
    medium.run(lambda: is_over(a))

    (stored,) = b.store.scan("p2p/si/")
    session = b.link._inbox.sessions.inbound(bytes.fromhex(stored.key.rpartition("/")[2]))
    assert session is not None
    secrets = (session.keys.data_key, session.keys.ack_key)
    assert not any(
        key in state.value for c in (a, b) for state in c.store.scan("p2p/") for key in secrets
    )


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SCHEDULES))
def test_flows_complete_over_a_bad_network_and_clusters_that_die(seed: int) -> None:
    a, b, medium = clusters(seed=seed)
    medium.loss = medium.doubling = medium.replay = 0.2
    medium.edit = 0.05
    for number in range(3):
        a.network.start(request_id=f"r{number}")

    def over() -> bool:
        if medium.random.random() < 0.1:
            medium.random.choice([a, b]).restart()
        return all(is_over(a, f"r{number}") for number in range(3))

    medium.run(over)
    medium.loss = medium.doubling = medium.replay = medium.edit = 0.0
    medium.run(lambda: settled(a, b))

    assert [a.network.alice(f"r{number}").result for number in range(3)] == ["done"] * 3
    assert [status.result for status in b.network.bobs()] == ["answered"] * 3


def test_recorded_traffic_hands_nothing_over_again() -> None:
    a, b, medium = clusters()
    a.network.start()
    medium.run(lambda: is_over(a) and settled(a, b))
    before = {c.url: c.states("") for c in (a, b)}
    b.restart()
    for post in list(medium.recorded):
        medium.deliver(post)
        medium.step()

    assert len(b.network.bobs()) == 1
    assert {c.url: [k for k in c.states("") if not k.startswith("p2p/")] for c in (a, b)} == {
        url: [k for k in keys if not k.startswith("p2p/")] for url, keys in before.items()
    }


def test_a_message_that_nobody_acknowledges_ends_the_session_of_its_flow() -> None:
    a, b, medium = clusters()
    medium.is_cut = True
    a.network.start()
    medium.run(lambda: is_over(a), most_ms=310_000)

    assert a.network.alice().result == "session-error"
    assert settled(a, b)
    urls = {post.url for post in medium.recorded}
    assert urls == {B}
    assert len(medium.recorded) < 60  # probes, not the queue


def test_a_cluster_that_answers_again_is_heard_at_once() -> None:
    a, b, medium = clusters()
    medium.is_cut = True
    a.network.start()
    for _ in range(100):
        medium.step()
        medium.clock.advance(500)
    medium.is_cut = False
    medium.run(lambda: is_over(a), most_ms=15_000)

    assert a.network.alice().result == "done"
    assert b.network.bobs()


def test_each_try_takes_another_endpoint() -> None:
    a, _, medium = clusters()
    a.members.group.change(BOBS, urls=("https://gone.test", B))
    a.network.start()
    medium.run(lambda: is_over(a), most_ms=15_000)

    assert a.network.alice().result == "done"
    assert {post.url for post in medium.recorded} == {"https://gone.test", A, B}


def test_a_suspended_member_is_refused_to_flows_here_and_its_messages_there() -> None:
    a, b, medium = clusters()
    a.network.start()
    medium.run(lambda: is_over(a))
    view = Group()
    view.add(ALICES, A)
    view.change(ALICES, status=MemberStatus.SUSPENDED)
    view.add(BOBS, B)
    b.members.group = view  # which Alice does not know yet
    a.network.start(request_id="r2")
    medium.run(lambda: is_over(a, "r2"), most_ms=310_000)
    assert a.network.alice("r2").result == "session-error"
    assert len(b.network.bobs()) == 1

    a.members.group.change(BOBS, status=MemberStatus.SUSPENDED)
    a.network.start(request_id="r3")
    medium.run(lambda: is_over(a, "r3"))
    assert a.network.alice("r3").result == "counterparty-suspended"


def test_a_change_of_keys_ends_sessions() -> None:
    a, b, medium = clusters()
    a.network.start()
    medium.run(lambda: is_over(a) and settled(a, b))
    other = of_name(ALICE, 9)
    a.members.group.add(other, A)
    medium.deliver(medium.recorded[-1])
    sealed = [post for post in medium.recorded if post.pair == PAIRS[0]][-1]
    reply = medium.deliver(sealed)

    assert b.states("p2p/si/") == []
    assert b"unknown-session" in reply.body


@pytest.mark.parametrize(
    "named",
    [
        {"source": "O=Carol, L=Rome, C=IT"},
        {"target": "O=Carol, L=Rome, C=IT"},
        {"group": "another network with members of these names"},
    ],
)
def test_a_message_of_other_members_than_the_sessions_is_refused(named: dict[str, str]) -> None:
    a, b, medium = clusters()
    a.network.start()
    medium.run(lambda: is_over(a) and settled(a, b))
    found = a.link._inbox.sessions.outbound(PAIRS[0])
    assert found is not None
    assert found[0] is not None
    session, names = found[0], {"source": ALICE, "target": BOB, **named}
    group = named.get("group", session.group_id)
    message = SessionMessage(
        session_id="x-INITIATED",
        sequence=1,
        source=Party(name=names["source"], group_id=group),
        target=Party(name=names["target"], group_id=group),
        payload=Close(),
    )
    body = data(encode(message))
    frame = protect(session.keys, session.mode, Kind.DATA, lane=9, counter=0, body=body)

    reply = b.link.receive(frame.encode(), TlsPeer(address="10.0.0.1"))

    ack = acknowledged(session.keys, frame.header, split(reply.body)[0])
    assert (ack.refused, ack.upto) == (((1, "refused"),), 0)


def membership(message_id: str, **changes: Any) -> P2pOut:
    given: dict[str, Any] = {
        "group_id": ALICES.holding.group_id,
        "source": ALICE,
        "target": BOB,
        "subsystem": Subsystem.MEMBERSHIP,
        "filter": Filter.ACTIVE,
        "ttl_ms": 60_000,
        "message_id": message_id,
        "payload": b"hello",
    }
    return P2pOut(**{**given, **changes})


def put(cluster: Cluster, message: P2pOut) -> None:
    source, target = message.source_holding(), message.target_holding()
    record = NewRecord(
        topic=p2p_out.P2P_OUT_TOPIC,
        key=pair_of(source, target),
        value=p2p_out.encode(message),
        node=source.short_hash,
    )
    cluster.store.commit(Unit(records=(record,)))


def test_messages_of_membership_arrive_once_and_their_senders_learn_the_outcome() -> None:
    a, b, medium = clusters()
    put(a, membership("m1"))
    medium.run(lambda: bool(a.membership_in()))

    assert b.arrived() == [(ALICE, "m1", b"hello")]
    assert a.outcomes() == {"m1": None}
    medium.is_cut = True
    put(a, membership("m2"))
    medium.run(lambda: len(a.membership_in()) == 2)
    assert a.outcomes() == {"m1": None, "m2": "peer-unreachable"}


def test_a_registration_reaches_the_mgm_without_a_session() -> None:
    group = Group()
    a, b, medium = clusters(group)
    group.change(BOBS, is_mgm=True)
    put(a, membership("m1", sealed_for_mgm=True, payload=b"sealed"))
    medium.run(lambda: bool(a.membership_in()))

    assert b.arrived() == [(None, "m1", b"sealed")]
    assert a.outcomes() == {"m1": None}
    assert a.states("p2p/so/") == []


def test_a_message_to_a_member_that_moved_here_is_delivered_here() -> None:
    a, _, medium = clusters()
    a.members.identities[BOBS.holding] = BOBS
    put(a, membership("m1"))
    medium.run(lambda: len(a.membership_in()) == 2)

    assert (a.arrived(), a.outcomes()) == ([(ALICE, "m1", b"hello")], {"m1": None})
    assert medium.recorded == []


def test_a_sender_whose_store_was_restored_begins_a_new_channel() -> None:
    a, b, medium = clusters()
    for number in range(3):
        put(a, membership(f"m{number}"))
    medium.run(lambda: len(b.membership_in()) == 3)
    restored = Cluster(A, a.members.group, [ALICES], FLOWS, a.clock)
    restored.entropy.seed = "restored"
    head = a.store.get(f"p2p/tx/{PAIRS[0]}")
    assert head is not None
    pair = read_pair(a.store, head, 0)
    pair.version = 0
    older = head_write(pair, changed(pair.head, next=2), is_pending=False)
    restored.store.commit(Unit(states=(older,)))
    medium.clusters = {A: restored, B: b}
    put(restored, membership("m9"))
    medium.run(lambda: bool(restored.membership_in()))

    assert b.arrived()[-1] == (ALICE, "m9", b"hello")
    assert restored.outcomes() == {"m9": None}


def test_lists_are_compared_and_a_newer_one_is_asked_for() -> None:
    a, b, medium = clusters()
    newer = Group(version=(2, b"n" * 32))
    newer.peers = a.members.group.peers
    b.members.group = newer
    put(a, membership("m1"))
    medium.run(lambda: bool(a.membership_in()))

    assert set(a.members.told) == {(2, b"n" * 32)}
    assert b.members.told == []


@pytest.mark.parametrize("moved", ["initiator", "responder"])
def test_the_list_is_asked_for_when_a_peer_is_at_a_newer_place_than_it_says(moved: str) -> None:
    a, b, medium = clusters()
    (a if moved == "initiator" else b).members.epoch = 1
    a.network.start("r1")
    told = (b if moved == "initiator" else a).members.told
    medium.run(lambda: bool(told))
    assert told == [(2, b"")]
    a.members.group.change(ALICES if moved == "initiator" else BOBS, location_epoch=1)
    medium.run(lambda: is_over(a))
    assert a.network.alice("r1").result == "done"


def test_two_heads_of_one_version_are_noticed_by_both_sides() -> None:
    a, b, medium = clusters()
    fork = Group(version=(1, b"f" * 32))
    fork.peers = a.members.group.peers
    b.members.group = fork
    put(a, membership("m1"))
    medium.run(lambda: bool(a.membership_in()))

    assert set(a.members.told) == {(1, b"f" * 32)}
    assert set(b.members.told) == {(1, b"h" * 32)}


def test_no_number_of_a_lane_is_used_twice_under_one_key() -> None:
    a, b, medium = clusters()
    put(a, membership("m"))
    medium.run(lambda: settled(a, b))
    for number in range(8):
        put(a, membership(f"m{number}"))
        medium.step()
        a.restart()
    medium.run(lambda: settled(a, b))

    bodies: dict[tuple[bytes, int, int], bytes] = {}
    for post in medium.recorded:
        for frame in split(post.body):
            if frame.kind in {Kind.DATA, Kind.HEARTBEAT}:
                h = frame.header
                assert (h.session, h.lane, h.counter) not in bodies
                bodies[h.session, h.lane, h.counter] = frame.body
    assert len({(session, lane) for session, lane, _ in bodies}) > 2
    assert len({session for session, _, _ in bodies}) == 1


def test_frames_of_a_client_that_the_network_does_not_allow_are_refused() -> None:
    """Another network's trust roots have let it connect, by mutual TLS: the frame decides."""
    a, b, medium = clusters()
    put(a, membership("m1"))
    medium.run(lambda: settled(a, b))
    b.members.clients = (b"allowed",)
    data = medium.recorded[-1].body
    hello = medium.recorded[0].body

    for body in (hello, data):
        refused = b.link.receive(body, TlsPeer(address="10.0.0.1", chain=(b"other",)))
        assert b"refused" in refused.body
    taken = b.link.receive(data, TlsPeer(address="10.0.0.1", chain=(b"allowed",)))
    assert split(taken.body)[0].kind is Kind.ACK
    assert len(b.arrived()) == 1


def test_a_session_that_cannot_be_opened_any_more_is_replaced() -> None:
    """The wrapping key has been rotated away, or the host was restored elsewhere."""
    a, b, medium = clusters()
    put(a, membership("m1"))
    medium.run(lambda: settled(a, b))
    for cluster in (a, b):
        cluster.keys.aead = AESGCM(bytes([1]) * 32)
        cluster.restart()
    put(a, membership("m2"))
    medium.run(lambda: settled(a, b), most_ms=30_000)

    assert a.outcomes() == {"m1": None, "m2": None}
