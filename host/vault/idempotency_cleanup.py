"""Deletes the answers that a node's vault keeps for a flow, once the flow has ended."""

from collections.abc import Callable

from host.domain.ids import FlowId, ShortHash
from host.flow.core.events import EventSink, FlowEnded, FlowEngineEvent


class IdempotencyCleanup:
    """An `EventSink` that forwards to another one.

    The end of a flow is durable before it is reported. A crash in between leaves unused rows
    behind, never a wrong answer.
    """

    def __init__(self, forget: Callable[[ShortHash, FlowId], None], *, then: EventSink) -> None:
        self._forget = forget
        self._then = then

    def __call__(self, event: FlowEngineEvent) -> None:
        """Forward the event, then delete the answers of a flow that ended."""
        self._then(event)
        if isinstance(event, FlowEnded):
            self._forget(event.holding_id, event.flow_id)
