"""Lets go of the answers that a node's vault keeps for a flow, once the flow has ended."""

from host.db import Vaults
from host.db.requests import forget_answers, holds_answers
from host.flow.events import EventSink, FlowEnded, FlowEngineEvent


class SpentAnswers:
    """An `EventSink` before another one.

    The end of a flow is durable before it is told. What a crash in between leaves behind is space,
    never a wrong answer.
    """

    def __init__(self, vaults: Vaults, *, then: EventSink) -> None:
        self._vaults = vaults
        self._then = then

    def __call__(self, event: FlowEngineEvent) -> None:
        """Pass the event on, then tidy up after a flow that ended."""
        self._then(event)
        if isinstance(event, FlowEnded):
            with self._vaults.read(event.holding_id) as connection:
                is_kept = holds_answers(connection, event.flow_id)
            if is_kept:
                with self._vaults.write(event.holding_id) as connection:
                    forget_answers(connection, event.flow_id)
