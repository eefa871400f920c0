"""Gateways over real sockets: TLS, statuses, and two clusters that talk through them."""

import asyncio
import gc
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from host.adapters.http.acceptor import Acceptor, DoorMetrics
from host.adapters.http.admission import Admission
from host.domain.clock import SimClock
from host.network.gateway.client import ClientLimits, GatewayClient
from host.network.gateway.gateway import SEATS
from host.network.gateway.server import PATIENCE
from host.network.gateway.tls import (
    TlsRefusedError,
    check_chain,
    client_context,
    peer_chain,
    server_context,
)
from host.ports.link import CONTENT_TYPE, GatewayReply, Post, TlsIdentity, TlsPeer
from host.ports.state import StateConflictError
from host.rest.listener import bind
from tests.network.clusters import Cluster, Group
from tests.network.development_ca import DevelopmentCa
from tests.network.gateways import serving, tls_certificate
from tests.network.test_link_clusters import ALICES, BOBS, FLOWS

CA, OTHER_CA = DevelopmentCa("one"), DevelopmentCa("two")
IDENTITY = TlsIdentity(tls_tenant="cluster", tls_alias=None, trust_roots=(CA.root_der,))
HEAD = b"\x01\x05" + bytes(34)
ACK = b"\x01\x06" + bytes(34)


class Answering:
    """A link that answers what a test wants, and remembers what it was given."""

    def __init__(self) -> None:
        self.peers: list[TlsPeer] = []
        self.bodies: list[bytes] = []
        self.limit = 4096
        self.reply = GatewayReply(status=200, body=ACK)
        self.hold: threading.Event | None = None
        self.entered = threading.Semaphore(0)

    def receive(self, frames: bytes, peer: TlsPeer) -> GatewayReply:
        self.entered.release()
        if self.hold is not None:
            assert self.hold.wait(30)
        self.bodies.append(frames)
        self.peers.append(peer)
        return self.reply

    def body_limit(self, head: bytes) -> int:
        return self.limit if head[:1] == b"\x01" else 0

    def take(self, wait_ms: int, posts_max: int) -> list[Post]:
        threading.Event().wait(min(wait_ms, 50) / 1000)
        return []

    def done(self, results: Any) -> None: ...


