"""The Network resource: how virtual nodes meet members of other clusters, and how they fare."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Depends, Request, Response

from host.domain.ids import EpochMs, parse_short_hash
from host.domain.paging import Cursor
from host.domain.x500 import MemberX500Name
from host.ports.hosted import NetworkSetup, SessionKey
from host.ports.network_peers import NetworkPeer
from host.rest.members import MemberFilter, found_members, member_filter
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed
from host.rest.parameters import MemberName, NodeHash
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Network")


@wire
class HostedIdentitySessionKeyAndCertificate:
    preferred: bool
    session_key_id: str
    session_certificate_chain_alias: str | None = None


@wire
class HostedIdentitySetupRequest:
    p2p_tls_certificate_chain_alias: str
    session_keys_and_certificates: list[HostedIdentitySessionKeyAndCertificate]
    use_cluster_level_tls_certificate_and_key: bool | None = None


@router.put("/network/setup/{holdingidentityshorthash}", status_code=HTTPStatus.NO_CONTENT)
def put_setup(
    holdingidentityshorthash: NodeHash,
    request: Annotated[HostedIdentitySetupRequest, Body(alias="hostedIdentitySetupRequest")],
    services: Services,
) -> None:
    """Set the TLS certificate and the session keys of a virtual node in its network."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    services.hosted.setup(
        node,
        NetworkSetup(
            tls_alias=request.p2p_tls_certificate_chain_alias,
            uses_cluster_tls=request.use_cluster_level_tls_certificate_and_key is not False,
            session_keys=tuple(_key(each) for each in request.session_keys_and_certificates),
        ),
    )


@wire
class ExpiringCertificateInfo:
    usage: str
    alias: str
    subject: str
    not_after: datetime


@wire
class NetworkHealthInfo:
    """What the operator of a node should look at.

    `certificates` are those of the node's network setup that have ended or end in 30 days;
    `list_version` is null before the node is a member; with `fork_timestamp` the MGM signed two
    lists for one version.
    """

    holding_identity_short_hash: str
    is_set_up: bool
    certificates: list[ExpiringCertificateInfo]
    list_version: int | None
    list_timestamp: datetime | None
    list_age_seconds: int | None
    fork_timestamp: datetime | None


@router.get("/network/{holdingidentityshorthash}/health")
def get_health(holdingidentityshorthash: NodeHash, services: Services) -> NetworkHealthInfo:
    """Tell of certificates that end soon, of the age of the member list, and of a fork of it."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    found, now = services.network_health.health(node), services.clock.now_ms()
    synced, fork = found.synced_at, found.fork_at
    return NetworkHealthInfo(
        holding_identity_short_hash=node,
        is_set_up=found.is_set_up,
        certificates=[
            ExpiringCertificateInfo(
                usage=each.usage,
                alias=each.alias,
                subject=each.subject,
                not_after=instant(each.not_after),
            )
            for each in found.expiring
        ],
        list_version=found.list_version,
        list_timestamp=None if synced is None else instant(synced),
        list_age_seconds=None if synced is None else max(now - synced, 0) // 1000,
        fork_timestamp=None if fork is None else instant(fork),
    )


@wire
class PeerEndpointInfo:
    """`failures` counts the requests in a row that failed there."""

    url: str
    failures: int


@wire
class PeerSessionsInfo:
    """Sessions over which the node sends to the peer, and the peer to the node."""

    outbound: int
    inbound: int
    expire_at: datetime | None


@wire
class NetworkPeerInfo:
    """What is between a virtual node and a member of its network.

    `route` is HERE (a node of this cluster), LINK, HOLD, or REFUSED for a `reason`. Of messages
    that the peer has not acknowledged, and of failures, the process that sends to it tells every
    2 s: `as_of` is null if there are none. `credit` is how many messages the peer takes now.
    """

    x500_name: str
    route: str
    reason: str | None
    endpoints: list[PeerEndpointInfo]
    sessions: PeerSessionsInfo
    queued: int
    queued_bytes: int
    oldest_at: datetime | None
    next_try_at: datetime | None
    credit: int | None
    last_error: str | None
    as_of: datetime | None


@wire
class NetworkPeerInfoList:
    peers: list[NetworkPeerInfo]


@wire
class PingRequest:
    """`x500_name` is the member's."""

    x500_name: Annotated[str, MemberName]


@wire
class PingResponse:
    """`milliseconds` passed until the answer was verified; 0 for a node of this cluster."""

    milliseconds: int
    list_version: int
    software_version: str


_PEER_JSON = as_json(NetworkPeerInfo)


@router.get(
    "/network/{holdingidentityshorthash}/peers",
    response_model=NetworkPeerInfoList,
    responses={200: {"headers": NEXT_HEADERS}},
)
def get_peers(
    *,
    holdingidentityshorthash: NodeHash,
    wanted: Annotated[MemberFilter, Depends(member_filter)],
    services: Services,
    request: Request,
    asked: Asked,
) -> Response:
    """List the members of a node's network: how it reaches them, and what waits to be sent."""
    viewer = services.virtual_node(holdingidentityshorthash).holding

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[NetworkPeer]:
        after = "" if cursor is None else cursor.last[1]
        members = found_members(services, viewer, wanted, after, limit)
        return services.network_peers.peers(viewer, [each.name for each in members])

    page = asked.of(f"peers of {viewer.short_hash}", fetch, lambda peer: (0, str(peer.name)))
    return listed(request, page, lambda peer: _PEER_JSON(_peer(peer)), member="peers")


@router.post("/network/{holdingidentityshorthash}/ping")
def post_ping(
    holdingidentityshorthash: NodeHash,
    request: Annotated[PingRequest, Body(alias="pingRequest")],
    services: Services,
) -> PingResponse:
    """Have the link of a member answer, in a session of the node with it: within 10 seconds."""
    viewer = services.virtual_node(holdingidentityshorthash).holding
    pong = services.network_peers.ping(viewer, MemberX500Name.parse(request.x500_name))
    return PingResponse(
        milliseconds=pong.milliseconds,
        list_version=pong.list_version,
        software_version=pong.software,
    )


def _peer(found: NetworkPeer) -> NetworkPeerInfo:
    return NetworkPeerInfo(
        x500_name=str(found.name),
        route=found.route.value,
        reason=found.reason or None,
        endpoints=[PeerEndpointInfo(url=e.url, failures=e.failures) for e in found.endpoints],
        sessions=PeerSessionsInfo(
            outbound=found.outbound, inbound=found.inbound, expire_at=_instant(found.expires_at)
        ),
        queued=found.queued,
        queued_bytes=found.queued_bytes,
        oldest_at=_instant(found.oldest_at),
        next_try_at=_instant(found.next_at),
        credit=found.credit,
        last_error=found.error or None,
        as_of=_instant(found.as_of),
    )


def _instant(at: EpochMs | None) -> datetime | None:
    return None if at is None else instant(at)


def _key(given: HostedIdentitySessionKeyAndCertificate) -> SessionKey:
    return SessionKey(
        key_id=parse_short_hash(given.session_key_id),
        certificate_alias=given.session_certificate_chain_alias,
        preferred=given.preferred,
    )
