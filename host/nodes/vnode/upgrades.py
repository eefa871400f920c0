"""Which CPI a virtual node may be upgraded to. The checks run in Corda's order."""

from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash, parse_short_hash
from host.domain.packages import CpiRecord
from host.domain.vnode import NodeState, OperationalStatus, VirtualNode
from host.nodes.vnode.errors import (
    CpiUpgradeInvalidError,
    CpiUpgradeSameError,
    VirtualNodeInMaintenanceError,
    VirtualNodeNotInMaintenanceError,
)
from host.nodes.vnode.upgrade_report import Way
from host.ports.directory import Packages


def target_of_upgrade(
    node: VirtualNode, packages: Packages, target: str, way: Way | None
) -> CpiRecord:
    """The CPI of the short checksum `target`, to which `node` may be upgraded.

    Args:
        node: the node.
        packages: the stored CPIs.
        target: a short checksum.
        way: what becomes of open flows; None: nothing, since the upgrade is rehearsed only.

    Raises:
        VirtualNodeNotInMaintenanceError, VirtualNodeInMaintenanceError, InvalidShortHashError,
        NotFoundError, CpiUpgradeSameError, CpiUpgradeInvalidError: the upgrade is not allowed.
    """
    short_hash = node.holding.short_hash
    _check_state(node, way)
    cpi = packages.find_by_short_hash(parse_short_hash(target))
    if cpi is None:
        raise NotFoundError(f"CPI {target} not found.", kind="CPI", named=target)
    if cpi.file_checksum == node.cpi_checksum:
        raise CpiUpgradeSameError(f"Virtual node {short_hash} runs CPI {target} already.")
    current = packages.get(node.cpi_checksum)
    if current is None:
        raise NotFoundError(
            f"CPI {node.cpi_checksum} is no longer stored.", kind="CPI", named=node.cpi_checksum
        )
    for what, found, expected in (
        ("name", cpi.identity.name, current.identity.name),
        ("signer", cpi.identity.signer_summary_hash, current.identity.signer_summary_hash),
        ("group", cpi.group_id, current.group_id),
    ):
        if found != expected:
            raise CpiUpgradeInvalidError(
                f"Upgrade of {short_hash}: expected a CPI of {what} {expected}, found {found}."
            )
    return cpi


def _check_state(node: VirtualNode, way: Way | None) -> None:
    short_hash = node.holding.short_hash
    if way is Way.KILL:
        in_maintenance(node, short_hash)
    elif way is not None and node.state is NodeState.MAINTENANCE:
        raise VirtualNodeInMaintenanceError(
            f"Virtual node {short_hash} is in maintenance: it has no open flows, and is upgraded"
            f" in the way {Way.KILL}."
        )
    elif way is Way.DRAIN and node.is_paused:
        raise VirtualNodeInMaintenanceError(
            f"Virtual node {short_hash} is paused: its flows do not end, so it cannot be drained."
        )


def in_maintenance(node: VirtualNode | None, short_hash: ShortHash) -> VirtualNode:
    """`node`, which must be in maintenance, so that no flow of its CPI runs.

    Raises:
        NotFoundError, VirtualNodeNotInMaintenanceError: the node is unknown, or not in
            maintenance.
    """
    if node is None:
        raise NotFoundError(
            f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
        )
    if node.flow_status is not OperationalStatus.INACTIVE:
        raise VirtualNodeNotInMaintenanceError(
            f"Virtual node {short_hash} must be in maintenance; its state is ACTIVE."
        )
    return node