def connected(port: int, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
    context = context or client_context([CA.root_der])
    made = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    _opened.append(made)
    return made


_opened: list[http.client.HTTPConnection] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Closes the connections of a test at its end."""
    yield
    while _opened:
        _opened.pop().close()


def posted(
    connection: http.client.HTTPSConnection, body: bytes = HEAD, **headers: str
) -> tuple[int, bytes]:
    connection.request("POST", "/", body, {"content-type": CONTENT_TYPE, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read()


def bytes_of(registry: CollectorRegistry, direction: str) -> float | None:
    labels = {"direction": direction}
    return registry.get_sample_value("cordbox_gateway_request_bytes_total", labels)


def test_a_post_reaches_the_link_and_its_answer_the_client() -> None:
    link = Answering()
    with serving(link, CA) as (port, registry):
        connection = connected(port)
        assert posted(connection) == (200, ACK)
        assert posted(connection) == (200, ACK)  # on the same connection
        link.limit = 40
        assert posted(connection, HEAD + bytes(5))[0] == 413
        link.limit = 4096
        assert posted(connected(port), b"\x02" + HEAD)[0] == 400
        assert posted(connected(port), b"")[0] == 400
        for status in (400, 413, 429, 503):
            link.reply = GatewayReply(status=status)
            assert posted(connected(port)) == (status, b"")
        served = registry.get_sample_value("cordbox_gateway_requests_total", {"status": "200"})
        assert served == 2
        moved = [bytes_of(registry, direction) for direction in ("received", "sent")]
        assert moved == [7 * len(HEAD) + len(HEAD + bytes(5)) + 1, 2 * len(ACK)]
    first, second = link.peers[:2]
    assert first.address == "127.0.0.1"
    assert first.connection == second.connection
    assert first.chain == ()


def test_a_gateway_listens_at_several_addresses() -> None:
    link, second = Answering(), bind("127.0.0.1", 0)
    port = second.getsockname()[1]
    with serving(link, CA, more_listeners=[second]) as (first, _):
        assert posted(connected(first)) == posted(connected(port)) == (200, ACK)


def test_a_client_takes_the_servers_of_each_root_that_it_trusts() -> None:
    link, both = Answering(), client_context([CA.root_der, OTHER_CA.root_der])
    for authority in (CA, OTHER_CA):
        with serving(link, authority) as (port, _):
            assert posted(connected(port, both)) == (200, ACK)
    third = DevelopmentCa("three")
    with serving(link, third) as (port, _), pytest.raises(ssl.SSLCertVerificationError):
        posted(connected(port, both))


def test_answers_are_sent_at_once() -> None:
    """The body of an answer does not wait for the acknowledgement of its head."""
    found: list[int] = []

    async def run() -> None:
        ended = asyncio.Event()

        class Seen(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connection = transport.get_extra_info("socket")
                found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()
                ended.set()

        def protocol(left: Callable[[], None]) -> Seen:
            left()
            return Seen()

        listener = bind("127.0.0.1", 0)
        acceptor = Acceptor(
            listener,
            Admission(SEATS),
            protocol,
            tls=None,
            patience=PATIENCE,
            metrics=DoorMetrics(CollectorRegistry(), prefix="test"),
        )
        acceptor.start()
        _, writer = await asyncio.open_connection(*listener.getsockname())
        await ended.wait()
        writer.close()
        acceptor.close()
        await acceptor.wait_closed()
        listener.close()

    asyncio.run(run())
    assert found == [1]


def test_a_large_body_is_refused_before_it_is_read() -> None:
    link = Answering()
    with serving(link, CA) as (port, registry):
        connection = connected(port)
        connection.putrequest("POST", "/")
        connection.putheader("content-type", CONTENT_TYPE)
        connection.putheader("content-length", "4000000")
        connection.endheaders(HEAD)  # of the body 36 bytes, and no more
        answer = connection.getresponse()
        assert answer.status == 413
        assert bytes_of(registry, "received") == len(HEAD)
    assert link.bodies == []


def test_one_peer_gets_503_while_its_requests_are_in_work() -> None:
    link = Answering()
    link.hold = threading.Event()
    with serving(link, CA) as (port, _):
        waiting = [connected(port) for _ in range(4)]
        for connection in waiting:
            connection.request("POST", "/", HEAD, {"content-type": CONTENT_TYPE})
            assert link.entered.acquire(timeout=20)
        assert posted(connected(port))[0] == 503
        link.hold.set()
        assert [connection.getresponse().status for connection in waiting] == [200] * 4


def test_old_tls_foreign_clients_and_plain_http_are_refused() -> None:
    with serving(Answering(), CA) as (port, _):
        old = client_context([CA.root_der])
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            posted(connected(port, old))
        with pytest.raises(ssl.SSLCertVerificationError):
            posted(connected(port, client_context([OTHER_CA.root_der])))
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        _opened.append(plain)
        plain.request("POST", "/", HEAD)
        assert plain.getresponse().status == 400


def test_mutual_tls_demands_a_certificate_and_tells_the_link_whose_it_is() -> None:
    link = Answering()
    mine = tls_certificate(CA, subject="CN=Alice,C=GB,L=London,O=Org")
    foreign = tls_certificate(OTHER_CA)
    with serving(link, CA, client_roots=[CA.root_der]) as (port, _):
        for certificate in (None, foreign):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                posted(connected(port, client_context([CA.root_der], certificate)))
        assert posted(connected(port, client_context([CA.root_der], mine)))[0] == 200
    leaf = ssl.PEM_cert_to_DER_cert(mine.chain.partition("-----END CERTIFICATE-----")[0] + END)
    (peer,) = link.peers
    assert peer.chain[0] == leaf
    check_chain(peer.chain, [CA.root_der], at=datetime.now(UTC))
    for chain in (peer.chain, ()):
        with pytest.raises(TlsRefusedError):
            check_chain(chain, [OTHER_CA.root_der], at=datetime.now(UTC))


END = "-----END CERTIFICATE-----\n"


def test_the_certificate_is_chosen_by_the_name_that_the_client_asks_for() -> None:
    names = ("one.example", "*.two.example", "three.example")
    context = server_context([tls_certificate(CA, name) for name in names])
    shown = {
        name: _presented(context, name)
        for name in ("one.example", "a.two.example", "three.example")
    }
    assert len(set(shown.values())) == 3
    with pytest.raises(ssl.SSLCertVerificationError):
        _presented(context, "four.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        _presented(context, "a.b.two.example")


def _presented(server: ssl.SSLContext, name: str) -> bytes:
    """The certificate that a client of a name gets: a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = client_context([CA.root_der]).wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(5):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return peer_chain(here)[0]


def test_private_keys_are_loaded_from_memory_alone() -> None:
    folder = Path("/proc/self/fd")
    before = set(folder.iterdir())
    server_context([tls_certificate(CA, "one.example") for _ in range(3)])
    gc.collect()
    left = [_target(each) for each in set(folder.iterdir()) - before]
    assert not [each for each in left if "cordbox-tls" in each]
    broken = replace(tls_certificate(CA, "one.example"), key=b"no key")
    with pytest.raises(TlsRefusedError):
        server_context([broken])
    other = tls_certificate(CA, "one.example")
    with pytest.raises(TlsRefusedError):
        server_context([replace(other, key=tls_certificate(CA, "x").key)])


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def test_strangers_connections_are_bounded_and_members_stay() -> None:
    """The oldest idle stranger goes, never a member; here five strangers are allowed."""
    link, most = Answering(), 5
    with serving(link, CA, strangers_max=most) as (port, _):
        member = connected(port)
        assert posted(member) == (200, ACK)
        link.reply = GatewayReply(status=200, body=b"\x01\x0a" + bytes(34))  # a refusal
        strangers = [connected(port) for _ in range(most + 1)]
        for each in strangers:
            assert posted(each)[0] == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            posted(strangers[0])
        assert posted(member)[0] == 200
        assert posted(strangers[-1])[0] == 200


def test_connections_whose_handshake_fails_leave_nothing() -> None:
    with serving(Answering(), CA) as (port, registry):
        for _ in range(3):
            with pytest.raises(ssl.SSLError):
                posted(connected(port, client_context([OTHER_CA.root_der])))
        assert posted(connected(port)) == (200, ACK)
        assert registry.get_sample_value("cordbox_gateway_connections") == 1


def post(port: int, **changes: Any) -> Post:
    values: dict[str, Any] = {
        "post_id": "1",
        "pair": "p",
        "realm": "r",
        "node": "n",
        "peer": "O=Peer, L=London, C=GB",
        "url": f"https://127.0.0.1:{port}/",
        "tls": IDENTITY,
        "body": HEAD,
        "deadline_ms": 10_000,
        **changes,
    }
    return Post(**values)


def _checked(chain: Any, tls: TlsIdentity) -> None:
    check_chain(chain, tls.trust_roots, at=datetime.now(UTC))


def client(**limits: Any) -> GatewayClient:
    return GatewayClient(
        lambda tls: client_context(tls.trust_roots), _checked, lambda: ClientLimits(**limits)
    )


def test_the_client_uses_connections_again_and_reports_what_fails() -> None:
    link = Answering()

    async def run(port: int) -> list[Any]:
        gateway = client()
        found = [await gateway.post(post(port)) for _ in range(3)]
        assert gateway.connections == 1
        foreign = replace(IDENTITY, trust_roots=(OTHER_CA.root_der,))
        found.append(await gateway.post(post(port, tls=foreign)))
        found.append(await gateway.post(post(port, url=f"https://localhost:{port}/")))
        found.append(await gateway.post(post(port, url="http://127.0.0.1/")))
        found.append(await gateway.post(post(port, url=f"https://127.0.0.1:{port}/other")))
        await gateway.close()
        assert gateway.connections == 0
        return found

    with serving(link, CA) as (port, _):
        found = asyncio.run(run(port))
    assert [each.status for each in found] == [200, 200, 200, None, None, None, 404]
    assert found[0].body == ACK
    assert all(each.failure for each in found if each.status is None)
    assert len({peer.connection for peer in link.peers}) == 1


def test_the_client_opens_four_connections_to_an_endpoint_and_none_to_denied_ones() -> None:
    link = Answering()
    link.hold = threading.Event()

    async def run(port: int) -> list[Any]:
        gateway = client(response_seconds=20.0)
        posts = [asyncio.create_task(gateway.post(post(port))) for _ in range(9)]
        for _ in range(4):
            await asyncio.to_thread(link.entered.acquire)
        assert gateway.connections == 4
        link.hold.set()  # type: ignore[union-attr]
        found = await asyncio.gather(*posts)
        assert gateway.connections == 4
        await gateway.close()
        return found

    with serving(link, CA) as (port, _):
        assert [each.status for each in asyncio.run(run(port))] == [200] * 9

        async def refused() -> Any:
            import ipaddress

            return await client(denied=(ipaddress.ip_network("127.0.0.0/8"),)).post(post(port))

        result = asyncio.run(refused())
    assert result.status is None
    assert "denied network" in result.failure


def test_a_slow_peer_with_many_endpoints_leaves_connections_for_others() -> None:
    """It is asked by many nodes; what it never answers is given up after a minute."""

    async def run(port: int, silent: list[int]) -> Any:
        gateway = client(connections_max=8, response_seconds=60.0)
        slow = [
            asyncio.create_task(gateway.post(post(each, peer="O=Slow", node=str(number))))
            for number, each in enumerate(silent * 4)
        ]
        await asyncio.sleep(0)
        # Its turn comes after theirs.
        found = await gateway.post(post(port))
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        await gateway.close()
        return found

    with ExitStack() as stack:
        port, _ = stack.enter_context(serving(Answering(), CA))
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        found = asyncio.run(run(port, [each.getsockname()[1] for each in listeners]))
    assert (found.status, found.failure) == (200, None)


@pytest.mark.parametrize("mutual", [False, True])
def test_flows_of_two_clusters_talk_through_their_gateways(mutual: bool) -> None:
    """Engines, links, sessions and gateways are real; one cluster loses its memory on the way."""
    group, clock = Group(), SimClock()
    roots = {"client_roots": [CA.root_der], "client": tls_certificate(CA)} if mutual else {}
    a, b = (Cluster(name, group, [who], FLOWS, clock) for name, who in (("a", ALICES), ("b", BOBS)))
    for cluster in (a, b):
        lead_to(cluster, CA)
    with (
        serving(Restarting(a), CA, **roots) as (at_a, _),
        serving(Restarting(b), CA, **roots) as (
            at_b,
            registry,
        ),
    ):
        group.add(ALICES, f"https://127.0.0.1:{at_a}/")
        group.add(BOBS, f"https://127.0.0.1:{at_b}/")
        for request_id in ("r1", "r2"):
            a.network.start(request_id=request_id)
            _work_until(a, b, request_id)
            assert a.network.alice(request_id).result == "done"
            b.restart()
        served = registry.get_sample_value("cordbox_gateway_requests_total", {"status": "200"})
    assert [status.result for status in b.network.bobs()] == ["answered", "answered"]
    assert served
    assert not a.events
    assert not b.events


class Restarting:
    """The present link of a cluster, which may lose its memory."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster.link, name)


def lead_to(cluster: Cluster, ca: DevelopmentCa) -> None:
    """The network's policy names the roots of TLS."""
    identity = cluster.members.identity

    def with_roots(holding: Any) -> Any:
        found = identity(holding)
        return found and replace(found, tls_roots=(ca.root_der,))

    cluster.members.identity = with_roots  # type: ignore[method-assign]


def _work_until(a: Cluster, b: Cluster, request_id: str) -> None:
    changed = threading.Event()
    for cluster in (a, b):
        cluster.store.on_commit(lambda _: changed.set())
    for _ in range(2000):
        changed.clear()
        for cluster in (a, b):
            try:
                cluster.work()
            except StateConflictError:  # an answer that the link before its restart was waiting for
                cluster.restart()
        if a.network.alice(request_id).status.is_final:
            return
        if not changed.wait(0.05):
            clock: SimClock = a.clock
            clock.advance(20)
    raise AssertionError("the flow has not ended")
