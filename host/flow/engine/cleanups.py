"""Forgets the cleanups of a flow whose end was reported."""

from host.flow.core.events import EventSink, FlowEnded, FlowEngineEvent
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import StateStore, Unit


class CleanupsDone:
    """An `EventSink` that forwards to another one, which releases what ended flows hold.

    The end of a flow is durable before it is reported, and with it the states that start its
    cleanups later. A crash in between, or a sink that fails, leaves them to do it.
    """

    def __init__(self, states: StateStore, *, then: EventSink) -> None:
        self._states = states
        self._then = then

    def __call__(self, event: FlowEngineEvent) -> None:
        """Forward the event, then delete the states of a flow that ended."""
        self._then(event)
        if isinstance(event, FlowEnded):
            for key in event.cleanups:
                self._delete(key)

    def _delete(self, key: str) -> None:
        stored = self._states.get(key)
        if stored is None:
            return
        gone = StateWrite(key=key, value=None, expected=stored.version)
        try:
            self._states.commit(Unit(states=(gone,)))
        except StateConflictError:
            return  # its flow has been started, finds nothing to release and deletes the state
