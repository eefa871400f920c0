"""The gateway of a process. Only processes that serve it load its HTTP server."""

import ipaddress
from collections.abc import Iterator

from host.adapters.http.admission import Seats
from host.adapters.os.descriptors import descriptor_limit
from host.network.gateway.client import ClientLimits
from host.network.gateway.contexts import GatewayTls, TlsSources
from host.network.gateway.endpoint import Network
from host.network.gateway.gateway import Gateway, GatewayMetrics, GatewayParts
from host.network.gateway.limits import ADDRESS_MAX, CONNECTIONS_MAX
from host.network.gateway.server import GatewayLimits
from host.ports.live import Derived, Live
from host.runtime.wiring.link_parts import LinkWiring
from host.settings import HostSettings
from host.settings.corda_p2p import CordaP2pGateway
from host.settings.live import LiveConfig
from host.settings.sections import CORDA_P2P_GATEWAY

TLS_SECONDS = 1
"""Changed certificates are in force after this time."""


def start_gateway(parts: LinkWiring) -> None:
    """Serve other gateways at the sockets of the process, and send to them, until it ends."""
    settings = parts.base.settings
    tls = GatewayTls(_tls_sources(parts))
    tls.refresh()
    parts.repeat(tls.refresh, TLS_SECONDS)
    gateway = Gateway(
        GatewayParts(
            link=parts.link_service,
            listeners=parts.base.gateway_sockets,
            server_context=tls.server,
            context_of=tls.client,
            check_chain=tls.check,
            clock=parts.base.clock,
            metrics=GatewayMetrics(parts.base.registry),
            limits=gateway_limits(parts.config).get,
            client_limits=client_limits(parts.config, settings).get,
            seats=Seats.within(
                descriptor_limit(), total_max=CONNECTIONS_MAX, address_max=ADDRESS_MAX
            ),
            has_address_limits=settings.p2p_address_limits,
        )
    )
    parts.base.stack.callback(gateway.stop)
    gateway.start()


def _tls_sources(parts: LinkWiring) -> TlsSources:
    gateway = parts.config.section(CORDA_P2P_GATEWAY)
    return TlsSources(
        hosted=parts.hosted,
        certificates=parts.certificates,
        keys=parts.keys,
        public_keys=parts.public_keys,
        clock=parts.base.clock,
        client_roots=lambda: tuple(set(_client_roots(parts))),
        revoked=parts.tls_revoked,
        is_mutual=lambda: gateway.get().ssl_config_tls_type == "MUTUAL",
    )


def _client_roots(parts: LinkWiring) -> Iterator[bytes]:
    for each in parts.hosted.all():
        node = parts.nodes.get(each.short_hash)
        own = None if node is None else parts.link_members.identity(node.holding)
        yield from () if own is None else own.tls_roots


def gateway_limits(config: LiveConfig) -> Live[GatewayLimits]:
    """What the gateway takes."""
    return Derived(
        lambda corda: GatewayLimits(request_bytes_max=corda.max_request_size),
        config.section(CORDA_P2P_GATEWAY),
    )


def client_limits(config: LiveConfig, settings: HostSettings) -> Live[ClientLimits]:
    """How the gateway connects to others."""
    denied: tuple[Network, ...] = tuple(map(ipaddress.ip_network, settings.p2p_deny_networks))

    def limits(corda: CordaP2pGateway) -> ClientLimits:
        return ClientLimits(
            connections_max=corda.connection_config_max_client_connections,
            acquire_seconds=corda.connection_config_acquire_timeout,
            idle_seconds=corda.connection_config_connection_idle_timeout,
            response_seconds=corda.connection_config_response_timeout / 1000,
            denied=denied,
        )

    return Derived(limits, config.section(CORDA_P2P_GATEWAY))
