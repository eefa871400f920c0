"""How a virtual node reaches the members of its network: routes, sessions, queues, and pings."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from host.domain.errors import UnavailableError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.x500 import MemberX500Name


class PeerRoute(StrEnum):
    """Where a member is, as one virtual node of this cluster sees it."""

    HERE = "HERE"
    LINK = "LINK"
    HOLD = "HOLD"
    REFUSED = "REFUSED"


class PingFailedError(UnavailableError):
    """A member did not answer a ping, or too many pings are under way."""

    code = "ping-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A URL at which a member's gateway is, and the requests in a row that failed there."""

    url: str
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPeer:
    """A member, and what is between a virtual node of this cluster and it.

    Attributes:
        reason: why the route is REFUSED.
        outbound, inbound: sessions.
        expires_at: of the outbound session.
        queued, queued_bytes: messages that the member has not acknowledged, as of `as_of`.
        oldest_at: when the oldest of them was written.
        next_at: when a member that does not answer is tried again.
        credit: messages that the member takes now; None if nothing waits for it.
        error: why the latest request was in vain; empty: the member answers, or was not asked.
        as_of: when the process that sends to the member told this; None: there was nothing to tell.
    """

    name: MemberX500Name
    route: PeerRoute
    reason: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    outbound: int = 0
    inbound: int = 0
    expires_at: EpochMs | None = None
    queued: int = 0
    queued_bytes: int = 0
    oldest_at: EpochMs | None = None
    next_at: EpochMs | None = None
    credit: int | None = None
    error: str = ""
    as_of: EpochMs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """The answer to a ping.

    Attributes:
        milliseconds: until the answer was verified here.
        list_version: of the member list that the member has.
        software: as the member's cluster names it; text of a stranger.
    """

    milliseconds: int
    list_version: int
    software: str


class NetworkPeers(Protocol):
    """Thread-safe."""

    def peers(
        self, viewer: HoldingIdentity, names: Sequence[MemberX500Name]
    ) -> Sequence[NetworkPeer]:
        """What is between a virtual node of this cluster and members, in the order of `names`.

        Raises:
            StorageError: what is stored cannot be read.
        """
        ...

    def ping(self, viewer: HoldingIdentity, name: MemberX500Name) -> Pong:
        """Have a member's link answer, in the session that the node has with it or a new one.

        Raises:
            NotFoundError: the node sees no such member.
            ConflictError: the node may not talk with the member.
            PingFailedError: the member did not answer in 10 s, or too many pings are under way.
            StorageError: the ping cannot be stored.
        """
        ...
