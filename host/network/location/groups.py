"""Static groups that move: all their nodes together, for they are each other's network.

No MGM decides where a static group works, so its source does: it gives the group to one cluster,
by compare-and-set, and keeps tombstones; only then the target lets the nodes work. Where
the source cannot be asked, an operator vouches for it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from host.adapters.files.container import Sealer
from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.domain.membership import MemberInfo
from host.domain.vnode import VirtualNode
from host.network.location.claims import ClaimInvalidError
from host.network.location.leaving import CANCELLED, erase_left
from host.network.location.machine import Happened, LocationConflictError
from host.network.location.parts import MoveParts
from host.network.location.places import Location, location_of
from host.network.location.runs import TransferRuns
from host.network.location.signing import NodeCannotLeaveError, signing_key
from host.network.location.staying import take_back
from host.network.membership.group_contents import members_of_group, notaries_of_group
from host.ports.locations import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupExport:
    """Exports of a group's nodes: `requests` by short hash, and what they have in common."""

    export_id: str
    requests: Mapping[ShortHash, str]


class StaticGroups:
    """Thread-safe."""

    def __init__(self, parts: MoveParts, runs: TransferRuns) -> None:
        self._parts = parts
        self._runs = runs

    def nodes(self, group_id: str) -> Sequence[VirtualNode]:
        """The nodes of a static group that are members, or have left or arrive.

        Raises:
            NotFoundError: there is none.
            NodeCannotLeaveError: the group has an MGM.
        """
        parts = self._parts
        with parts.database.read() as connection:
            names = {each.name for each in members_of_group(connection, group_id)}
        of_group = [each for each in parts.nodes.all() if each.holding.group_id == group_id]
        found = [
            each
            for each in of_group
            if each.holding.x500_name in names
            or parts.places.place(each.holding.short_hash) is not Place.HERE
        ]
        if any(parts.claims.is_dynamic(each.holding.short_hash) for each in of_group):
            raise NodeCannotLeaveError(
                f"group {group_id[:64]} has an MGM: its virtual nodes move one by one"
            )
        if not found:
            raise NotFoundError(
                f"No virtual node here is a member of a static group {group_id[:64]}.",
                kind="static group",
                named=group_id,
            )
        return sorted(found, key=lambda each: each.holding.short_hash)

    def export(self, group_id: str, *, recipient: str, identity: str | None = None) -> GroupExport:
        """Pause all nodes of a group, and begin to write a file of each.

        Raises:
            NotFoundError, NodeCannotLeaveError: see `nodes`; or a node has no key.
            LocationConflictError: one is not here.
            OperationInProgressError: an operation on one has not ended.
            ContainerKeyError: `recipient` is none.
        """
        parts = self._parts
        Sealer.to_recipient(recipient, identity)
        nodes = self.nodes(group_id)
        for node in nodes:
            place = parts.places.place(node.holding.short_hash)
            if place is not Place.HERE:
                raise LocationConflictError(
                    f"the group cannot be exported: virtual node {node.holding.short_hash} is"
                    f" {place}"
                )
            signing_key(parts.keys, node.holding)
        leaving = [parts.nodes.leaving(node.holding.short_hash) for node in nodes]
        export_id = parts.new_id()
        requests = {node.holding.short_hash: parts.new_id() for node in nodes}

        def begin(connection: Connection) -> None:
            expected = {node.holding.x500_name for node in nodes}
            if {each.name for each in members_of_group(connection, group_id)} != expected:
                raise LocationConflictError(f"group {group_id} has got a member meanwhile: again")
            for leave in leaving:
                leave(connection)
            for short_hash, request_id in requests.items():
                parts.transfers.add_export(
                    connection, request_id, short_hash, recipient=recipient, identity=identity
                )
                parts.places.change_in(
                    connection,
                    short_hash,
                    Happened.EXPORT,
                    transfer=request_id,
                    epoch=0,
                    location_id=export_id,
                )

        parts.database.transact(begin)
        for request_id in requests.values():
            self._runs.begin(request_id)
        return GroupExport(export_id=export_id, requests=requests)

    def cancel(self, group_id: str, *, is_forced: bool = False) -> None:
        """Take an exported group back: its operator says that no copy of it is used.

        If not all its files were written, nobody has to say so.

        Raises:
            NotFoundError, NodeCannotLeaveError: see `nodes`.
            ClaimInvalidError: `is_forced` is not set.
            LocationConflictError: it was not exported, or was given to another cluster.
        """
        if take_back(self._parts, self._hashes(group_id), CANCELLED):
            return
        if not is_forced:
            raise ClaimInvalidError(
                f"nobody can say whether a copy of group {group_id[:64]} is used elsewhere: it has"
                " no MGM. If none is, force it"
            )
        self._all(group_id, self._change(Happened.FORCED))
        self._let_work(group_id)

    def given(self, group_id: str, *, export_id: str, recipient: str) -> None:
        """Give an exported group to the cluster that has loaded its files, and erase it here.

        From now on it cannot come back. It may be called again, for the same cluster.

        Args:
            group_id: of the group.
            export_id: of the files.
            recipient: the transfer key of that cluster.

        Raises:
            NotFoundError, NodeCannotLeaveError: see `nodes`.
            LocationConflictError: the files are of another export, the group is not exported, or
                was given to another cluster.
        """
        taker = hashlib.sha256(recipient.encode()).hexdigest()[:32]

        def give(connection: Connection, node: ShortHash, found: Location | None) -> None:
            if found is not None and found.place is Place.MOVED:
                if found.location_id != taker:
                    raise LocationConflictError(
                        f"group {group_id} was given to another cluster already"
                    )
                return
            if found is not None and found.location_id != export_id:
                raise LocationConflictError(
                    f"virtual node {node} is of another export than the files that were loaded:"
                    " delete their imports"
                )
            if found is not None and self._parts.transfers.lack_files(connection, [found.transfer]):
                raise LocationConflictError(
                    f"the file of virtual node {node} was never written: nobody can have loaded it"
                )
            self._parts.places.change_in(connection, node, Happened.TAKEN, location_id=taker)

        self._all(group_id, give)
        for short_hash in self._hashes(group_id):
            erase_left(self._parts, short_hash)

    def activate(self, group_id: str, *, is_forced: bool, is_uniqueness_current: bool) -> None:
        """Let an imported group work here, all its nodes at once.

        Args:
            group_id: of the group.
            is_forced: no other copy works: the source has given it to this cluster, or is lost.
            is_uniqueness_current: nothing was notarised after the export: of a group with a notary.

        Raises:
            NotFoundError, NodeCannotLeaveError: see `nodes`.
            ClaimInvalidError: a confirmation is missing.
            LocationConflictError: a node of the group is not imported, or is of another export.
        """
        with self._parts.database.read() as connection:
            members = members_of_group(connection, group_id)
            notaries = notaries_of_group(connection, group_id)
        nodes = self.nodes(group_id)
        if not is_forced:
            raise ClaimInvalidError(
                f"nobody can say whether a copy of group {group_id} works elsewhere: it has no MGM."
                " If its source has given it away, or is lost, say so (unfenced)"
            )
        if notaries and not is_uniqueness_current:
            raise ClaimInvalidError(
                f"group {group_id} has a notary, {notaries[0]}: say that it signed nothing after"
                " the export (uniqueness current)"
            )
        self._check_whole(group_id, members, nodes)
        if any(self._parts.places.place(n.holding.short_hash) is not Place.HERE for n in nodes):
            self._all(group_id, self._change(Happened.FORCED))
        self._let_work(group_id)

    def _check_whole(
        self, group_id: str, members: Sequence[MemberInfo], nodes: Sequence[VirtualNode]
    ) -> None:
        found = {each.holding.x500_name: each.holding.short_hash for each in nodes}
        missing = [str(each.name) for each in members if each.name not in found]
        if missing:
            raise LocationConflictError(
                f"{len(missing)} members of group {group_id} were not imported: {missing[0]}"
            )
        locations = [self._parts.places.location(each) for each in found.values()]
        exports = {None if each is None else each.location_id for each in locations}
        if len(exports) != 1 or None in exports:
            raise LocationConflictError(
                f"the nodes of group {group_id} are of files of different exports"
            )

    def _change(
        self, happened: Happened
    ) -> Callable[[Connection, ShortHash, Location | None], None]:
        def change(connection: Connection, node: ShortHash, found: Location | None) -> None:
            del found
            self._parts.places.change_in(connection, node, happened)

        return change

    def _all(
        self, group_id: str, change: Callable[[Connection, ShortHash, Location | None], None]
    ) -> None:
        """Change the places of all nodes of a group, or of none."""
        nodes = self._hashes(group_id)

        def work(connection: Connection) -> None:
            for node in nodes:
                change(connection, node, location_of(connection, node))

        self._parts.database.transact(work)

    def _hashes(self, group_id: str) -> Sequence[ShortHash]:
        return [each.holding.short_hash for each in self.nodes(group_id)]

    def _let_work(self, group_id: str) -> None:
        for short_hash in self._hashes(group_id):
            location = self._parts.places.location(short_hash)
            if location is not None and location.transfer:
                self._parts.let_work(short_hash)
