"""Operations on virtual nodes: creations and upgrades in the background.

A new node is only a row: its vault is created at the first use.
"""

import json
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

import structlog
from sqlalchemy import Connection, Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from host.database.claims import RELEASED, Claimant
from host.domain.ids import Checksum, EpochMs, HoldingIdentity, ShortHash, parse_short_hash
from host.domain.packages import CpiRecord
from host.domain.vnode import AsyncStatus, NodeState, VirtualNode
from host.domain.x500 import MemberX500Name
from host.nodes.vnode.errors import (
    CpiNotFoundError,
    NodeElsewhereError,
    OperationInProgressError,
    UpgradeWayError,
)
from host.nodes.vnode.operation_runs import NodeOperations
from host.nodes.vnode.operations import (
    CREATE,
    REHEARSAL,
    STAGED,
    STAGED_UPGRADE,
    UPGRADE,
    exists,
    refuse_operation,
)
from host.nodes.vnode.registry import node_not_found, node_of, values_of
from host.nodes.vnode.rehearsal import UpgradeRehearsal
from host.nodes.vnode.staged_upgrades import (
    StagedUpgrades,
    UpgradeParts,
    Waits,
    report_of,
    stage_of,
)
from host.nodes.vnode.staged_upgrades import accept as accept_staged
from host.nodes.vnode.tables import OPERATION, VIRTUAL_NODE
from host.nodes.vnode.upgrade_report import Diverging, Way
from host.nodes.vnode.upgrades import in_maintenance, target_of_upgrade
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.directory import Packages
from host.ports.live import Live
from host.ports.locations import ALL_HERE, Locations, Place
from host.ports.schemas import NodeSchemas

_log = structlog.get_logger("cordbox.nodes")

CREATE_ID = "CREATE_ID"


