"""Nodes of dynamic networks as viewers: the group of each, and what it sees of it."""

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from host.database.revision_cache import RevisionCache
from host.domain.errors import HostError
from host.domain.ids import HoldingIdentity, ShortHash
from host.network.membership import group_store
from host.network.membership.network_access import NetworkAccess, NodeGroup, group_of_node
from host.network.membership.views import View, view_of
from host.network.values.member import SignedMember

_log = structlog.get_logger("cordbox.membership")


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A node of a dynamic network; `view` is None before it has registered."""

    group: NodeGroup
    view: View | None
    head_hash: bytes

    @property
    def name(self) -> str:
        return str(self.group.holding.x500_name)

    @property
    def version(self) -> int:
        """The version of the list that it sees."""
        return 0 if self.view is None else self.view.version

    @property
    def is_restricted(self) -> bool:
        """Whether it is suspended: then it sees itself and the MGM alone."""
        return self.view is not None and self.view.own_digest is not None

    def member(self, connection: Connection, name: str) -> SignedMember | None:
        """A member of any status, if the viewer sees it."""
        realm = self.group.signer.realm
        if self.view is not None and self.view.own_digest is not None:
            if name == self.name:  # suspended: what the MGM has told it alone
                digest = bytes.fromhex(self.view.own_digest)
                return group_store.members_of(connection, realm, [digest]).get(digest)
            if name != str(self.group.mgm.x500_name):
                return None
        return group_store.member_at(connection, realm, name, self.version)


class Viewers:
    """The viewers of this cluster. Thread-safe; remembered in memory."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access
        self._viewers = RevisionCache(access.database, self._read)

    def of(self, holding: HoldingIdentity) -> Viewer | None:
        """An identity's node; None if there is none, or it belongs to no dynamic network."""
        found = self._viewers.get(holding.short_hash)
        return found if found is not None and found.group.holding == holding else None

    def of_hash(self, short_hash: ShortHash) -> Viewer | None:
        """The node with a short hash."""
        return self._viewers.get(short_hash)

    def _read(self, short_hash: ShortHash) -> Viewer | None:
        node = self._access.virtual_nodes.get(short_hash)
        if node is None:
            return None
        try:
            group = group_of_node(self._access, node)
        except HostError as exc:
            _log.warning("network-policy-unusable", node=short_hash, reason=exc.message)
            return None
        if group is None:
            return None
        with self._access.database.read() as connection:
            view = view_of(connection, short_hash)
            version = 0 if view is None else view.version
            head = group_store.head_hash(connection, group.signer.realm, version)
        return Viewer(group=group, view=view, head_hash=head)
