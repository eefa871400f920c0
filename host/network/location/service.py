"""Moves of virtual nodes between clusters, as REST calls them."""

from host.domain.ids import ShortHash
from host.network.location.arriving import ArrivingNodes
from host.network.location.groups import StaticGroups
from host.network.location.leaving import LeavingNodes
from host.network.location.looking import PlaceWatch
from host.network.location.parts import MoveParts
from host.network.location.places import Location
from host.network.location.runs import TransferRuns
from host.network.location.transfers import Transfer
from host.network.membership.relocation import Listed
from host.ports.locations import Place


class NodeMoves:
    """Thread-safe.

    Attributes:
        leaving: what is done at a node's source.
        arriving: what is done at its target.
        groups: what is done with static groups, at both.
        runs: exports and imports at work.
        watch: sees what the MGMs say.
    """

    def __init__(self, parts: MoveParts) -> None:
        self._parts = parts
        self.runs = TransferRuns(parts)
        self.watch = PlaceWatch(parts)
        self.leaving = LeavingNodes(parts, self.runs)
        self.arriving = ArrivingNodes(parts, self.runs)
        self.groups = StaticGroups(parts, self.runs)

    def transfer(self, request_id: str) -> Transfer:
        """An export or import.

        Raises:
            NotFoundError: there is none.
        """
        return self._parts.transfers.get(request_id)

    def place(self, short_hash: ShortHash) -> Place:
        """Where a node is; `HERE` of one that is not known."""
        return self._parts.places.place(short_hash)

    def location(self, short_hash: ShortHash) -> Location | None:
        """Where a node is; None if it never moved.

        Raises:
            NotFoundError: no such node.
        """
        self._parts.node(short_hash)
        return self._parts.places.location(short_hash)

    def listed(self, short_hash: ShortHash) -> Listed | None:
        """Where the list of members that a node has says that it is."""
        self._parts.node(short_hash)
        return self._parts.claims.listed(short_hash)
