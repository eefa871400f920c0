"""Rebuilds of the vaults of virtual nodes: begin one, and tell how far they have come.

Corda has no such resource.
"""

from datetime import datetime

from host.ledger.vault.rebuilds import Rebuilding
from host.rest.operation import resource
from host.rest.parameters import NodeHash, Uuid
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Ledger")


@wire
class VaultRebuildInfo:
    """What names a rebuild; null: the node has verified nothing."""

    request_id: str | None


@wire
class VaultRebuildStatus:
    """A rebuild, which is running until `ended_at` is set.

    `total` counts the transactions that the node had verified when it was asked for, and
    `transactions` those that were looked at since; `failed` those that stay as they were because
    the CPI's functions failed.
    """

    request_id: str
    status: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    total: int
    transactions: int
    changed: int
    failed: int


@wire
class VaultRebuildStatuses:
    rebuilds: list[VaultRebuildStatus]


@router.post("/virtualnode/{holdingidentityshorthash}/vault/rebuild")
def post_vault_rebuild(holdingidentityshorthash: NodeHash, services: Services) -> VaultRebuildInfo:
    """Run the vault functions of a node's CPI again for all transactions it has verified.

    After an upgrade that changed which states a node keeps, their JSON or their tokens, or after
    such functions have failed. The node goes on meanwhile. Flows of the class
    `cordbox:vault-rebuild` do it; `GET` tells how far it has come.
    """
    vnode = services.virtual_node(holdingidentityshorthash)
    return VaultRebuildInfo(request_id=services.rebuilds.start(vnode))


@router.get("/virtualnode/{holdingidentityshorthash}/vault/rebuild")
def get_vault_rebuilds(
    holdingidentityshorthash: NodeHash, services: Services
) -> VaultRebuildStatuses:
    """List the last rebuilds of a node's vault, the latest first, at most 100."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    return VaultRebuildStatuses(rebuilds=list(map(_rebuild, services.rebuilds.newest(node))))


@router.get("/virtualnode/{holdingidentityshorthash}/vault/rebuild/{requestid}")
def get_vault_rebuild(
    holdingidentityshorthash: NodeHash,
    requestid: Uuid,
    services: Services,
) -> VaultRebuildStatus:
    """Tell how far a rebuild of a node's vault has come."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    return _rebuild(services.rebuilds.find(node, requestid))


def _rebuild(found: Rebuilding) -> VaultRebuildStatus:
    return VaultRebuildStatus(
        request_id=found.rebuild,
        status="RUNNING" if found.ended_at is None else "COMPLETED",
        started_at=instant(found.started_at),
        updated_at=instant(found.updated_at),
        ended_at=None if found.ended_at is None else instant(found.ended_at),
        total=found.total,
        transactions=found.transactions,
        changed=found.changed,
        failed=found.failed,
    )
