"""The thread of a link: takes what waits, and gives its partitions to others when it stops."""

import threading
import time

from host.adapters.memory.store import MemoryStore
from host.domain.clock import SimClock
from host.network.group_thread import GroupThread
from host.network.link.workers import LINKS
from host.ports.link import PostResult, TlsPeer
from tests.flow.network import ALICE
from tests.network.clusters import Cluster, Group
from tests.network.test_link_clusters import ALICES, BOBS, FLOWS, A, B, membership, put

DEADLINE_S = 30


def workers(cluster: Cluster, member: str, failures: list[BaseException]) -> GroupThread:
    return GroupThread(
        LINKS,
        work=cluster.link,
        store=cluster.store,
        clock=cluster.clock,
        member=member,
        failed=failures.append,
    )


def test_a_message_that_waits_is_sent_by_whoever_owns_its_partition() -> None:
    group = Group()
    group.add(ALICES, A)
    group.add(BOBS, B)
    clock = SimClock()
    a, b = (Cluster(url, group, [own], FLOWS, clock) for url, own in ((A, ALICES), (B, BOBS)))
    failures: list[BaseException] = []
    first = workers(a, "first", failures)
    a.link.adopt({})
    first.start()
    put(a, membership("m1"))
    arrived = threading.Event()

    def gateway() -> None:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end and not a.membership_in():
            for post in a.link.take(1_000, 4):
                reply = b.link.receive(post.body, TlsPeer(address="10.0.0.1"))
                result = PostResult(post_id=post.post_id, status=reply.status, body=reply.body)
                a.link.done([result])
        arrived.set()

    thread = threading.Thread(target=gateway)
    thread.start()
    assert arrived.wait(DEADLINE_S)
    thread.join()
    assert b.arrived() == [(ALICE, "m1", b"hello")]
    assert first.stop()
    assert [m.member for m in a.store.members("link")] == []
    put(a, membership("m2"))
    assert not a.link.work()
    assert a.link.take(0, 4) == []
    assert failures == []


def test_a_link_that_lost_a_partition_writes_nothing_of_it() -> None:
    group = Group()
    group.add(ALICES, A)
    group.add(BOBS, B)
    clock = SimClock()
    store = MemoryStore(clock=clock)
    a = Cluster(A, group, [ALICES], FLOWS, clock, store)
    b = Cluster(B, group, [BOBS], FLOWS, clock)
    earlier = store.join("link", "first", ttl_ms=1000)
    a.link.adopt(earlier.epochs)
    put(a, membership("m1"))
    a.link.work()
    posts = a.link.take(0, 4)
    assert len(posts) == 1
    store.leave("link", "first")
    later = store.join("link", "second", ttl_ms=1000)
    reply = b.link.receive(posts[0].body, TlsPeer(address="10.0.0.1"))
    a.link.done([PostResult(post_id=posts[0].post_id, status=200, body=reply.body)])
    (second,) = a.link.take(0, 4)
    reply = b.link.receive(second.body, TlsPeer(address="10.0.0.1"))
    a.link.done([PostResult(post_id=second.post_id, status=200, body=reply.body)])
    assert a.states("p2p/so/") == []  # the session was not stored: another process owns the pair
    assert a.link.take(0, 4) == []
    a.link.adopt(later.epochs)
    assert len(a.link.take(0, 4)) == 1
