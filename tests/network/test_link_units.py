"""Pairs share durable commits, which cost more than all the rest; what is not stored is not lost."""

from collections.abc import Callable, Sequence

import pytest

from host.domain.clock import SimClock
from host.domain.errors import StorageError
from host.network.values.p2p_out import P2P_OUT_TOPIC, P2pOut, Subsystem, encode
from host.network.values.pair import pair_of
from host.ports.bus import NewRecord
from host.ports.link import PostResult, TlsPeer
from host.ports.state import StateConflictError
from host.ports.units import Unit
from tests.network.clusters import Cluster, Group, of_name
from tests.network.handshakes import Identity

A, B = "https://a.test:8080", "https://b.test:8080"
PAIRS = 12
SENDERS = [of_name(f"O=Sender {n}, L=London, C=GB", n + 10) for n in range(PAIRS)]
RECEIVER = of_name("O=Receiver, L=Paris, C=FR", 2)


@pytest.fixture
def both() -> tuple[Cluster, Cluster]:
    """Senders, each with a message, and the cluster of their receiver."""
    group, clock = Group(), SimClock()
    for sender in SENDERS:
        group.add(sender, A)
    group.add(RECEIVER, B)
    a = Cluster(A, group, SENDERS, {}, clock)
    b = Cluster(B, group, [RECEIVER], {}, clock)
    a.store.commit(Unit(records=tuple(_message(sender) for sender in SENDERS)))
    return a, b


def test_messages_of_many_pairs_share_commits(both: tuple[Cluster, Cluster]) -> None:
    a, b = both
    counted = _counting(a)
    while a.link.work():
        pass
    assert counted == [None]

    for expected in ([], [None], [None]):  # the first answer, the session, the acknowledgement
        counted.clear()
        answers = _answered(a, b)
        assert len(answers) == PAIRS
        counted.clear()
        a.link.done(answers)
        assert counted == expected
    assert a.states("p2p/tx/")
    assert not _waiting(a)
    assert sorted(payload for _, _, payload in b.arrived()) == sorted(
        str(sender.holding.x500_name).encode() for sender in SENDERS
    )


def test_what_a_shared_commit_could_not_store_is_sent_again(both: tuple[Cluster, Cluster]) -> None:
    a, b = both
    while a.link.work():
        pass
    for _ in range(2):
        a.link.done(_answered(a, b))
    answers = _answered(a, b)
    _failing(a, StorageError("the disk is full"))
    a.link.done(answers)
    assert len(_waiting(a)) == PAIRS

    for _ in range(40):
        a.clock.advance(500)
        a.link.done(_answered(a, b))
    assert not _waiting(a)
    assert len(b.arrived()) == PAIRS


def test_a_session_is_stored_although_its_pair_changes_meanwhile(
    both: tuple[Cluster, Cluster],
) -> None:
    a, b = both
    while a.link.work():
        pass
    a.link.done(_answered(a, b))
    _failing(b, StateConflictError("changed meanwhile"))
    a.link.done(_answered(a, b))
    assert len(b.states("p2p/si/")) == PAIRS


def _message(sender: Identity) -> NewRecord:
    name = str(sender.holding.x500_name)
    out = P2pOut(
        group_id=sender.holding.group_id,
        source=name,
        target=str(RECEIVER.holding.x500_name),
        subsystem=Subsystem.MEMBERSHIP,
        ttl_ms=300_000,
        message_id="m",
        payload=name.encode(),
    )
    return NewRecord(
        topic=P2P_OUT_TOPIC,
        key=pair_of(sender.holding, RECEIVER.holding),
        node=sender.holding.short_hash,
        value=encode(out),
    )


def _answered(a: Cluster, b: Cluster) -> Sequence[PostResult]:
    """What a posts now, with the answers of b; each pair speaks from an address of its own."""
    found = []
    while posts := a.link.take(0, 16):
        for post in posts:
            reply = b.link.receive(post.body, TlsPeer(address=post.pair))
            found.append(PostResult(post_id=post.post_id, status=reply.status, body=reply.body))
    return found


def _counting(cluster: Cluster) -> list[None]:
    """Gets an entry for each commit of sessions and messages to the cluster's store."""
    counted: list[None] = []
    commit: Callable[[Unit], None] = cluster.store.commit

    def counting(unit: Unit) -> None:
        commit(unit)
        if any(write.key.startswith(("p2p/tx/", "p2p/so/")) for write in unit.states):
            counted.append(None)

    cluster.store.commit = counting  # type: ignore[method-assign]
    return counted


def _failing(cluster: Cluster, error: Exception) -> None:
    """Let the next commit to the cluster's store fail."""
    commit: Callable[[Unit], None] = cluster.store.commit

    def once(unit: Unit) -> None:
        cluster.store.commit = commit  # type: ignore[method-assign]
        raise error

    cluster.store.commit = once  # type: ignore[method-assign]


def _waiting(cluster: Cluster) -> list[str]:
    """Keys of messages that were not acknowledged."""
    pairs = [pair_of(sender.holding, RECEIVER.holding) for sender in SENDERS]
    return [key for pair in pairs for key in cluster.states(f"p2p/tx/{pair}/")]
