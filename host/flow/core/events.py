"""Events of the flow engine, as values. The composition root turns them into logs and metrics.

Events of a step are reported after its commit, so a step that is repeated after a crash reports
once. Guests' log lines are scrubbed of control characters; payloads never appear.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from host.domain.flow import FlowError, FlowStatusName
from host.domain.ids import FlowId, ShortHash


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStarted:
    flow_id: FlowId
    holding_id: ShortHash
    flow_class: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEnded:
    """`trace` is the guest's, for flows that failed with an error of their own.

    `cleanups` are the keys of the states that stand for what is to be released now.
    """

    flow_id: FlowId
    holding_id: ShortHash
    flow_class: str
    request_id: str
    status: FlowStatusName
    error: FlowError | None
    trace: tuple[str, ...] = ()
    cleanups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRan:
    """One run of a guest: calls answered from the journal, and calls made for the first time."""

    flow_id: FlowId
    holding_id: ShortHash
    replayed: int
    made: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCommitted:
    """A step of a flow is on the disk; `seconds` is how long its commit took, with its waits."""

    flow_id: FlowId
    holding_id: ShortHash
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLogged:
    flow_id: FlowId
    holding_id: ShortHash
    level: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRetried:
    """A record could not be processed and will be retried."""

    topic: str
    partition: int
    position: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeadLettered:
    """A record was moved to the dead letter topic."""

    topic: str
    partition: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsExpired:
    """Records without a consumer were deleted because of their age or number."""

    topic: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDropped:
    """Stored items of a node were deleted because its account had no room for new ones."""

    holding_id: ShortHash
    account: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused:
    """A session message could not be delivered."""

    session_id: str
    code: str
    reason: str


FlowEngineEvent: TypeAlias = (
    FlowStarted
    | FlowEnded
    | GuestRan
    | StepCommitted
    | GuestLogged
    | RecordRetried
    | RecordDeadLettered
    | KeptDropped
    | RecordsExpired
    | MessageRefused
)
EventSink: TypeAlias = Callable[[FlowEngineEvent], None]
