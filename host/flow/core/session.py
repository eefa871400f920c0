"""The session state machine: ordered, deduplicated messages between two flows.

Payloads larger than a message travel as chunks, each with a sequence number of its own. Received
data is kept in pieces, so that large ones can be stored beside the flow's checkpoint
(`host.flow.core.offloaded_payloads`).

Pure: a session and a message give a new session and messages to send. Delivery belongs to the
bus; waiting belongs to the flow. `TRANSITIONS` is the whole of the receiving side.
Source: Corda 5.1+ session protocol (session-manager-impl): sequence numbers from 1, the init is
part of the first message, only the initiated side sends a close.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from host.domain.capability_error import CapabilityError
from host.domain.flow import specific_code
from host.domain.ids import EpochMs
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.messages import (
    Close,
    Data,
    InfoRequest,
    InfoResponse,
    Init,
    Party,
    Payload,
    SessionFailure,
    SessionMessage,
    other_side,
)
from host.flow.core.payloads import (
    Early,
    Held,
    Piece,
    Portion,
    Unread,
    characters_of,
    cut,
    held,
    text_of,
)

EARLY_MAX = 1000
"""Maximum messages that a session buffers while an earlier one is missing."""
UNREAD_MAX = 1000
UNREAD_CHARACTERS_MAX = 32 * 1024 * 1024
"""Maximum unread characters from a peer, or twice the largest payload if that is more."""


class SessionStatus(StrEnum):
    CREATED = "CREATED"
    CONFIRMED = "CONFIRMED"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    ERROR = "ERROR"

    @property
    def is_over(self) -> bool:
        return self in (SessionStatus.CLOSED, SessionStatus.ERROR)


class Session(Struct, frozen=True, kw_only=True):
    """One side of a session.

    `received` is the last sequence number of the contiguous prefix, `inbox` holds unread payloads,
    `partial` the chunks of an incomplete one, `last_heard` the time of the last message (or of the
    opening). `platform` is sent to the responder with `context`.
    """

    id: str
    initiator: bool
    me: Party
    peer: Party
    protocol: str
    versions: tuple[int, ...]
    version: int | None = None
    require_close: bool
    context: dict[str, str]
    timeout_ms: int
    last_heard: EpochMs
    status: SessionStatus = SessionStatus.CREATED
    sent: int = 0
    received: int = 0
    inbox: tuple[Unread, ...] = ()
    early: tuple[Early, ...] = ()
    peer_closed: bool = False
    failure: SessionFailure | None = None
    partial: tuple[Piece, ...] = ()
    payload_max: int = CORDA_DEFAULTS.max_payload_bytes
    platform: dict[str, str] = {}

    @property
    def expires_at(self) -> EpochMs:
        return EpochMs(self.last_heard + self.timeout_ms)


@dataclass(frozen=True, slots=True)
class Change:
    """A session after an event, and the messages to send."""

    session: Session
    outbox: tuple[SessionMessage, ...] = ()


def receive(session: Session, message: SessionMessage, now: EpochMs) -> Change:
    """Process a received message: errors at once, others in sequence, each number once."""
    session = replace(session, last_heard=now)
    if isinstance(message.payload, SessionFailure):
        return Change(_in_error(session, session.failure or message.payload))
    if message.sequence <= session.received or any(
        e.sequence == message.sequence for e in session.early
    ):
        return Change(session)
    if session.status is SessionStatus.ERROR and message.sequence > session.received + 1:
        return Change(session)
    if len(session.early) >= EARLY_MAX:
        return _mismatch(session, f"more than {EARLY_MAX} messages ahead of sequence")
    if session.version is None and message.version is not None:
        session = replace(session, version=message.version)
    early = (*session.early, Early(sequence=message.sequence, payload=held(message, session.inbox)))
    unread = characters_of(session.inbox, session.partial, early)
    if unread > max(UNREAD_CHARACTERS_MAX, 2 * session.payload_max):
        return _mismatch(session, "too much data is unread")
    return _deliver(replace(session, early=tuple(sorted(early, key=lambda e: e.sequence))))


def _deliver(session: Session) -> Change:
    outbox: tuple[SessionMessage, ...] = ()
    while session.early and session.early[0].sequence == session.received + 1:
        payload = session.early[0].payload
        session = replace(session, early=session.early[1:], received=session.received + 1)
        change = TRANSITIONS[session.status, type(payload)](session, payload)
        session, outbox = change.session, outbox + change.outbox
    return Change(session, outbox)


def _data(session: Session, payload: Held) -> Change:
    assert isinstance(payload, Data)  # noqa: S101  # the table's key
    if session.partial:
        return _mismatch(session, "a message came between the chunks of a payload")
    return _unread(session, payload.payload)


def _portion(session: Session, payload: Held) -> Change:
    assert isinstance(payload, Portion)  # noqa: S101  # the table's key
    partial = (*session.partial, payload.piece)
    if sum(p.characters for p in partial) > session.payload_max:
        return _mismatch(session, f"a payload has more than {session.payload_max} bytes")
    if payload.last:
        return _unread(replace(session, partial=()), partial)
    return Change(replace(session, status=SessionStatus.CONFIRMED, partial=partial))


def _unread(session: Session, unread: Unread) -> Change:
    if len(session.inbox) >= UNREAD_MAX:
        return _mismatch(session, "too much data is unread")
    inbox = (*session.inbox, unread)
    return Change(replace(session, status=SessionStatus.CONFIRMED, inbox=inbox))


def _info_asked(session: Session, _: Held) -> Change:
    if session.initiator:
        return _mismatch(session, "an initiator was asked for counterparty information")
    return _emit(replace(session, status=SessionStatus.CONFIRMED), InfoResponse())


def _info_answered(session: Session, _: Held) -> Change:
    return Change(replace(session, status=SessionStatus.CONFIRMED))


def _peer_closes(session: Session, _: Held) -> Change:
    if not session.initiator:
        return _mismatch(session, "a close came from the initiator")
    if session.partial:
        return _mismatch(session, "the peer closed in the middle of a payload")
    return Change(replace(session, status=SessionStatus.CLOSING, peer_closed=True))


def _close_awaited(session: Session, _: Held) -> Change:
    if session.peer_closed:
        return _mismatch(session, "the peer closed twice")
    return Change(replace(session, status=SessionStatus.CLOSED, peer_closed=True))


def _data_while_closing(session: Session, _: Held) -> Change:
    return _mismatch(session, "the session has been closed with unprocessed data")


def _data_when_over(session: Session, _: Held) -> Change:
    return _mismatch(session, f"data arrived in status {session.status}")


def _ignored(session: Session, _: Held) -> Change:
    return Change(session)


_S = SessionStatus
TRANSITIONS: Mapping[tuple[SessionStatus, type[Held]], Callable[[Session, Held], Change]] = {
    (_S.CREATED, Data): _data,
    (_S.CREATED, Portion): _portion,
    (_S.CREATED, InfoRequest): _info_asked,
    (_S.CREATED, InfoResponse): _info_answered,
    (_S.CREATED, Close): _peer_closes,
    (_S.CONFIRMED, Data): _data,
    (_S.CONFIRMED, Portion): _portion,
    (_S.CONFIRMED, InfoRequest): _info_asked,
    (_S.CONFIRMED, InfoResponse): _info_answered,
    (_S.CONFIRMED, Close): _peer_closes,
    (_S.CLOSING, Data): _data_while_closing,
    (_S.CLOSING, Portion): _data_while_closing,
    (_S.CLOSING, InfoRequest): _ignored,
    (_S.CLOSING, InfoResponse): _ignored,
    (_S.CLOSING, Close): _close_awaited,
    (_S.CLOSED, Data): _data_when_over,
    (_S.CLOSED, Portion): _data_when_over,
    (_S.CLOSED, InfoRequest): _ignored,
    (_S.CLOSED, InfoResponse): _ignored,
    (_S.CLOSED, Close): _ignored,
    (_S.ERROR, Data): _data_when_over,
    (_S.ERROR, Portion): _data_when_over,
    (_S.ERROR, InfoRequest): _ignored,
    (_S.ERROR, InfoResponse): _ignored,
    (_S.ERROR, Close): _ignored,
}


def send(session: Session, payload: str, config: FlowConfig = CORDA_DEFAULTS) -> Change:
    """Send a payload (JSON text), in chunks if it is large.

    The messages of an initiator include the init until the peer has answered.

    Raises:
        CapabilityError: `session-closed`, `session-error` or `session-payload-too-large`.
    """
    _require_open(session)
    outbox: tuple[SessionMessage, ...] = ()
    for part in cut(payload, config, _init(session)):
        change = _emit(session, part)
        session, outbox = change.session, outbox + change.outbox
    return Change(session, outbox)


def ask_info(session: Session) -> Change:
    """Open the session without data, unless its first message has been sent."""
    if session.sent or not session.initiator or session.status is not SessionStatus.CREATED:
        return Change(session)
    return _emit(session, InfoRequest(init=_first_init(session)))


def read(session: Session) -> tuple[Session, str] | None:
    """Read the next payload (JSON text); None if none has arrived yet.

    Raises:
        CapabilityError: no payload will arrive: `session-closed` or `session-error`.
    """
    if session.status is SessionStatus.ERROR:
        raise error_of(session)
    if session.inbox:
        return replace(session, inbox=session.inbox[1:]), text_of(session.inbox[0])
    if session.status in (SessionStatus.CLOSING, SessionStatus.CLOSED):
        raise CapabilityError("session-closed", f"the session with {session.peer.name} is closed")
    return None


def is_readable(session: Session) -> bool:
    """Whether `read` has a result: a payload, or the error that none will arrive."""
    return bool(session.inbox) or session.status in (_S.CLOSING, _S.CLOSED, _S.ERROR)


def close(session: Session) -> Change:
    """Close this side.

    The initiated side sends a close (with `require_close`) and is closed. The initiator waits for
    that in CLOSING; without `require_close`, or if nothing was sent, it is closed at once. Unread
    data is an error for both sides.
    """
    if session.status.is_over or (session.status is _S.CLOSING and not session.peer_closed):
        return Change(session)
    if session.inbox or session.partial:
        return _mismatch(session, "the session has been closed with unprocessed data")
    if session.peer_closed:
        return Change(replace(session, status=SessionStatus.CLOSED))
    if not session.initiator:
        closed = replace(session, status=SessionStatus.CLOSED)
        return _emit(closed, Close()) if session.require_close else Change(closed)
    waits = session.require_close and session.sent > 0
    return Change(replace(session, status=_S.CLOSING if waits else _S.CLOSED))


def fail(session: Session, failure: SessionFailure) -> Change:
    """End this side with an error and notify the peer, unless the session has ended already."""
    if session.status.is_over:
        return Change(session)
    failed = _in_error(session, failure)
    if session.initiator and session.sent == 0:
        return Change(failed)
    return Change(failed, (_message(failed, failure, 0),))


def error_of(session: Session) -> CapabilityError:
    """The error of a failed session that its flow gets: the peer's message, and its code."""
    failure = session.failure
    if failure is None:
        return CapabilityError("session-error", "the session failed")
    return CapabilityError(
        "session-error", failure.message, reason_code=specific_code(failure.code)
    )


