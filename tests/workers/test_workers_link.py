"""The link in a process of its own: what the gateway's process calls over the local socket."""

from host.ports.link import GatewayReply, Post, PostResult, TlsIdentity, TlsPeer
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import LINK

KEY = b"k" * 32
FRAMES = bytes(range(256)) * 64
POST = Post(
    post_id="p/1",
    pair="ab" * 16,
    realm="cd" * 32,
    node="0123456789AB",
    peer="O=Bob, L=London, C=GB",
    url="https://b.test:8080",
    tls=TlsIdentity(tls_tenant="cluster", tls_alias=None, trust_roots=(b"\x30\x00",)),
    body=FRAMES,
    deadline_ms=5_000,
)


class Told:
    """A link that answers with what it was given, and remembers it."""

    def __init__(self):
        self.heard = []

    def receive(self, frames, peer):
        self.heard.append(peer)
        return GatewayReply(status=200, body=frames)

    def body_limit(self, head):
        return len(head)

    def take(self, wait_ms, posts_max):
        return [POST][:posts_max]

    def done(self, results):
        self.heard += results


def test_frames_posts_and_results_arrive_as_they_were(tmp_path):
    told = Told()
    server = RpcServer(tmp_path / "link-0.sock", KEY, [Service(LINK, told)])
    server.start()
    client = RpcClient(tmp_path, "link-*", KEY)
    try:
        link = client.proxy(LINK)
        peer = TlsPeer(address="10.0.0.1", chain=(b"\x30\x01\xff",), connection="c")
        assert link.receive(FRAMES, peer) == GatewayReply(status=200, body=FRAMES)
        assert link.body_limit(FRAMES[:36]) == 36
        assert list(link.take(0, 1)) == [POST]
        result = PostResult(post_id="p/1", status=200, body=FRAMES)
        link.done([result, PostResult(post_id="p/2", status=None, failure="lost")])
        assert told.heard[:2] == [peer, result]
        assert told.heard[2].failure == "lost"
    finally:
        client.close()
        assert server.stop(5)
