"""Networks of several clusters: routes, the link, and its thread.

Nothing of it is built on a host without `gateway_listen`, nor loaded: what is imported here is
imported where it is built. `gateway_parts` has the gateway.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from host.domain.platform import SOFTWARE_VERSION
from host.flow.engine.local_routes import LocalRoutes
from host.network.link.limits import LinkLimits
from host.network.static_routes import StaticRoutes
from host.ports.link import LinkService
from host.ports.live import Derived, Live
from host.ports.network_peers import NetworkPeers
from host.ports.routes import Routes
from host.runtime.wiring import services
from host.runtime.wiring.network_parts import NetworkParts
from host.settings.corda_p2p import CordaP2pLinkManager
from host.settings.live import LiveConfig
from host.settings.sections import CORDA_P2P_LINK_MANAGER

if TYPE_CHECKING:
    from host.network.link.routes import NetworkRoutes
    from host.network.link.service import Link
    from host.observe.link_observer import LinkObserver

_ASK_SELDOM_MS = 60_000


class LinkWiring(NetworkParts):
    """The routes of flows, and what carries their messages between clusters."""

    @property
    def has_links(self) -> bool:
        """Whether this host meets members on other clusters."""
        return bool(self.base.settings.gateway_listen)

    @cached_property
    def routes(self) -> Routes:
        """Where the members of a node's group are."""
        return self.network_routes if self.has_links else self._local_routes

    @cached_property
    def network_routes(self) -> "NetworkRoutes":
        from host.network.link.routes import NetworkRoutes  # noqa: PLC0415  # see above

        return NetworkRoutes(self.link_members, self._local_routes, self.places)

    @property
    def _local_routes(self) -> Routes:
        return StaticRoutes(LocalRoutes(self.nodes), self.viewers)

    @cached_property
    def network_peers(self) -> NetworkPeers:
        """How the nodes of this cluster reach their members; asked of any process of it."""
        from host.network.peers import NetworkPeersOf  # noqa: PLC0415  # see above

        return NetworkPeersOf(
            members=self.link_members,
            routes=self.routes,
            store=self.store,
            clock=self.base.clock,
            entropy=self.base.entropy,
        )

    @cached_property
    def link_observer(self) -> "LinkObserver":
        from host.observe.link_observer import LinkObserver  # noqa: PLC0415  # see above

        return LinkObserver(self.base.registry, self.base.clock)

    @cached_property
    def link_service(self) -> LinkService:
        """The link as the gateway calls it."""
        return self._service(services.LINK, lambda: self.link)

    @cached_property
    def link(self) -> "Link":
        """The link of this process."""
        from host.network.link.service import Link, LinkParts  # noqa: PLC0415  # see above

        return Link(
            LinkParts(
                store=self.store,
                members=self.link_members,
                routes=self.network_routes,
                keys=self.keys,
                public_keys=self.public_keys,
                quotas=self.quotas,
                clock=self.base.clock,
                entropy=self.base.entropy,
                software=f"cordbox {SOFTWARE_VERSION}",
                events=self.link_observer,
                limits=link_limits(self.config).get,
            )
        )

    def start_link(self, member: str) -> None:
        """Run the link's thread until the parts of the process are closed.

        Args:
            member: its name in the group of links, never used before.
        """
        from host.network.group_thread import GroupThread  # noqa: PLC0415  # see above
        from host.network.link.workers import LINKS  # noqa: PLC0415  # see above
        from host.observe.network_metrics import LinkCollector  # noqa: PLC0415  # see above

        workers = GroupThread(
            LINKS,
            work=self.link,
            store=self.store,
            clock=self.base.clock,
            member=member,
            failed=self.link_observer.failed,
        )
        self.base.registry.register(LinkCollector(self.link.figures, self.base.clock))
        self.base.stack.callback(workers.stop)
        workers.start()


def link_limits(config: LiveConfig) -> Live[LinkLimits]:
    """The values of the link in force."""
    return Derived(_link_limits, config.section(CORDA_P2P_LINK_MANAGER))


def _link_limits(corda: CordaP2pLinkManager) -> LinkLimits:
    return LinkLimits(
        message_bytes_max=corda.max_message_size,
        first_ms=corda.base_replay_period,
        later_ms=corda.replay_period_cutoff,
        unacknowledged_max=corda.max_replaying_messages,
        ask_ms=corda.heartbeat_message_period if corda.heartbeat_enabled else _ASK_SELDOM_MS,
        session_timeout_ms=corda.session_timeout,
        refresh_ms=corda.session_refresh_threshold * 1000,
    )
