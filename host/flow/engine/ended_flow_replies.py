"""Messages for ended flows: duplicates are dropped, new data is refused.

A network may deliver a message again after the flow that has read it has ended. The flow's status
contains the last received number of each session, only for this check.
"""

from collections.abc import Mapping
from contextlib import suppress

from host.domain.x500 import InvalidX500NameError
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.mapper import decode_state, session_key
from host.flow.core.messages import Chunk, Data, FlowEvent, SessionFailure, SessionMessage
from host.flow.core.session import Session
from host.flow.core.statuses import decode_status, status_key
from host.flow.engine.mapper_worker import refusal_record
from host.ports.bus import NewRecord
from host.ports.state import States


def late_replies(event: FlowEvent, held: Mapping[str, Session], states: States) -> list[NewRecord]:
    """Replies to senders of new data: the session has ended; all other messages are dropped.

    Args:
        event: an event for an ended flow.
        held: the flow's sessions, if it has ended in this step.
        states: otherwise, the store of its status.
    """
    if not isinstance(event, SessionMessage) or not isinstance(event.payload, Data | Chunk):
        return []
    session = held.get(event.session_id)
    received = _received(event, states) if session is None else session.received
    if event.sequence <= received:
        return []
    failure = SessionFailure(code="session-expired", message=f"session {event.session_id} is over")
    return [refusal_record(event, failure)]


def _received(message: SessionMessage, states: States) -> int:
    """The last number that the message's session has received; 0 if it is no longer stored."""
    with suppress(FlowRecordDamagedError, InvalidX500NameError):
        mapped = states.get(session_key(message.session_id))
        key = decode_state(mapped.value).status if mapped is not None else None
        if key is None:
            holding = message.target.holding().short_hash
            key = status_key(holding, message.session_id, responder=True)
        status = states.get(key)
        if status is not None:
            return decode_status(status).received.get(message.session_id, 0)
    return 0
