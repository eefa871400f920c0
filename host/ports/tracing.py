"""Traces: what REST and the flow engine tell a tracer, which never delays them."""

from dataclasses import dataclass
from typing import Protocol

from host.domain.flow import FlowStatusName


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpan:
    """A request to REST. Times are nanoseconds since 1970.

    Attributes:
        trace: id of the trace, `span` of the span, in hexadecimal.
        parent: span that the client named; empty if it named none.
        route: the operation's path, with names for its parameters.
        status: of the answer; 0 if there was none.
    """

    trace: str
    span: str
    parent: str
    method: str
    route: str
    request_id: str
    status: int
    begun: int
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSpan:
    """A session message that a step took or sent. It has none of its payload.

    `span` is of the sender's message, on both sides.
    """

    span: str
    is_sent: bool
    kind: str
    session_id: str
    sequence: int
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpan:
    """A committed step of a flow. Times are nanoseconds since 1970.

    Attributes:
        trace: id of the trace, in hexadecimal.
        flow: the flow's own span, above its steps.
        parent: the span above the flow: a request, or the flow that opened the session.
        flow_begun: when the flow was created.
        number: of the step.
        ended_as: the flow's status, if this step ended it.
    """

    trace: str
    flow: str
    parent: str
    flow_id: str
    flow_class: str
    holding_id: str
    request_id: str
    flow_begun: int
    number: int
    begun: int
    ended: int
    messages: tuple[MessageSpan, ...]
    ended_as: FlowStatusName | None


class Tracer(Protocol):
    """Takes spans. Thread-safe; returns at once, and drops spans rather than wait."""

    def request(self, span: RequestSpan) -> None: ...

    def step(self, span: StepSpan) -> None: ...

    def close(self) -> None:
        """Send what waits, if that takes no longer than a short while. Nothing is taken after."""
        ...
