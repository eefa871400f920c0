"""Corda's sections of connections between clusters, with the keys that apply here. Pure.

Defaults and limits are Corda's, unless ours are narrower for a reason given in the key's meaning.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.kinds import INT_MAX, MILLIS_MAX
from host.settings.section import CordaKey

RevocationCheck = Literal["OFF", "SOFT_FAIL", "HARD_FAIL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaP2pGateway:
    """Section `corda.p2p.gateway`: HTTPS between clusters."""

    ssl_config_tls_type: Annotated[
        Literal["ONE_WAY", "MUTUAL"],
        CordaKey("sslConfig.tlsType"),
        Meta(
            description="Whether gateways demand a certificate of clients; the same on all clusters"
            " of a network, as its group policy says."
        ),
    ] = "ONE_WAY"
    ssl_config_revocation_check_mode: Annotated[
        RevocationCheck,
        CordaKey("sslConfig.revocationCheck.mode"),
        Meta(
            description="Whether TLS certificates of other gateways are checked by OCSP or a"
            " CRL, over http, and refused if they were revoked: SOFT_FAIL takes those whose state"
            " cannot be had, HARD_FAIL refuses them, OFF asks nobody."
        ),
    ] = "SOFT_FAIL"
    max_request_size: Annotated[
        int,
        CordaKey("maxRequestSize"),
        Meta(
            ge=10_000_000,
            le=INT_MAX,
            description="Bytes of one request of another gateway, at most; its frames have"
            " narrower limits.",
        ),
    ] = 500_000_000
    connection_config_max_client_connections: Annotated[
        int,
        CordaKey("connectionConfig.maxClientConnections"),
        Meta(
            ge=1,
            le=10_000,
            description="Connections to other gateways, at most; one peer's requests have at most a"
            " fifth of them under way, one node's a third, one group's half.",
        ),
    ] = 100
    connection_config_acquire_timeout: Annotated[
        int,
        CordaKey("connectionConfig.acquireTimeout"),
        Meta(ge=1, le=3000, description="Seconds that a request waits for a free connection."),
    ] = 10
    connection_config_connection_idle_timeout: Annotated[
        int,
        CordaKey("connectionConfig.connectionIdleTimeout"),
        Meta(ge=1, le=3000, description="Seconds after which an unused connection is closed."),
    ] = 60
    connection_config_response_timeout: Annotated[
        int,
        CordaKey("connectionConfig.responseTimeout"),
        Meta(ge=100, le=10_000, description="Milliseconds in which a gateway answers a request."),
    ] = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaP2pLinkManager:
    """Section `corda.p2p.linkManager`: sessions between members of different clusters."""

    revocation_check_mode: Annotated[
        RevocationCheck,
        CordaKey("revocationCheck.mode"),
        Meta(
            description="Whether members' session certificates are checked by OCSP or a"
            " CRL, over http, and refused if they were revoked: SOFT_FAIL takes those whose state"
            " cannot be had, HARD_FAIL refuses them, OFF asks nobody."
        ),
    ] = "SOFT_FAIL"
    max_message_size: Annotated[
        int,
        CordaKey("maxMessageSize"),
        Meta(
            ge=10_000,
            le=4_000_000,
            description="Bytes of the largest message that is taken from another cluster; a session"
            " agrees on the smaller of both sides'. The minimum is the protocol's.",
        ),
    ] = 1_000_000
    base_replay_period: Annotated[
        int,
        CordaKey("replayAlgorithm.exponentialBackoff.baseReplayPeriod"),
        Meta(
            ge=500,
            le=MILLIS_MAX,
            description="Milliseconds until a request is repeated that was not answered; doubled"
            " with each failure.",
        ),
    ] = 2000
    replay_period_cutoff: Annotated[
        int,
        CordaKey("replayAlgorithm.exponentialBackoff.replayPeriodCutoff"),
        Meta(
            ge=500,
            le=MILLIS_MAX,
            description="Milliseconds between two repetitions at most, in the first ten minutes.",
        ),
    ] = 10_000
    max_replaying_messages: Annotated[
        int,
        CordaKey("maxReplayingMessages"),
        Meta(
            ge=1,
            le=1000,
            description="Messages of one pair of members that are sent before the first is"
            " acknowledged, at most. The maximum is what a receiver keeps apart.",
        ),
    ] = 100
    heartbeat_enabled: Annotated[
        bool,
        CordaKey("heartbeatEnabled"),
        Meta(
            description="Whether a peer without room for messages is asked for it in the period"
            " below; otherwise once a minute."
        ),
    ] = True
    heartbeat_message_period: Annotated[
        int,
        CordaKey("heartbeatMessagePeriod"),
        Meta(
            ge=500,
            le=MILLIS_MAX,
            description="Milliseconds between two questions to a peer without room.",
        ),
    ] = 2000
    session_timeout: Annotated[
        int,
        CordaKey("sessionTimeout"),
        Meta(
            ge=500,
            le=MILLIS_MAX,
            description="Milliseconds without an acknowledgement after which another session is"
            " negotiated.",
        ),
    ] = 60_000
    session_refresh_threshold: Annotated[
        int,
        CordaKey("sessionRefreshThreshold"),
        Meta(
            ge=1,
            le=432_000,
            description="Seconds after its beginning from which a session is replaced.",
        ),
    ] = 432_000

    def __post_init__(self) -> None:
        if self.base_replay_period > self.replay_period_cutoff:
            raise SettingsInvalidError(
                "replayAlgorithm.exponentialBackoff.baseReplayPeriod:"
                f" {self.base_replay_period} is above replayPeriodCutoff,"
                f" {self.replay_period_cutoff}"
            )
