"""Flow statuses as REST and the CLI see them."""

import re
from dataclasses import dataclass
from enum import StrEnum

from host.domain.guest_text import TYPE_CHARACTERS_MAX, cut_line, cut_message, cut_trace
from host.domain.ids import ClientRequestId, EpochMs, FlowId, ShortHash

FLOW_FAILED = "FLOW_FAILED"
"""`FlowError.type` of all failures in flow code, which Corda's clients expect."""
NO_CODE = "flow-failed"
"""`FlowError.code` of a failure in flow code that has no code of its own."""
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


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
        type: `FLOW_FAILED` if the flow's own code failed or a timeout ended it, as in Corda;
            otherwise the same as `code`.
        code: the stable code: of the platform (docs/reference/errors.md), or one that the CorDapp's
            own exception, a contract or the counterparty's flow has; `flow-failed` if there is
            none. By default it follows from `type`.
        trace: where in its own code the flow failed, innermost line last: lines like
            `iou/flows.py:12 call`. It is not sent to counterparties.
    """

    type: str
    message: str
    trace: tuple[str, ...] = ()
    code: str = ""

    def __post_init__(self) -> None:
        """Truncate long texts once for all users: statuses, sessions, histories and logs."""
        code = self.code or (NO_CODE if self.type == FLOW_FAILED else self.type)
        object.__setattr__(self, "code", cut_line(code, TYPE_CHARACTERS_MAX))
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


def stable_code(value: object) -> str | None:
    """`value` if it can be a code: 1 to 100 letters, digits and `._:-`; None for anything else."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def specific_code(value: object) -> str | None:
    """As `stable_code`, but None also for the codes that only say that flow code failed."""
    code = stable_code(value)
    return None if code in (FLOW_FAILED, NO_CODE) else code
