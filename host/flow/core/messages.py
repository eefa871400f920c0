"""The messages on the flow topics, and their encoding.

Persisted values are msgspec structs: tagged unions that decode to the class that was encoded.
Every record carries its format version `v`; a decoder exists for each version ever written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from host.domain.errors import HostError
from host.domain.guest_text import TYPE_CHARACTERS_MAX, cut_line, cut_message
from host.domain.ids import EpochMs, FlowId, HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.flow.core.versioned_codec import read_stored
from host.ports.bus import NOBODY, Placement

START_TOPIC = "flow.mapper.start"
OUT_TOPIC = "flow.mapper.session.out"
P2P_OUT_TOPIC = "p2p.out"
"""Messages to members on other clusters, keyed by the pair of source and target."""
IN_TOPIC = "flow.mapper.session.in"
EVENT_TOPIC = "flow.event"
DEAD_LETTER_TOPIC = "flow.event.dlq"
DISCARDED_TOPIC = "flow.event.discarded"
"""Dead letters that an operator has discarded; no relay sends them."""
WORK_TOPICS = (START_TOPIC, OUT_TOPIC, IN_TOPIC, EVENT_TOPIC)
GROUP = "flow"

_ENVELOPE_BYTES = 300
"""Approximate bytes of a failure message besides its text: names, ids and braces."""

INITIATED = "-INITIATED"
"""Suffix of the session id of the initiated side."""


class Party(Struct, frozen=True):
    """A holding identity as text."""

    name: str
    group_id: str

    @staticmethod
    def of(holding: HoldingIdentity) -> "Party":
        return Party(name=str(holding.x500_name), group_id=holding.group_id)

    def holding(self) -> HoldingIdentity:
        """The identity.

        Raises:
            InvalidX500NameError: the name is not valid.
        """
        return _holding(self.name, self.group_id)

    def node(self) -> ShortHash:
        """The party's short hash; `NOBODY` if its name is not valid."""
        return _node(self.name, self.group_id)


@lru_cache(maxsize=4096)
def _holding(name: str, group_id: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)


@lru_cache(maxsize=4096)
def _node(name: str, group_id: str) -> ShortHash:
    try:
        return _holding(name, group_id).short_hash
    except HostError:
        return NOBODY


class Init(Struct, frozen=True, kw_only=True):
    """Opens a session; included in its messages until the initiated side has answered.

    `context` holds the initiator's user properties, `platform` its platform properties.
    """

    protocol: str
    versions: tuple[int, ...]
    require_close: bool
    context: dict[str, str]
    platform: dict[str, str] = {}


class Data(Struct, frozen=True, kw_only=True, tag="data"):
    """One payload, JSON text."""

    payload: str
    init: Init | None = None


class Chunk(Struct, frozen=True, kw_only=True, tag="chunk"):
    """A part of a payload that is larger than one message; the receiver joins the parts."""

    payload: str
    last: bool
    init: Init | None = None


class InfoRequest(Struct, frozen=True, kw_only=True, tag="info-request"):
    init: Init


class InfoResponse(Struct, frozen=True, kw_only=True, tag="info-response"):
    """Answers `InfoRequest`; the facts are in the message itself."""


class Close(Struct, frozen=True, kw_only=True, tag="close"):
    pass


class SessionFailure(Struct, frozen=True, kw_only=True, tag="error"):
    """The sender's side of the session failed."""

    code: str
    message: str

    def __post_init__(self) -> None:
        """Truncate long texts: a failure is sent to every session of a flow, and stored there."""
        force_setattr(self, "code", cut_line(self.code, TYPE_CHARACTERS_MAX))
        force_setattr(self, "message", cut_message(self.message))


Payload: TypeAlias = Data | Chunk | InfoRequest | InfoResponse | Close | SessionFailure


class SessionMessage(Struct, frozen=True, kw_only=True, tag="session"):
    """A message to the session `session_id` of `target`.

    `sequence` counts from 1 per direction; errors have 0 and are processed at once. `version` is
    the protocol version that the initiated side has chosen.
    """

    v: int = 1
    session_id: str
    sequence: int
    source: Party
    target: Party
    payload: Payload
    version: int | None = None


class StartFlow(Struct, frozen=True, kw_only=True, tag="start"):
    """A client's request to start a flow.

    `body` is JSON text; a large one is stored in a state of its own, and `body_bytes` is its size.
    `trace` is the `traceparent` of the request.
    """

    v: int = 1
    client_request_id: str
    holding: Party
    cpi_checksum: str
    flow_class: str
    body: str | None
    requested_at: EpochMs
    body_bytes: int = 0
    trace: str | None = None


class Respond(Struct, frozen=True, kw_only=True, tag="respond"):
    """The first message of a session that another flow opened: starts the responder."""

    v: int = 1
    message: SessionMessage


class Wake(Struct, frozen=True, kw_only=True, tag="wake"):
    """A timer of the flow is due."""

    v: int = 1


class KillFlow(Struct, frozen=True, kw_only=True, tag="kill"):
    """An operator ends the flow; `reason` becomes its error's message."""

    v: int = 1
    reason: str


FlowEvent: TypeAlias = StartFlow | Respond | SessionMessage | Wake | KillFlow
"""Values of `EVENT_TOPIC`; the record's key is the flow id."""
StartRequest: TypeAlias = StartFlow | KillFlow
"""Values of `START_TOPIC`; the record's key is `start_key`."""

_encoder = msgspec.json.Encoder()
_event_decoder: msgspec.json.Decoder[FlowEvent] = msgspec.json.Decoder(FlowEvent)
_start_decoder: msgspec.json.Decoder[StartRequest] = msgspec.json.Decoder(StartRequest)
_message_decoder = msgspec.json.Decoder(SessionMessage)


def encode(value: Struct) -> bytes:
    return _encoder.encode(value)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a step sends. It is encoded once, and queues hold these bytes."""

    message: SessionMessage
    value: bytes

    @staticmethod
    def all(messages: Iterable[SessionMessage]) -> "list[Sent]":
        return [Sent(message, encode(message)) for message in messages]

    @property
    def charged(self) -> int:
        """Bytes that it is charged on the bus; messages that end a session count 0.

        A flow must be able to close its sessions even if its node has no room.
        """
        match self.message.payload:
            case SessionFailure(message=text):
                return len(text) + _ENVELOPE_BYTES
            case Data() | Chunk() | InfoRequest():
                # The init, with its names and properties, is part of each message until the peer
                # has answered, and may be far larger than the payload.
                return len(self.value)
            case _:
                return 0


def decode_event(data: bytes) -> FlowEvent:
    """Read a record's value.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_event_decoder, data, "a flow event")


def decode_start(data: bytes) -> StartRequest:
    """Read a record's value.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_start_decoder, data, "a start request")


def decode_message(data: bytes) -> SessionMessage:
    """Read a record's value.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_message_decoder, data, "a session message")


def other_side(session_id: str) -> str:
    """The peer's id of a session: the initiated side's ends with `-INITIATED`."""
    if session_id.endswith(INITIATED):
        return session_id.removesuffix(INITIATED)
    return session_id + INITIATED


def start_key(client_request_id: str, short_hash: str) -> str:
    """Key of a start request: one flow per client request id and virtual node."""
    return f"{client_request_id}-{short_hash}"


def flow_state_key(flow_id: FlowId) -> str:
    return f"flow/{flow_id}"


def due_place(key: str) -> Placement:
    """The owner of a due state: that of the partition of `key`, a flow's id or a state's key."""
    return Placement(group=GROUP, key=key)
