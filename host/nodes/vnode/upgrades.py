"""Which CPI a virtual node may be upgraded to. The checks run in Corda's order."""

from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash, parse_short_hash
from host.domain.packages import CpiRecord
from host.domain.vnode import OperationalStatus, VirtualNode
from host.nodes.vnode.errors import (
    CpiUpgradeInvalidError,
    CpiUpgradeSameError,
    VirtualNodeNotInMaintenanceError,
)
from host.ports.directory import Packages


def target_of_upgrade(
    node: VirtualNode | None, short_hash: ShortHash, packages: Packages, target: str
) -> CpiRecord:
    """The CPI of the short checksum `target`, to which `node` may be upgraded.

    Raises:
        NotFoundError, VirtualNodeNotInMaintenanceError, InvalidShortHashError,
        NotFoundError, CpiUpgradeSameError, CpiUpgradeInvalidError: the upgrade is not
            allowed.
    """
    node = in_maintenance(node, short_hash)
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
