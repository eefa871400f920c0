"""The frames of a request for one pair: the messages that its peer takes next, or a probe."""

from host.domain.ids import EpochMs
from host.network.link.channel_out import (
    UNACKNOWLEDGED_BYTES_MAX,
    WINDOW,
    base_of,
    expires_at,
)
from host.network.link.frames import FRAMES_MAX, Data, Frame, Heartbeat, Kind
from host.network.link.outgoing import Pair, flow_numbers, payloads
from host.network.link.protection import protect
from host.network.link.sessions import Session
from host.ports.units import StateStore

_FRAME_BYTES = 600
"""More than a frame adds to its payload: header, fields, protection."""
_BODY_BYTES = UNACKNOWLEDGED_BYTES_MAX - FRAMES_MAX * _FRAME_BYTES


def messages(
    store: StateStore,
    pair: Pair,
    session: Session,
    now: EpochMs,
    most: int,
    *,
    flows_wait: bool = False,
) -> list[Frame]:
    """Frames with the pair's next messages: `most`, or as many as its peer has room for.

    `flows_wait` leaves out those of flows: their sender is not at its place yet.

    Raises:
        StorageError: the store cannot be read.
    """
    base = base_of(pair.head, pair.pending)
    frames = []
    for number, message in payloads(
        store, pair.name, _chosen(pair, base, now, most, flows_wait=flows_wait)
    ):
        body = Data(
            channel=pair.head.channel,
            n=number,
            base=base,
            ttl_ms=max(0, expires_at(pair.head, message) - now),
            subsystem=message.subsystem.value,
            filter=message.filter.value,
            message_id=message.message_id,
            trace="",
            payload=message.payload,
        )
        frames.append(_frame(pair, session, Kind.DATA, body))
    return frames


def probe(pair: Pair, session: Session) -> Frame:
    """A frame without a message, which is acknowledged."""
    return _frame(pair, session, Kind.HEARTBEAT, Heartbeat())


def _chosen(
    pair: Pair, base: int, now: EpochMs, unacknowledged: int, *, flows_wait: bool
) -> list[int]:
    """Numbers that are sent next: of flows, none while the peer holds them."""
    is_held = flows_wait or pair.head.hold_until > now
    skipped = flow_numbers(pair.pending) if is_held else set[int]()
    most = min(FRAMES_MAX - 1, unacknowledged, pair.credit_messages)
    room = min(_BODY_BYTES, pair.credit_bytes)
    chosen: list[int] = []
    for number, message in pair.pending.items():
        if number in skipped:
            continue
        room -= message.size
        if number >= base + WINDOW or len(chosen) == most or room < 0:
            break
        chosen.append(number)
    return chosen


def _frame(pair: Pair, session: Session, kind: Kind, body: Data | Heartbeat) -> Frame:
    """A frame with the next number of this process's lane."""
    counter, pair.counter = pair.counter, pair.counter + 1
    return protect(session.keys, session.mode, kind, lane=session.lane, counter=counter, body=body)
