"""Routes of networks with several clusters: to a node here, over a link, or refused."""

from dataclasses import dataclass

from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.membership import MemberStatus
from host.network.link.members import LinkMembers, LinkPeer, admits
from host.network.values.p2p_out import Filter
from host.network.values.pair import pair_of
from host.ports.locations import ALL_HERE, Locations, Place
from host.ports.routes import Here, Hold, Link, Refused, Route, RouteCode, Routes

HOLD_MS = 3_000
"""For how long a sender waits before it asks again whether a node takes messages of flows."""


@dataclass(frozen=True, slots=True)
class NetworkRoutes:
    """`host.ports.routes.Routes` for dynamic networks; `local` answers for static ones."""

    members: LinkMembers
    local: Routes
    locations: Locations = ALL_HERE

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        return self.route_of(source, target, Filter.ACTIVE)

    def route_of(
        self,
        source: HoldingIdentity,
        target: HoldingIdentity,
        wanted: Filter,
        *,
        is_for_other: bool = False,
    ) -> Route:
        """The route to a member of a status that `wanted` admits.

        `is_for_other` leaves out its copy here: a copy elsewhere is meant, which claims its place.
        """
        own = self.members.identity(source)
        if own is None:
            return self._without_setup(source, target)
        peer = self._peer(source, target)
        refused = _refused(peer, target, wanted, is_with_mgm=own.is_mgm)
        if refused is not None or peer is None:
            return refused or _unknown(target)
        pair = pair_of(source, target)
        here = self.members.identity(target)
        if is_for_other or here is None or not _is_same(here.keys, peer):
            return Link(pair)
        place = self.locations.place(target.short_hash)
        if not place.is_held:
            return Here(target.short_hash)
        is_left = place in {Place.EXPORTED, Place.RECLAIMING}
        return Hold(pair) if is_left else Link(pair)

    def holds(self, target: HoldingIdentity) -> bool:
        """Whether a node here takes no messages of flows now, because it leaves or arrives."""
        return self.locations.place(target.short_hash).is_held

    def is_frozen(self, node: ShortHash) -> bool:
        """Whether nothing that a node here has sent may be touched: its file is being written."""
        return self.locations.place(node).is_frozen

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        refused = self.admits(source, target) or self._not_yet(source, target)
        return refused or self.local.accepts(source, target)

    def admits(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        """Why `target`, here, takes nothing at all of `source`, by the status that it sees."""
        own = self.members.identity(target)
        if own is None:
            if self.members.is_dynamic(target):
                return _no_setup(target)
            return self.local.accepts(source, target)
        peer = self._peer(target, source)
        if peer is None:
            return _unknown(source)
        is_active = peer.status is MemberStatus.ACTIVE
        return None if is_active or own.is_mgm or peer.is_mgm else _suspended(source)

    def _without_setup(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        """The route in a static network; in a dynamic one, a node meets nobody without a setup."""
        if self.members.is_dynamic(source):
            return _no_setup(source)
        return self.local.route(source, target)

    def _not_yet(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        """Why an MGM takes no flow messages of an applicant, which it knows to speak with it."""
        if self.members.identity(target) is None:
            return None
        peer = self._peer(target, source)
        is_pending = peer is not None and peer.status is MemberStatus.PENDING
        return _unknown(source) if is_pending else None

    def _peer(self, viewer: HoldingIdentity, other: HoldingIdentity) -> LinkPeer | None:
        if viewer.group_id != other.group_id:
            return None
        return self.members.peer(viewer, other.x500_name)


def _refused(
    peer: LinkPeer | None, target: HoldingIdentity, wanted: Filter, *, is_with_mgm: bool
) -> Refused | None:
    if peer is None:
        return _unknown(target)
    if peer.is_mgm or admits(peer.status, wanted):
        return None
    if peer.status is MemberStatus.PENDING and not is_with_mgm:
        return _unknown(target)
    return _suspended(target)


def _is_same(keys: tuple[object, ...], peer: LinkPeer) -> bool:
    """Whether the node here is the member: another cluster may hold a node of that name."""
    return any(key in keys for key in peer.keys)


def _no_setup(holding: HoldingIdentity) -> Refused:
    return Refused(RouteCode.UNKNOWN, f"{holding.x500_name} has no network setup")


def _unknown(target: HoldingIdentity) -> Refused:
    return Refused(RouteCode.UNKNOWN, f"{target.x500_name} is no member of group {target.group_id}")


def _suspended(target: HoldingIdentity) -> Refused:
    return Refused(RouteCode.SUSPENDED, f"{target.x500_name} is suspended")
