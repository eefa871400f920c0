"""The link between clusters, as its gateway sees it.

The gateway calls the link, the link never calls the gateway: so neither waits for the other. Bodies
of requests and of answers are rows of frames (docs/reference/link-protocol.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CONTENT_TYPE = "application/x-cordbox-link"
"""Of the bodies of requests and answers."""
HEADER_BYTES = 36
"""Length of a frame's header, which says how long its body is and who may read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPeer:
    """Who speaks at the other end of a TLS connection, as the gateway knows it.

    Attributes:
        address: IP address.
        chain: certificates that the peer presented, as DER, its own first; empty without one. The
            peer proved that it has the first one's key. Nothing else was checked for a group.
        connection: names the connection; the halves of one handshake arrive on the same one.
    """

    address: str
    chain: tuple[bytes, ...] = ()
    connection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReply:
    """Answer to one POST: an HTTP status, and frames.

    Attributes:
        status: 200, 400 (unreadable frames), 413, 429 (beyond a rate) or 503 (busy).
        body: frames; empty unless `status` is 200.
    """

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """What a client's TLS context is made of.

    Attributes:
        tls_tenant: tenant of the certificate and the key.
        tls_alias: alias of the client certificate; None presents none (one-way TLS).
        trust_roots: certificates that the server's chain must lead to, as DER; those of the
            network, never the system's.
    """

    tls_tenant: str
    tls_alias: str | None
    trust_roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request that the gateway sends.

    Attributes:
        post_id: names it in its result.
        pair: of source and target, `host.network.values.pair`.
        realm: of the frames, 64 lower-case hexadecimal digits.
        node: short hash of the source.
        peer: X.500 name of the target.
        url: endpoint of the peer's gateway.
        body: frames.
        deadline_ms: how long it may take, in milliseconds from `take` on.
    """

    post_id: str
    pair: str
    realm: str
    node: str
    peer: str
    url: str
    tls: TlsIdentity
    body: bytes
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostResult:
    """What became of a request.

    Attributes:
        status: of the HTTP answer; None if there was none.
        body: of the answer, if `status` is 200.
        failure: why there was no answer, for logs.
    """

    post_id: str
    status: int | None
    body: bytes = b""
    failure: str | None = None


class LinkService(Protocol):
    """Thread-safe. Its methods may block on the store and on the key store."""

    def receive(self, frames: bytes, peer: TlsPeer) -> GatewayReply:
        """Process the body of one request; what it acknowledges is durable when it returns."""
        ...

    def body_limit(self, head: bytes) -> int:
        """How many bytes the body may have, by its first `HEADER_BYTES` bytes; 0 refuses it.

        Args:
            head: the first bytes of the body, fewer only if the body is shorter.
        """
        ...

    def take(self, wait_ms: int, posts_max: int) -> Sequence[Post]:
        """Requests to send now; waits at most `wait_ms` for the first one. Each is given once."""
        ...

    def done(self, results: Sequence[PostResult]) -> None:
        """Report the results of requests; those without one count as unanswered at the deadline."""
        ...
