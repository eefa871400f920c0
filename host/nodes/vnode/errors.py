"""Refusals of virtual node operations."""

from host.domain.errors import ConflictError, InvalidInputError


class VirtualNodeExistsError(ConflictError):
    """A virtual node of this name and group exists, or is being created."""

    code = "virtual-node-exists"


class VirtualNodeStateError(InvalidInputError):
    """The state of a virtual node can only be set to ACTIVE, MAINTENANCE or PAUSED."""

    code = "virtual-node-state-invalid"


class CpiNotFoundError(InvalidInputError):
    """No stored CPI has this checksum."""

    code = "cpi-not-found"


class VirtualNodeNotInMaintenanceError(InvalidInputError):
    """The operation needs a virtual node that is in maintenance."""

    code = "virtual-node-not-in-maintenance"


class CpiUpgradeSameError(ConflictError):
    """The virtual node runs the CPI of the upgrade already."""

    code = "cpi-upgrade-same"


class CpiUpgradeInvalidError(InvalidInputError):
    """An upgrade keeps the CPI's name, signer and group."""

    code = "cpi-upgrade-invalid"


class OperationInProgressError(ConflictError):
    """Another operation on the virtual node has not ended."""

    code = "virtual-node-operation-in-progress"


class NodeElsewhereError(ConflictError):
    """The virtual node is on its way to or from another cluster, or on another one."""

    code = "virtual-node-elsewhere"


class UpgradeRefusedError(ConflictError):
    """The upgrade cannot be done in this way: see its report. Nothing has changed."""

    code = "cpi-upgrade-refused"


class VirtualNodeInMaintenanceError(InvalidInputError):
    """The operation needs a virtual node whose flows are alive: ACTIVE, or PAUSED."""

    code = "virtual-node-in-maintenance"


class UpgradeWayError(InvalidInputError):
    """What becomes of open flows is one of kill, drain, finish and migrate."""

    code = "cpi-upgrade-way-invalid"
