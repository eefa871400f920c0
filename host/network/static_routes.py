"""Routes of nodes that no link knows: those of static networks alone."""

from dataclasses import dataclass

from host.domain.ids import HoldingIdentity
from host.network.membership.viewers import Viewers
from host.ports.routes import Refused, Route, RouteCode, Routes


@dataclass(frozen=True, slots=True)
class StaticRoutes:
    """`Routes` of `local`, but for nodes of dynamic networks that are not set up for theirs.

    All members of a static network see each other; in a dynamic one the member list decides.
    """

    local: Routes
    viewers: Viewers

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        if self.viewers.of(source) is not None:
            return Refused(RouteCode.UNKNOWN, f"{source.x500_name} is not set up for its network")
        return self.local.route(source, target)

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        return self.local.accepts(source, target)
