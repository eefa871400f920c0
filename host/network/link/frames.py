"""Frames: what the bodies of requests and answers between link managers consist of. Pure.

A body is a row of frames. A frame is a header of 36 bytes, big-endian: version (1 byte), kind (1),
flags (2), length of the body (4), session (16), lane (4), counter (8); and a body, MessagePack
arrays in plain or protected (docs/reference/link-protocol.md).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from host.network.values.numbers import Number
from host.ports.link import HEADER_BYTES

VERSION = 1
FRAMES_MAX = 64
"""Frames of one body."""
BODY_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of one body, with its headers."""
HELLO_BYTES_MAX = 4 * 1024
HANDSHAKE_BYTES_MAX = 64 * 1024
UNAUTHENTICATED_BYTES_MAX = 256 * 1024
SESSION_BYTES = 16
LANE_MAX = 2**32 - 1
NO_SESSION = bytes(SESSION_BYTES)

_HEADER = struct.Struct(">BBHI16sIQ")
assert _HEADER.size == HEADER_BYTES  # noqa: S101  # of constants


class FramesUnreadableError(ValueError):
    """A body is not a row of frames of a version that this host supports."""


class Kind(IntEnum):
    INITIATOR_HELLO = 1
    RESPONDER_HELLO = 2
    INITIATOR_HANDSHAKE = 3
    RESPONDER_HANDSHAKE = 4
    DATA = 5
    ACK = 6
    HEARTBEAT = 7
    CLOSE = 8
    UNAUTHENTICATED = 9
    REFUSAL = 10


