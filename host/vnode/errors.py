"""Refusals of virtual node operations."""

from host.domain.errors import ConflictError, InvalidInputError, NotFoundError


class VirtualNodeExistsError(ConflictError):
    """A virtual node of this name and group exists, or is being created."""

    code = "virtual-node-exists"


class VirtualNodeNotFoundError(NotFoundError):
    """No virtual node has this short hash."""

    code = "virtual-node-not-found"


class VirtualNodeStateError(InvalidInputError):
    """A virtual node is set to ACTIVE or to MAINTENANCE, nothing else."""

    code = "virtual-node-state-invalid"


class CpiNotFoundError(InvalidInputError):
    """No stored CPI has this checksum."""

    code = "cpi-not-found"


class OperationNotFoundError(NotFoundError):
    """No operation has this request id."""

    code = "operation-not-found"
