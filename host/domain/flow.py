"""Flow statuses as REST and the CLI see them."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.guest_text import TYPE_CHARACTERS_MAX, cut_line, cut_message, cut_trace
from host.domain.ids import ClientRequestId, EpochMs, FlowId, ShortHash


class FlowStatusName(StrEnum):
    START_REQUESTED = "START_REQUESTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def is_final(self) -> bool:
        return self in (FlowStatusName.COMPLETED, FlowStatusName.FAILED, FlowStatusName.KILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowError:
    """Why a flow ended FAILED or KILLED.

    Attributes:
        type: a stable code (docs/reference/errors.md).
        trace: where in its own code the flow failed, innermost line last: lines like
            `iou/flows.py:12 call`. It is not sent to counterparties.
    """

    type: str
    message: str
    trace: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Truncate long texts once for all users: statuses, sessions, histories and logs."""
        object.__setattr__(self, "type", cut_line(self.type, TYPE_CHARACTERS_MAX))
        object.__setattr__(self, "message", cut_message(self.message))
        object.__setattr__(self, "trace", cut_trace(self.trace))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStatus:
    """Latest status of a client-started flow. `result` is the text that the flow returned."""

    holding_short_hash: ShortHash
    client_request_id: ClientRequestId
    flow_id: FlowId | None
    flow_class: str
    status: FlowStatusName
    result: str | None = None
    error: FlowError | None = None
    updated_at: EpochMs
