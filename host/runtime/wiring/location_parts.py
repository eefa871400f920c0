"""Moves of virtual nodes between clusters: in the process that has the packages."""

import time
from collections.abc import Collection, Sequence
from functools import cached_property, partial

from host.adapters.files.container import cluster_identity, recipient_of
from host.database.claims import RENEW_SECONDS
from host.database.node_tables import NodeTables
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.flow.core.messages import P2P_OUT_TOPIC
from host.flow.core.shift import SHIFT_KEY, decode_shift
from host.flow.records.node_flows import NodeFlows
from host.keys.node_keys import NodeKeys
from host.network.hosted import HOSTED_IDENTITY
from host.network.link.outgoing import unsent_of_flow
from host.network.location.claims import PlaceClaims
from host.network.location.ends import ends_of
from host.network.location.export import Exporter
from host.network.location.import_ import Importer
from host.network.location.parts import MoveParts
from host.network.location.rows import ArrivingRows
from host.network.location.service import NodeMoves
from host.network.location.transfers import Transfers
from host.network.membership.group_contents import StaticGroup
from host.network.membership.joining import JoinChecks
from host.network.membership.member_registrations import MemberRegistrations
from host.network.membership.network_tables import (
    LOCAL_KEY,
    MGM_TABLES,
    NETWORK_REGISTRATION,
)
from host.network.membership.node_list import NodeList
from host.network.membership.relocation import names_seen
from host.network.membership.tables import REGISTRATION
from host.network.values.messages import MEMBERSHIP_IN_TOPIC
from host.nodes.audit_log.node_ends import NodeAuditEnds
from host.nodes.packages.node_cpis import NodeCpis
from host.nodes.packages.tables import CERTIFICATE
from host.nodes.quotas.arriving import quota_check
from host.nodes.quotas.tables import OVERRIDE, USAGE
from host.nodes.vnode.node_row import NodeRow
from host.ports.live import Derived
from host.ports.locations import Place
from host.ports.node_contents import NodeContents
from host.runtime.wiring.audit_parts import AuditParts
from host.runtime.wiring.link_parts import LinkWiring
from host.runtime.wiring.schemas import NOTARY_SCHEMAS, VAULT_SCHEMAS
from host.settings.sections import GUEST
from host.vault.node_vault import NodeDatabase

_WAIT_SECONDS = 0.1
_LOOK_SECONDS = 0.25
_NOT_OF_FLOWS = frozenset({P2P_OUT_TOPIC, MEMBERSHIP_IN_TOPIC})
_LOOKED_AT = 500
FOLDER = "transfers"


class LocationParts(AuditParts, LinkWiring):
    """Nodes that leave and arrive."""

    @cached_property
    def moves(self) -> NodeMoves:
        """Exports and imports of nodes, which this process works on."""
        contents = self._contents
        wait = partial(time.sleep, _WAIT_SECONDS)
        moves = NodeMoves(
            MoveParts(
                database=self.database,
                places=self.places,
                transfers=Transfers(self.database, claimant=self.claimant, clock=self.base.clock),
                claims=PlaceClaims(
                    access=self.told_access,
                    registrations=MemberRegistrations(self.told_access),
                    hosted=self.hosted,
                ),
                nodes=self.nodes,
                keys=self.keys,
                exporter=Exporter(contents, self.keys, self.public_keys),
                importer=Importer(contents, self.public_keys),
                folder=self.base.directory.path / FOLDER,
                identity=self.transfer_identity,
                erased=[each for each in contents if each.name not in _KEPT],
                used_bytes=self._used_bytes,
                is_quiet=self._is_quiet,
                wait=wait,
                clock=self.base.clock,
                entropy=self.base.entropy,
                background=self._background.submit,
            )
        )
        self._flush(moves.watch.look, _LOOK_SECONDS)
        return moves

    def go_on_with_moves(self) -> None:
        """Resume unfinished exports and imports, now and periodically."""
        self.moves.runs.resume_interrupted()
        self._flush(self.moves.runs.renew, RENEW_SECONDS)

    def transfer_identity(self) -> str:
        """The private key that opens files of nodes for this cluster."""
        return cluster_identity(self.base.directory.secrets)

    def transfer_key(self) -> str:
        """The public key to which files of nodes for this cluster are encrypted."""
        return recipient_of(self.transfer_identity())

    @property
    def _contents(self) -> Sequence[NodeContents]:
        """In the order in which they are loaded: what others need comes first."""
        allowed = Derived(lambda guest: guest.allowed_capabilities, self.config.section(GUEST))
        wait = partial(time.sleep, _WAIT_SECONDS)
        check = ArrivingRows(self.keys, self.public_keys).check
        cpis = NodeCpis(self.packages, self.nodes, wait)
        return (
            cpis,
            NodeRow(
                self.database,
                self.nodes,
                packages=self.packages,
                allowed=allowed,
                shift_ms=self._shift_ms,
            ),
            NodeTables(
                "quota",
                self.database,
                {OVERRIDE: "short_hash", USAGE: "short_hash"},
                quota_check(self.base.clock.now_ms),
            ),
            NodeKeys(self.keys),
            StaticGroup(
                self.database,
                self.keys,
                self.public_keys,
                is_needed=partial(self._has_others_of_group, of=_NEEDS_GROUP),
                works=partial(self._has_others_of_group, of=frozenset({Place.HERE})),
                checks=JoinChecks(self.packages, self.nodes, self.places),
            ),
            NodeTables("certificates", self.database, {CERTIFICATE: "tenant"}),
            NodeTables(
                "network",
                self.database,
                dict.fromkeys(
                    (HOSTED_IDENTITY, LOCAL_KEY, NETWORK_REGISTRATION, REGISTRATION), "short_hash"
                ),
                check,
            ),
            NodeTables("mgm", self.database, dict.fromkeys(MGM_TABLES, "short_hash"), check),
            NodeList(self.network_access),
            NodeDatabase("vault", self.vaults, VAULT_SCHEMAS),
            NodeDatabase("uniqueness", self.notary_databases, NOTARY_SCHEMAS),
            NodeAuditEnds(self.audit_logs),
            NodeFlows(self.store, self._ends_of, unsent_of_flow, cpis.may_run),
        )

    def _has_others_of_group(self, holding: HoldingIdentity, *, of: Collection[Place]) -> bool:
        """Whether another node of a group is at one of these places."""
        return any(
            each.holding.group_id == holding.group_id
            and each.holding != holding
            and self.places.place(each.holding.short_hash) in of
            for each in self.nodes.all()
        )

    def _ends_of(self, holding: HoldingIdentity) -> Sequence[str]:
        """A node's ends of the channels with all members that it ever saw."""
        names = names_seen(self.network_access, holding)
        return ends_of(holding, [MemberX500Name.parse(name) for name in names])

    def _is_quiet(self, node: ShortHash) -> bool:
        """Whether nothing of a node's flows is taken from its queues, or will be."""
        found = self.store.work_of_node(node, -1, _LOOKED_AT)
        return all(each.record.queue.topic in _NOT_OF_FLOWS for each in found)

    def _used_bytes(self, node: ShortHash) -> int:
        return self.vaults.used_bytes(node) + self.notary_databases.used_bytes(node)

    def _shift_ms(self) -> int:
        stored = self.store.get(SHIFT_KEY)
        return 0 if stored is None else decode_shift(stored).shift_ms


_NEEDS_GROUP = frozenset(set(Place) - {Place.MOVED})
"""A node is here, arrives, or may come back."""
_KEPT = frozenset({"cpi", "node", "quota"})
"""What stays of a node that has moved: its row is a tombstone."""
