"""Operations on virtual nodes in the background, whatever they do.

An accepted operation is stored before it is answered, and claimed by the process that works on it.
An operation that a crash interrupts is resumed by another process, or at the next start; every step
can be repeated.
"""

import uuid
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from sqlalchemy import Connection, Row, insert, update

from host.database.claims import RELEASED, Claimant, ClaimedWork, ClaimLostError, Claims
from host.domain.errors import HostError
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.packages import CpiRecord
from host.domain.vnode import AsyncStatus
from host.nodes.vnode.operations import UNFINISHED, AsyncOperation, operation_row
from host.nodes.vnode.registry import NodeRegistry
from host.nodes.vnode.tables import OPERATION
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.locations import Locations

_log = structlog.get_logger("cordbox.nodes")


class NodeOperations(NodeRegistry, ClaimedWork):
    """The registry, and the operations on its nodes. Thread-safe."""

    def __init__(
        self,
        *,
        database: SqlDatabase,
        clock: Clock,
        entropy: Entropy,
        claimant: Claimant,
        background: Callable[[Callable[[], None]], object],
        flow_time: Clock,
        locations: Locations,
    ) -> None:
        """See `VirtualNodeService`."""
        super().__init__(database, flow_time, locations)
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._claims = Claims(
            database,
            OPERATION,
            is_unfinished=OPERATION.c.status.in_(UNFINISHED),
            claimant=claimant,
            clock=clock,
        )

    @abstractmethod
    def _stage_of(self, row: Row[tuple[object, ...]]) -> str | None:
        """How far the operation of a row is, if it has stages."""

    @abstractmethod
    def _do(self, row: Row[tuple[object, ...]]) -> None:
        """Perform the operation of a row of `OPERATION`.

        Raises:
            HostError: it fails.
        """

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

    def _go_on(self, keys: Sequence[str]) -> None:
        for request_id in keys:
            self._begin(request_id)

    def operation(self, request_id: str) -> AsyncOperation:
        """The latest status of an operation.

        Raises:
            NotFoundError: `request_id` is unknown.
        """
        row = self._operation(request_id)
        succeeded = row.status == AsyncStatus.SUCCEEDED.value
        return AsyncOperation(
            request_id=row.request_id,
            operation=row.operation,
            status=AsyncStatus(row.status),
            resource_id=ShortHash(row.resource_id) if succeeded else None,
            error_reason=row.error_reason,
            updated_at=EpochMs(row.updated_at),
            stage=self._stage_of(row),
        )

    def _operation(self, request_id: str) -> Row[tuple[object, ...]]:
        with self._database.read() as connection:
            return operation_row(connection, request_id)

    def _run(self, request_id: str) -> None:
        try:
            self._do(self._operation(request_id))
        except ClaimLostError as exc:
            _log.warning("node-operation-lost", request_id=request_id, reason=exc.message)
        except HostError as exc:
            self._fail(request_id, exc.message)
        except Exception as exc:  # noqa: BLE001  # logged, and the operation tells of it
            _log.exception("node-operation-failed", request_id=request_id)
            self._fail(request_id, f"internal error: {type(exc).__name__}")
        finally:
            self._claims.let_go(request_id)

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
        ended = {} if status.value in UNFINISHED else {"alone": None, **RELEASED}
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