_KINDS = {kind.value: kind for kind in Kind}
_BYTES_MAX = {
    Kind.INITIATOR_HELLO: HELLO_BYTES_MAX,
    Kind.RESPONDER_HELLO: HELLO_BYTES_MAX,
    Kind.INITIATOR_HANDSHAKE: HANDSHAKE_BYTES_MAX,
    Kind.RESPONDER_HANDSHAKE: HANDSHAKE_BYTES_MAX,
    Kind.UNAUTHENTICATED: UNAUTHENTICATED_BYTES_MAX,
    Kind.REFUSAL: HELLO_BYTES_MAX,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """`length` is that of the body as sent. Of frames outside a session, lane and counter are 0."""

    kind: Kind
    length: int
    session: bytes
    lane: int = 0
    counter: int = 0

    def encode(self) -> bytes:
        return _HEADER.pack(
            VERSION, self.kind, 0, self.length, self.session, self.lane, self.counter
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame; `head` are the bytes of its header, as sent."""

    header: Header
    head: bytes
    body: bytes

    @staticmethod
    def of(header: Header, body: bytes) -> "Frame":
        return Frame(header, header.encode(), body)

    @property
    def kind(self) -> Kind:
        return self.header.kind

    def encode(self) -> bytes:
        return self.head + self.body


def read_header(head: bytes) -> Header:
    """Read the first bytes of a frame.

    Raises:
        FramesUnreadableError: it is cut off, or has an unknown version, flag or kind.
    """
    if len(head) < HEADER_BYTES:
        raise FramesUnreadableError(f"a frame's header of {HEADER_BYTES} bytes has {len(head)}")
    version, kind, flags, length, session, lane, counter = _HEADER.unpack_from(head)
    if version != VERSION:
        raise FramesUnreadableError(f"frame version {version} is unknown, expected {VERSION}")
    if flags != 0:
        raise FramesUnreadableError(f"frame flags {flags:#06x} are unknown, expected none")
    known = _KINDS.get(kind)
    if known is None:
        raise FramesUnreadableError(f"frame kind {kind} is unknown")
    return Header(kind=known, length=length, session=session, lane=lane, counter=counter)


def body_bytes_max(kind: Kind) -> int:
    """Bytes that a body may have whose first frame is of `kind`."""
    return _BYTES_MAX.get(kind, BODY_BYTES_MAX)


def split(data: bytes) -> Sequence[Frame]:
    """The frames of a body: at least one.

    Raises:
        FramesUnreadableError: a frame is unreadable or cut off, or there are none or too many.
    """
    if not data or len(data) > BODY_BYTES_MAX:
        raise FramesUnreadableError(f"a body has {len(data)} bytes, expected 1..{BODY_BYTES_MAX}")
    frames: list[Frame] = []
    start = 0
    while start < len(data):
        if len(frames) == FRAMES_MAX:
            raise FramesUnreadableError(f"a body has more than {FRAMES_MAX} frames")
        head = data[start : start + HEADER_BYTES]
        header = read_header(head)
        start += HEADER_BYTES
        body = data[start : start + header.length]
        start += header.length
        if len(body) != header.length:
            raise FramesUnreadableError(f"a frame of {header.length} bytes is cut off")
        if HEADER_BYTES + header.length > body_bytes_max(header.kind):
            raise FramesUnreadableError(
                f"a frame of kind {header.kind.name} has {header.length} bytes, at most"
                f" {body_bytes_max(header.kind) - HEADER_BYTES} are accepted"
            )
        frames.append(Frame(header, head, body))
    return frames


def join(frames: Sequence[Frame]) -> bytes:
    """The body with these frames."""
    return b"".join(frame.encode() for frame in frames)


class RefusalHint(StrEnum):
    """Hints of a refusal. They prove nothing: whoever ends TLS can send them."""

    REFUSED = "refused"
    BUSY = "busy"
    VERSION = "version"
    UNKNOWN_SESSION = "unknown-session"
    UNKNOWN_HANDSHAKE = "unknown-handshake"
    MOVED = "moved"


class Body(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """A frame's body: a MessagePack array of exactly these fields."""


class Data(Body, frozen=True, kw_only=True):
    """A message; DATA.

    Attributes:
        channel: of the pair, 16 bytes.
        n: number in the channel, from 1.
        base: every smaller number is settled, or was given up.
        ttl_ms: remaining lifetime.
        subsystem, filter: `host.network.values.p2p_out`.
        trace: reserved: empty, and not read. A flow's trace is within its messages' properties.
    """

    channel: bytes
    n: Number
    base: Number
    ttl_ms: Number
    subsystem: str
    filter: str
    message_id: str
    trace: str
    payload: bytes


class Ack(Body, frozen=True, kw_only=True):
    """State of a channel at its receiver; ACK.

    Attributes:
        channel: the channel, or 16 zero bytes if the request had no data.
        upto: every number up to this one was taken.
        ranges: further numbers that were taken, first and last of each row, ascending.
        refused: numbers that will never be taken, with codes.
        credit_messages, credit_bytes: what may be sent next.
        hold_until_ms: how long the receiver takes no messages of flows, in milliseconds from now;
            0 if it does.
        list_version, head_hash: of the receiver's member list.
    """

    channel: bytes
    upto: Number
    ranges: tuple[tuple[Number, Number], ...]
    refused: tuple[tuple[Number, str], ...]
    credit_messages: Number
    credit_bytes: Number
    hold_until_ms: Number
    list_version: Number
    head_hash: bytes


class Heartbeat(Body, frozen=True, kw_only=True):
    """Asks for an acknowledgement; HEARTBEAT."""


class Close(Body, frozen=True, kw_only=True):
    """The sender deletes the session; CLOSE."""

    reason: str


class Unauthenticated(Body, frozen=True, kw_only=True):
    """A registration, encrypted to the MGM's key; UNAUTHENTICATED. `realm` is 32 bytes."""

    realm: bytes
    message_id: str
    sealed: bytes


class Refusal(Body, frozen=True, kw_only=True):
    code: str


_T = TypeVar("_T", bound=Body)
_encoder = msgspec.msgpack.Encoder()


def encode_body(body: Body) -> bytes:
    return _encoder.encode(body)


def decode_body(data: bytes, kind: type[_T]) -> _T:
    """Read a body, as sent or after its protection was removed.

    Raises:
        FramesUnreadableError: it is not exactly one body of this kind.
    """
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise FramesUnreadableError(f"a body of {kind.__name__} cannot be read: {exc}") from exc


def plain(kind: Kind, session: bytes, body: Body) -> Frame:
    """A frame without protection."""
    data = encode_body(body)
    return Frame.of(Header(kind=kind, length=len(data), session=session), data)


def refusal(session: bytes, code: RefusalHint) -> Frame:
    return plain(Kind.REFUSAL, session, Refusal(code=code))
