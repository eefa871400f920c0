"""The routes of a cluster without links: members without a virtual node here are unknown."""

from dataclasses import dataclass

from host.domain.ids import HoldingIdentity
from host.domain.vnode import OperationalStatus
from host.ports.directory import VirtualNodes
from host.ports.routes import Here, Refused, Route, RouteCode


@dataclass(frozen=True, slots=True)
class LocalRoutes:
    """`host.ports.routes.Routes` over the virtual nodes."""

    vnodes: VirtualNodes

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        del source  # all members of a group see each other
        found = self.vnodes.find(target)
        return _unknown(target) if found is None else Here(found.holding.short_hash)

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        del source
        found = self.vnodes.find(target)
        if found is None:
            return _unknown(target)
        if found.flow_p2p_status is OperationalStatus.INACTIVE:
            return Refused(RouteCode.INACTIVE, f"{target.x500_name} takes no session messages")
        return None


def _unknown(target: HoldingIdentity) -> Refused:
    return Refused(
        RouteCode.UNKNOWN,
        f"{target.x500_name} has no virtual node in group {target.group_id}",
    )
