"""Timers of flows, as stored: a state beside the checkpoint, due when the flow is woken. Pure."""

import msgspec
from msgspec import Struct

from host.domain.ids import FlowId, ShortHash
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.versioned_codec import read_stored
from host.ports.bus import NOBODY
from host.ports.state import StateRecord


class TimerState(Struct, frozen=True, kw_only=True):
    """The timer of a flow of `node`."""

    v: int = 1
    node: ShortHash


def timer_key(flow_id: FlowId) -> str:
    return f"timer/{flow_id}"


_decoder = msgspec.json.Decoder(TimerState)


def node_of_timer(timer: StateRecord) -> ShortHash:
    """The node of the flow that a timer wakes; `NOBODY` if it is damaged."""
    try:
        return read_stored(_decoder, timer.value, "a timer").node
    except FlowRecordDamagedError:
        return NOBODY
