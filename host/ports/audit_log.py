"""The record of privileged host calls, as the flow engine writes it."""

from dataclasses import dataclass
from typing import Protocol

from host.domain.ids import Checksum, FlowId, HoldingIdentity, ShortHash

SUCCEEDED = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivilegedCall:
    """One call.

    Attributes:
        holding: the virtual node that called.
        cpi: whose code called.
        call: number of the call in its flow; together with the flow's id, a permanent unique name.
        function: `interface.function`.
        request_digest: `SHA-256:HEX` of the request's text.
        outcome: `ok`, or the code of the refusal.
        operation: the request's `op`, for functions that have several.
        step: number of the platform's operation within the call, if the platform made the call for
            the flow: a signature in the middle of a protocol. The flow's own call follows it.
    """

    holding: HoldingIdentity
    cpi: Checksum
    flow_id: FlowId
    flow_class: str
    call: int
    function: str
    request_digest: str
    outcome: str
    operation: str | None = None
    step: int | None = None


class AuditLogs(Protocol):
    """The audit logs of all nodes. Called from many threads."""

    def record(self, call: PrivilegedCall) -> None:
        """Add the call to its node's log; a repeated call is added only once.

        Repeated refusals of the same kind are counted, and summarised later in one entry.

        Raises:
            StorageError: the log cannot be written; the call must not be answered.
        """
        ...

    def has_room(self, node: ShortHash) -> bool:
        """Whether the node's log has room; without room, privileged calls are refused.

        Raises:
            StorageError: the log cannot be read.
        """
        ...


class Unaudited:
    """`AuditLogs` for a standalone engine: nothing is stored."""

    def record(self, call: PrivilegedCall) -> None:
        """Does nothing."""

    def has_room(self, node: ShortHash) -> bool:  # noqa: ARG002  # the port's
        """Always true."""
        return True
