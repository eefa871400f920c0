"""Operations on virtual nodes: creations and upgrades in the background.

An accepted operation is stored before it is answered, and claimed by the process that works on it.
An operation that a crash interrupts is resumed by another process, or at the next start; every step
can be repeated. A new node is only a row: its vault is created at the first use.
"""

import json
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from host.database.claims import RELEASED, Claimant, ClaimLostError, Claims
from host.domain.errors import HostError, NotFoundError
from host.domain.ids import Checksum, EpochMs, HoldingIdentity, ShortHash, parse_short_hash
from host.domain.packages import CpiRecord
from host.domain.refused import shown
from host.domain.vnode import AsyncStatus, VirtualNode
from host.domain.x500 import MemberX500Name
from host.nodes.vnode.errors import (
    CpiNotFoundError,
    OperationInProgressError,
    VirtualNodeExistsError,
)
from host.nodes.vnode.registry import NodeRegistry, node_of, values_of
from host.nodes.vnode.tables import OPERATION, VIRTUAL_NODE
from host.nodes.vnode.upgrades import in_maintenance, target_of_upgrade
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.directory import Packages
from host.ports.live import Live
from host.ports.locations import ALL_HERE, Locations
from host.ports.schemas import NodeSchemas

_log = structlog.get_logger("cordbox.nodes")

CREATE_ID = "CREATE_ID"
_CREATE = "CREATE_VIRTUAL_NODE"
_UPGRADE = "UPGRADE_VIRTUAL_NODE"
_UNFINISHED = (AsyncStatus.ACCEPTED.value, AsyncStatus.IN_PROGRESS.value)

