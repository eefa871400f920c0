"""Refusals of the flow engine."""

from host.domain.errors import (
    ConflictError,
    HostError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from host.domain.refused import shown


class FlowRecordDamagedError(HostError):
    """A stored record of the flow engine cannot be read: damage, or another format version."""

    code = "flow-record-damaged"


class ClientRequestIdInvalidError(InvalidInputError):
    """The client request id is `.` or `..`, or not 1 to 242 letters, digits, `.`, `_` and `-`."""

    code = "client-request-id-invalid"


class FlowNotStartableError(InvalidInputError):
    """The CPI declares no client-startable flow of this name."""

    code = "flow-not-startable"


class FlowInputInvalidError(InvalidInputError):
    """The request body does not match the flow's input schema; names the field's JSON path."""

    code = "flow-input-invalid"


class FlowStatusUnknownError(InvalidInputError):
    """The text names no flow status."""

    code = "flow-status-unknown"


class FlowAlreadyStartedError(ConflictError):
    """A flow was started with this client request id on this virtual node."""

    code = "flow-already-started"

    @staticmethod
    def of(holding: str, client_request_id: str) -> "FlowAlreadyStartedError":
        """The refusal of a second start under one id; Corda's words."""
        return FlowAlreadyStartedError(
            "A flow has already been started for the requested holdingId and clientRequestId.",
            holdingId=holding,
            clientRequestId=client_request_id,
        )


class FlowEndedError(ConflictError):
    """The flow has ended already."""

    code = "flow-ended"


class NodePausedError(NotAllowedError):
    """The virtual node is paused: no flow starts on it, and those that are open wait."""

    code = "virtual-node-paused"


class FlowsTooManyError(UnavailableError):
    """The virtual node has as many client-started flows open as its quota allows; try later."""

    code = "flows-too-many"


class FlowNotFoundError(NotFoundError):
    """No flow was started with this client request id on this virtual node."""

    def __init__(self, short_hash: str, request_id: str) -> None:
        super().__init__(
            f"virtual node {short_hash} has no flow with client request id {shown(request_id)}",
            kind="flow",
            named=request_id,
        )
