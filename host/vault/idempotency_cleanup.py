"""Lets go of the answers that a node's vault keeps for a flow, once the flow has ended."""

from collections.abc import Callable

from host.domain.ids import FlowId, ShortHash
from host.flow.core.events import EventSink, FlowEnded, FlowEngineEvent


class IdempotencyCleanup:
    """An `EventSink` before another one.

    The end of a flow is durable before it is told. What a crash in between leaves behind is space,
    never a wrong answer.
    """

    def __init__(self, forget: Callable[[ShortHash, FlowId], None], *, then: EventSink) -> None:
        self._forget = forget
        self._then = then

    def __call__(self, event: FlowEngineEvent) -> None:
        """Pass the event on, then tidy up after a flow that ended."""
        self._then(event)
        if isinstance(event, FlowEnded):
            self._forget(event.holding_id, event.flow_id)