class VirtualNodeService(NodeOperations):
    """The registry, and the operations on virtual nodes. Thread-safe."""

    def __init__(
        self,
        *,
        database: SqlDatabase,
        schemas: NodeSchemas,
        packages: Packages,
        clock: Clock,
        entropy: Entropy,
        claimant: Claimant,
        background: Callable[[Callable[[], None]], object],
        allowed_capabilities: Live[Collection[str]],
        upgraded: Callable[[Connection, ShortHash], None] = lambda _connection, _node: None,
        flow_time: Clock | None = None,
        locations: Locations = ALL_HERE,
        rehearsal: Callable[[], UpgradeRehearsal] | None = None,
    ) -> None:
        """Open the registry.

        Args:
            database: the cluster's, opened with this package's `SCHEMA`.
            schemas: brings a node's entities to the schemas of its CPI.
            packages: the stored CPIs.
            clock: the host's time.
            entropy: makes request ids, and the group ids of new groups.
            claimant: this process, among those that work on operations.
            background: runs a function on another thread, as `Executor.submit` does.
            allowed_capabilities: the most that this host grants.
            upgraded: called in the transaction that gives a node another CPI.
            flow_time: the clock of flows' timeouts, if not `clock`.
            rehearsal: gives what rehearses upgrades; without it, nodes are upgraded in maintenance
                only.
            locations: tell which nodes leave or arrive; see `NodeRegistry`.
        """
        super().__init__(
            database=database,
            clock=clock,
            entropy=entropy,
            claimant=claimant,
            background=background,
            flow_time=flow_time or clock,
            locations=locations,
        )
        self._schemas = schemas
        self._packages = packages
        self._allowed = allowed_capabilities
        self._upgraded = upgraded
        self._rehearsal = rehearsal

    @cached_property
    def _staged(self) -> StagedUpgrades | None:
        if self._rehearsal is None:
            return None
        return StagedUpgrades(
            database=self._database,
            nodes=self,
            packages=self._packages,
            clock=self._clock,
            parts=UpgradeParts(
                rehearsal=self._rehearsal(),
                schemas=self._schemas,
                flow_time=self._flow_time,
                switched=self._upgraded,
                granted=self._granted,
            ),
            held=self._claims.check,
            ended=lambda connection, request_id: self._update(
                connection, request_id, AsyncStatus.SUCCEEDED
            ),
        )

    def create(self, cpi_short_checksum: str, x500_name: str) -> str:
        """Accept the creation of a virtual node; return the request id to poll.

        The checks run in Corda's order.

        Raises:
            InvalidX500NameError: `x500_name`.
            InvalidShortHashError: `cpi_short_checksum` is not 12 hexadecimal digits.
            CpiNotFoundError: no such CPI.
            VirtualNodeExistsError: the node exists or is being created.
        """
        name = MemberX500Name.parse(x500_name)
        cpi = self._packages.find_by_short_hash(parse_short_hash(cpi_short_checksum))
        if cpi is None:
            raise CpiNotFoundError(f"No CPI metadata found for checksum '{cpi_short_checksum}'.")
        group_id = self._uuid() if cpi.group_id == CREATE_ID else cpi.group_id
        holding = HoldingIdentity(x500_name=name, group_id=group_id)

        def accept(connection: Connection) -> str:
            if connection.execute(node_of(holding.short_hash)).first() is not None:
                raise exists(holding)
            return self._accept(connection, CREATE, holding, cpi, alone=True)

        try:
            request_id = self._database.transact(accept)
        except IntegrityError as exc:
            raise exists(holding) from exc
        self._begin(request_id)
        return request_id

    def upgrade(
        self,
        short_hash: ShortHash,
        cpi_short_checksum: str,
        *,
        force: bool = False,
        way: Way = Way.KILL,
        diverging: Diverging = Diverging.FINISH,
    ) -> str:
        """Accept the upgrade of a node to another version of its CPI; return its request id.

        The node's entities are migrated first; if that fails, the operation fails and the node
        keeps its CPI.

        Args:
            short_hash: short hash of the node, which must be in maintenance for `Way.KILL`, and
                must not for the others.
            cpi_short_checksum: of the new CPI, with the same name, signer and group.
            force: accept it while another upgrade has not ended, for `Way.KILL`.
            way: what becomes of open flows.
            diverging: what becomes of those that the new code would break, for `Way.MIGRATE`.

        Raises:
            HostError: one of `host.nodes.vnode.errors`.
        """
        is_forced = force and way is Way.KILL
        operation = UPGRADE if way is Way.KILL else STAGED_UPGRADE
        return self._accept_upgrade(
            short_hash, cpi_short_checksum, operation, way, diverging, alone=not is_forced
        )

    def rehearse_upgrade(self, short_hash: ShortHash, cpi_short_checksum: str) -> str:
        """Accept the rehearsal of an upgrade, which changes nothing; return its request id.

        Raises:
            HostError: one of `host.nodes.vnode.errors`.
        """
        return self._accept_upgrade(
            short_hash, cpi_short_checksum, REHEARSAL, None, Diverging.FINISH, alone=True
        )

    def upgrade_report(self, request_id: str) -> str | None:
        """The report of an upgrade or a rehearsal, JSON text; None as long as there is none.

        Raises:
            NotFoundError: no such operation.
        """
        row = self._operation(request_id)
        return report_of(self._database, request_id) if row.operation in STAGED else None

    def _change_state(
        self, connection: Connection, short_hash: ShortHash, state: NodeState, now: EpochMs
    ) -> VirtualNode:
        """Unless an upgrade needs the node's present state.

        Raises:
            OperationInProgressError: such an upgrade has not ended.
        """
        refuse_operation(connection, short_hash, of=(STAGED_UPGRADE,))
        return super()._change_state(connection, short_hash, state, now)

    def leaving(self, short_hash: ShortHash) -> Callable[[Connection], None]:
        """What pauses a node that leaves this cluster, in the transaction in which it does.

        Raises:
            OperationInProgressError: an operation on it has not ended, which its file would cut.
            NotFoundError: no such node.
        """
        now = self._flow_time.now_ms()

        def leave(connection: Connection) -> None:
            refuse_operation(connection, short_hash)
            self._change_state(connection, short_hash, NodeState.PAUSED, now)

        return leave

    def _accept_upgrade(  # what an upgrade is
        self,
        short_hash: ShortHash,
        target: str,
        operation: str,
        way: Way | None,
        diverging: Diverging,
        *,
        alone: bool,
    ) -> str:
        node = self.get(short_hash)
        if node is None:
            raise node_not_found(short_hash)
        if operation != UPGRADE and self._staged is None:
            raise UpgradeWayError("this process upgrades nodes in maintenance only")
        cpi = target_of_upgrade(node, self._packages, target, way)

        def accept(connection: Connection) -> str:
            if self._locations.place(short_hash) is not Place.HERE:
                raise NodeElsewhereError(f"Virtual node {short_hash} is not on this cluster now.")
            if connection.execute(_cpi_of(short_hash)).scalar_one_or_none() != node.cpi_checksum:
                raise OperationInProgressError(
                    f"Virtual node {short_hash} has got another CPI meanwhile."
                )
            if alone:
                refuse_operation(connection, short_hash)
            request_id = self._accept(connection, operation, node.holding, cpi, alone=alone)
            if operation != UPGRADE:
                accept_staged(
                    connection,
                    request_id=request_id,
                    node=node,
                    cpi=cpi,
                    way=way,
                    diverging=diverging,
                    now=self._clock.now_ms(),
                )
            return request_id

        request_id = self._database.transact(accept)
        self._begin(request_id)
        return request_id

    def force_resync(self, short_hash: ShortHash) -> None:
        """Delete the entities of a node in maintenance and apply its CPI's schemas.

        Raises:
            NotFoundError, VirtualNodeNotInMaintenanceError: nothing is deleted.
        """
        node = in_maintenance(self.get(short_hash), short_hash)
        self._schemas.reset(short_hash, self._cpi(node.cpi_checksum))

    def _stage_of(self, row: Row[tuple[object, ...]]) -> str | None:
        return stage_of(self._database, row.request_id) if row.operation in STAGED else None

    def _do(self, row: Row[tuple[object, ...]]) -> None:
        if row.operation in STAGED:
            self._run_staged(row)
        else:
            (self._upgrade if row.operation == UPGRADE else self._create)(row)

    def _run_staged(self, row: Row[tuple[object, ...]]) -> None:
        if self._staged is None:
            raise UpgradeWayError("this process upgrades nodes in maintenance only")
        self._set_status(row.request_id, AsyncStatus.IN_PROGRESS)
        try:
            self._staged.run(row.request_id)
        except Waits:
            release = update(OPERATION).where(OPERATION.c.request_id == row.request_id)
            self._database.transact(lambda connection: connection.execute(release.values(RELEASED)))

    def _create(self, row: Row[tuple[object, ...]]) -> None:
        cpi = self._cpi(Checksum(row.cpi_checksum))
        node = VirtualNode(
            holding=HoldingIdentity(
                x500_name=MemberX500Name.parse(row.x500_name), group_id=row.group_id
            ),
            cpi_checksum=cpi.file_checksum,
            granted_capabilities=self._granted(cpi),
            created_at=self._clock.now_ms(),
        )
        self._schemas.check(cpi)

        def add(connection: Connection) -> None:
            self._update(connection, row.request_id, AsyncStatus.SUCCEEDED)
            connection.execute(insert(VIRTUAL_NODE), values_of(node))

        self._database.transact(add)

    def _upgrade(self, row: Row[tuple[object, ...]]) -> None:
        self._set_status(row.request_id, AsyncStatus.IN_PROGRESS)
        cpi = self._cpi(Checksum(row.cpi_checksum))
        short_hash = ShortHash(row.resource_id)
        in_maintenance(self.get(short_hash), short_hash)
        self._schemas.apply(short_hash, cpi)
        change = (
            update(VIRTUAL_NODE)
            .where(VIRTUAL_NODE.c.short_hash == short_hash)
            .values(
                cpi_checksum=cpi.file_checksum,
                granted_capabilities=json.dumps(self._granted(cpi)),
            )
        )

        def switch(connection: Connection) -> None:
            self._update(connection, row.request_id, AsyncStatus.SUCCEEDED)
            connection.execute(change)
            self._upgraded(connection, short_hash)

        self._database.transact(switch)

    def _cpi(self, checksum: Checksum) -> CpiRecord:
        cpi = self._packages.get(checksum)
        if cpi is None:
            raise CpiNotFoundError(f"CPI {checksum} is no longer stored")
        return cpi

    def _granted(self, cpi: CpiRecord) -> tuple[str, ...]:
        declared = {capability for cpk in cpi.cpks for capability in cpk.capabilities}
        return tuple(sorted(declared.intersection(self._allowed.get())))


def _cpi_of(short_hash: ShortHash) -> Select[tuple[Any]]:
    return select(VIRTUAL_NODE.c.cpi_checksum).where(VIRTUAL_NODE.c.short_hash == short_hash)
