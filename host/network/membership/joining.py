"""Whether a node may join its group: its members' policies list it, and nothing has its names."""

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection

from cpi.errors import CpiError
from host.domain.errors import InvalidInputError
from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name
from host.network.membership.directory import find_member
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.parameters import newest_parameters
from host.network.membership.registration import (
    NotaryService,
    static_network,
)
from host.ports.directory import Packages, VirtualNodes
from host.ports.locations import Locations
from host.ports.node_contents import NodeItemInvalidError

_log = structlog.get_logger("cordbox.membership")


class JoinChecks:
    """Reads the stored CPIs and the virtual nodes of this host."""

    def __init__(
        self, packages: Packages, virtual_nodes: VirtualNodes, locations: Locations
    ) -> None:
        self._packages = packages
        self._virtual_nodes = virtual_nodes
        self._locations = locations

    def check_here(self, node: VirtualNode) -> None:
        """Check that the group of a joiner is on this cluster: its nodes leave it all together.

        Raises:
            RegistrationInvalidError: one is elsewhere, or on its way.
        """
        group_id = node.holding.group_id
        for short_hash in self._locations.away():
            other = self._virtual_nodes.get(short_hash)
            if other is not None and other.holding.group_id == group_id:
                raise RegistrationInvalidError(
                    f"static-group-elsewhere: {other.holding.x500_name} of group {group_id} is"
                    f" {self._locations.place(short_hash)} on this cluster, and the members of a"
                    " static group move together."
                )

    def check_listed(self, node: VirtualNode, own: CpiRecord) -> None:
        """Check that the policies of the group's members list a joiner.

        Only CPIs signed by the group's founders count: a CPI that was uploaded by force neither
        admits nor excludes others. While the founders have no node, their newest CPI is used.

        Raises:
            RegistrationInvalidError: one does not.
        """
        group_id, name = node.holding.group_id, node.holding.x500_name
        founders = self._packages.founders(group_id)
        present = [self._packages.get(c) for c in self._virtual_nodes.cpis_of_group(group_id)]
        asked = [c for c in present if c and c.identity.signer_summary_hash == founders]
        asked = (
            asked
            or [
                c
                for c in self._packages.all()
                if c.group_id == group_id and c.identity.signer_summary_hash == founders
            ][-1:]
        )
        for cpi in asked:
            if cpi != own and not _lists(cpi, name):
                raise RegistrationInvalidError(
                    f"member-not-listed: {name} is not in the member list of CPI "
                    f"{cpi.identity.name}, {cpi.identity.version}, "
                    f"{cpi.identity.signer_summary_hash}, which members of group {group_id} have."
                )

    def check_founders_list(self, group_id: str, names: Sequence[MemberX500Name]) -> None:
        """Check that each member of a group that arrives is listed by a CPI of its founders.

        Raises:
            NodeItemInvalidError: one is listed by none.
        """
        founders = self._packages.founders(group_id)
        own = [c for c in self._packages.all() if c.group_id == group_id]
        asked = [c for c in own if c.identity.signer_summary_hash == founders]
        for name in names:
            if not any(_lists(cpi, name) for cpi in asked):
                raise NodeItemInvalidError(
                    f"member-not-listed: {name} is in the member list of no CPI that the founders"
                    f" of group {group_id} have signed"
                )


def check_new(connection: Connection, node: VirtualNode, notary: NotaryService | None) -> None:
    """Check that neither the member nor the notary service of a request exists already.

    Raises:
        RegistrationInvalidError: one does.
    """
    group_id, name = node.holding.group_id, node.holding.x500_name
    if find_member(connection, group_id, str(name)) is not None:
        raise RegistrationInvalidError(
            f"The member {name} has been registered already in group {group_id}."
        )
    if notary is None:
        return
    if notary.name == name or find_member(connection, group_id, str(notary.name)) is not None:
        raise RegistrationInvalidError(
            f"The notary service name {notary.name} is the name of a member."
        )
    newest = newest_parameters(connection, group_id)
    notaries = () if newest is None else newest.parameters.notaries
    if any(n.name == notary.name for n in notaries):
        raise RegistrationInvalidError(
            f"The notary service {notary.name} exists already; services of several notary"
            " nodes are not supported."
        )


def _lists(cpi: CpiRecord, name: MemberX500Name) -> bool:
    """Whether a CPI's static network lists a name; True if its policy cannot be read."""
    try:
        return name in static_network(cpi.group_policy).members
    except (RegistrationInvalidError, InvalidInputError, CpiError):
        _log.exception("group-policy-unreadable", cpi=cpi.file_checksum)
        return True
