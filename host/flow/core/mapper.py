"""The flow mapper: maps start requests and sessions to flows.

Pure. A state per start key drops repeated starts; a state per session id routes its messages.
States outlive their flow by the clean-up time, so that late duplicates find them.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from host.domain.ids import FlowId, ShortHash
from host.flow.core.messages import (
    INITIATED,
    Chunk,
    Data,
    InfoRequest,
    Init,
    KillFlow,
    Respond,
    SessionFailure,
    SessionMessage,
    StartFlow,
    StartRequest,
)
from host.flow.core.versioned_codec import read_stored


class MapperState(Struct, frozen=True, kw_only=True):
    """The flow of a start key or session.

    `status` is the key of the flow's status, for sessions that the flow opened itself. `failed`
    marks a session whose initiator failed before its first message arrived: it starts no responder.
    `node` is that of a flow which may not have begun: its first event waits if the node is paused.
    """

    v: int = 1
    flow_id: FlowId
    status: str | None = None
    failed: bool = False
    node: ShortHash | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """The destination of an event, if any. `created` is set when the mapping is new."""

    flow_id: FlowId
    event: StartFlow | Respond | SessionMessage | KillFlow | None
    created: MapperState | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(MapperState)


def encode_state(state: MapperState) -> bytes:
    return _encoder.encode(state)


def decode_state(data: bytes) -> MapperState:
    return read_stored(_decoder, data, "a mapper state")


def session_key(session_id: str) -> str:
    return f"session/{session_id}"


def start_state_key(key: str) -> str:
    return f"start/{key}"


def map_start(state: MapperState | None, start: StartRequest, new_id: FlowId) -> Mapped | None:
    """Assign a flow id to a start request, and to a kill request the id of the flow to kill.

    Returns:
        None if there is nothing to do: the key has started a flow already, or has none to kill.
    """
    if isinstance(start, KillFlow):
        return None if state is None else Mapped(flow_id=state.flow_id, event=start)
    if state is not None:
        return None
    created = MapperState(flow_id=new_id, node=start.holding.node())
    return Mapped(flow_id=new_id, event=start, created=created)


def map_inbound(
    state: MapperState | None, message: SessionMessage, new_id: FlowId
) -> Mapped | SessionFailure | None:
    """Route a message: to its flow, or as the start of a responder.

    Returns:
        The route; a failure for the sender when the session is unknown; None to drop it.
    """
    if state is not None:
        return None if state.failed else Mapped(flow_id=state.flow_id, event=message)
    if init_of(message) is not None:
        created = MapperState(flow_id=new_id, node=message.target.node())
        return Mapped(flow_id=new_id, event=Respond(message=message), created=created)
    if isinstance(message.payload, SessionFailure):
        if not message.session_id.endswith(INITIATED):
            return None
        none = FlowId("")
        return Mapped(flow_id=none, event=None, created=MapperState(flow_id=none, failed=True))
    return SessionFailure(
        code="session-expired", message=f"session {message.session_id} is unknown or has expired"
    )


def init_of(message: SessionMessage) -> Init | None:
    """The init of a session's first message, else None."""
    match message.payload:
        case Data(init=init) | Chunk(init=init):
            return init
        case InfoRequest(init=init):
            return init
        case _:
            return None