def refusal(message: SessionMessage, failure: SessionFailure) -> SessionMessage:
    """The error reply to a message without a session."""
    return SessionMessage(
        session_id=other_side(message.session_id),
        sequence=0,
        source=message.target,
        target=message.source,
        payload=failure,
    )


def _require_open(session: Session) -> None:
    if session.status is SessionStatus.ERROR:
        raise error_of(session)
    if session.status in (SessionStatus.CLOSING, SessionStatus.CLOSED):
        raise CapabilityError("session-closed", f"the session with {session.peer.name} is closed")


def _in_error(session: Session, failure: SessionFailure) -> Session:
    """`session` after its failure: its unread data is discarded."""
    status = SessionStatus.ERROR
    return replace(session, status=status, failure=failure, inbox=(), partial=(), early=())


def _mismatch(session: Session, reason: str) -> Change:
    failure = SessionFailure(code="session-mismatch", message=f"session {session.id}: {reason}")
    failed = _in_error(session, failure)
    return Change(failed, (_message(failed, failure, 0),))


def _init(session: Session) -> Init | None:
    """The init, until the peer has answered: messages may overtake the first one."""
    is_unanswered = session.initiator and session.status is SessionStatus.CREATED
    return _first_init(session) if is_unanswered else None


def _first_init(session: Session) -> Init:
    return Init(
        protocol=session.protocol,
        versions=session.versions,
        require_close=session.require_close,
        context=session.context,
        platform=session.platform,
    )


def _emit(session: Session, payload: Payload) -> Change:
    sent = replace(session, sent=session.sent + 1)
    return Change(sent, (_message(sent, payload, sent.sent),))


def _message(session: Session, payload: Payload, sequence: int) -> SessionMessage:
    return SessionMessage(
        session_id=other_side(session.id),
        sequence=sequence,
        source=session.me,
        target=session.peer,
        payload=payload,
        version=None if session.initiator else session.version,
    )