_SELECT_OPERATIONS = select(OPERATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOperation:
    """An asynchronous operation. `resource_id` is set once it has succeeded."""

    request_id: str
    operation: str
    status: AsyncStatus
    resource_id: ShortHash | None
    error_reason: str | None
    updated_at: EpochMs


class VirtualNodeService(NodeRegistry):
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
            locations: tell which nodes leave or arrive; see `NodeRegistry`.
        """
        super().__init__(database, flow_time or clock, locations)
        self._schemas = schemas
        self._packages = packages
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._allowed = allowed_capabilities
        self._upgraded = upgraded
        self._claims = Claims(
            database,
            OPERATION,
            is_unfinished=OPERATION.c.status.in_(_UNFINISHED),
            claimant=claimant,
            clock=clock,
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
                raise _exists(holding)
            return self._accept(connection, _CREATE, holding, cpi, alone=True)

        try:
            request_id = self._database.transact(accept)
        except IntegrityError as exc:
            raise _exists(holding) from exc
        self._begin(request_id)
        return request_id

    def upgrade(
        self, short_hash: ShortHash, cpi_short_checksum: str, *, force: bool = False
    ) -> str:
        """Accept the upgrade of a node to another version of its CPI; return its request id.

        The node's entities are migrated first; if that fails, the operation fails and the node
        keeps its CPI.

        Args:
            short_hash: short hash of the node, which must be in maintenance.
            cpi_short_checksum: of the new CPI, with the same name, signer and group.
            force: accept it while another upgrade has not ended.

        Raises:
            HostError: one of `host.nodes.vnode.errors`.
        """
        node = self.get(short_hash)
        cpi = target_of_upgrade(node, short_hash, self._packages, cpi_short_checksum)
        assert node is not None  # noqa: S101  # target_of_upgrade refuses
        holding = node.holding

        def accept(connection: Connection) -> str:
            if not force:
                _refuse_operation(connection, short_hash)
            return self._accept(connection, _UPGRADE, holding, cpi, alone=not force)

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

    def _accept(
        self,
        connection: Connection,
        operation: str,
        holding: HoldingIdentity,
        cpi: CpiRecord,
        *,
        alone: bool,
    ) -> str:
        request_id = self._uuid()
        connection.execute(
            insert(OPERATION),
            {
                "request_id": request_id,
                "operation": operation,
                "status": AsyncStatus.ACCEPTED.value,
                "resource_id": holding.short_hash,
                "x500_name": str(holding.x500_name),
                "group_id": holding.group_id,
                "cpi_checksum": cpi.file_checksum,
                "updated_at": self._clock.now_ms(),
                "alone": True if alone else None,
                **self._claims.values(),
            },
        )
        return request_id

    def _begin(self, request_id: str) -> None:
        self._claims.hold(request_id)
        self._background(partial(self._run, request_id))

    def resume_interrupted(self) -> int:
        """Resume operations that no process works on, and those of this process's earlier runs.

        Returns:
            Their number. Call it once, before requests are served.

        Raises:
            StorageError: they cannot be claimed.
        """
        return self._resume(of_earlier_runs=True)

    def renew(self) -> int:
        """Renew this process's claims, and resume operations that others left unfinished.

        Call it every `host.database.claims.RENEW_SECONDS`.

        Returns:
            How many operations were resumed.

        Raises:
            StorageError: claims cannot be stored.
        """
        self._claims.renew()
        return self._resume(of_earlier_runs=False)

    def _resume(self, *, of_earlier_runs: bool) -> int:
        requests = self._claims.take(of_earlier_runs=of_earlier_runs)
        for request_id in requests:
            self._begin(request_id)
        return len(requests)

    def operation(self, request_id: str) -> AsyncOperation:
        """The latest status of an operation.

        Raises:
            NotFoundError: `request_id` is unknown.
        """
        with self._database.read() as connection:
            row = _operation(connection, request_id)
        succeeded = row.status == AsyncStatus.SUCCEEDED.value
        return AsyncOperation(
            request_id=row.request_id,
            operation=row.operation,
            status=AsyncStatus(row.status),
            resource_id=ShortHash(row.resource_id) if succeeded else None,
            error_reason=row.error_reason,
            updated_at=EpochMs(row.updated_at),
        )

    def _run(self, request_id: str) -> None:
        try:
            with self._database.read() as connection:
                row = _operation(connection, request_id)
            (self._upgrade if row.operation == _UPGRADE else self._create)(row)
        except ClaimLostError as exc:
            _log.warning("node-operation-lost", request_id=request_id, reason=exc.message)
        except HostError as exc:
            self._fail(request_id, exc.message)
        except Exception as exc:  # noqa: BLE001  # logged, and the operation tells of it
            _log.exception("node-operation-failed", request_id=request_id)
            self._fail(request_id, f"internal error: {type(exc).__name__}")
        finally:
            self._claims.let_go(request_id)

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

    def _fail(self, request_id: str, reason: str) -> None:
        try:
            self._set_status(request_id, AsyncStatus.FAILED, reason)
        except HostError:
            # The storage itself failed: the operation stays unfinished, and is resumed later.
            _log.exception("node-operation-unfinished", request_id=request_id, reason=reason)

    def _set_status(self, request_id: str, status: AsyncStatus, reason: str | None = None) -> None:
        self._database.transact(
            lambda connection: self._update(connection, request_id, status, reason)
        )

    def _update(
        self,
        connection: Connection,
        request_id: str,
        status: AsyncStatus,
        reason: str | None = None,
    ) -> None:
        self._claims.check(connection, request_id)
        ended = {} if status.value in _UNFINISHED else {"alone": None, **RELEASED}
        connection.execute(
            update(OPERATION)
            .where(OPERATION.c.request_id == request_id)
            .values(
                status=status.value,
                error_reason=reason,
                updated_at=self._clock.now_ms(),
                **ended,
            )
        )

    def _uuid(self) -> str:
        return str(uuid.UUID(bytes=self._entropy.random_bytes(16), version=4))


def _exists(holding: HoldingIdentity) -> VirtualNodeExistsError:
    return VirtualNodeExistsError(
        f"Virtual node for CPI already exists or is being created: {holding.x500_name}"
        f" in group {holding.group_id} ({holding.short_hash})"
    )


def _refuse_operation(connection: Connection, short_hash: ShortHash) -> None:
    unfinished = _SELECT_OPERATIONS.where(
        OPERATION.c.resource_id == short_hash, OPERATION.c.status.in_(_UNFINISHED)
    )
    row = connection.execute(unfinished).first()
    if row is not None:
        raise OperationInProgressError(
            f"Operation {row.request_id} on virtual node {short_hash} has not ended."
        )


def _operation(connection: Connection, request_id: str) -> Row[tuple[object, ...]]:
    row = connection.execute(
        _SELECT_OPERATIONS.where(OPERATION.c.request_id == request_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"no virtual node operation has request id {shown(request_id)}",
            kind="virtual node operation",
            named=request_id,
        )
    return row
