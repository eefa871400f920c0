"""Asynchronous operations on virtual nodes, as rows and as clients see them."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Row, select

from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.refused import shown
from host.domain.vnode import AsyncStatus
from host.nodes.vnode.errors import OperationInProgressError, VirtualNodeExistsError
from host.nodes.vnode.tables import OPERATION

CREATE = "CREATE_VIRTUAL_NODE"
UPGRADE = "UPGRADE_VIRTUAL_NODE"
STAGED_UPGRADE = "UPGRADE_VIRTUAL_NODE_IN_STAGES"
REHEARSAL = "REHEARSE_VIRTUAL_NODE_UPGRADE"
STAGED = (STAGED_UPGRADE, REHEARSAL)
UNFINISHED = (AsyncStatus.ACCEPTED.value, AsyncStatus.IN_PROGRESS.value)
SELECT_OPERATIONS = select(OPERATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOperation:
    """An asynchronous operation.

    `resource_id` is set once it has succeeded; `stage` is how far an upgrade in stages is.
    """

    request_id: str
    operation: str
    status: AsyncStatus
    resource_id: ShortHash | None
    error_reason: str | None
    updated_at: EpochMs
    stage: str | None = None


def exists(holding: HoldingIdentity) -> VirtualNodeExistsError:
    return VirtualNodeExistsError(
        f"Virtual node for CPI already exists or is being created: {holding.x500_name}"
        f" in group {holding.group_id} ({holding.short_hash})"
    )


def refuse_operation(
    connection: Connection, short_hash: ShortHash, of: Collection[str] | None = None
) -> None:
    """Refuse what cannot be done while an operation on a node has not ended.

    Args:
        connection: to the cluster's database.
        short_hash: of the node.
        of: the kinds of operations; by default all.

    Raises:
        OperationInProgressError: there is such an operation.
    """
    unfinished = SELECT_OPERATIONS.where(
        OPERATION.c.resource_id == short_hash, OPERATION.c.status.in_(UNFINISHED)
    )
    if of is not None:
        unfinished = unfinished.where(OPERATION.c.operation.in_(of))
    row = connection.execute(unfinished).first()
    if row is not None:
        raise OperationInProgressError(
            f"Operation {row.request_id} on virtual node {short_hash} has not ended."
        )


def operation_row(connection: Connection, request_id: str) -> Row[tuple[object, ...]]:
    row = connection.execute(
        SELECT_OPERATIONS.where(OPERATION.c.request_id == request_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"no virtual node operation has request id {shown(request_id)}",
            kind="virtual node operation",
            named=request_id,
        )
    return row
