"""What a program's operations do to a flow's sessions.

Pure: a checkpoint and an operation give a new checkpoint and messages. Each session that a program
opens stands in a scope of its own on the flow's stack, above the guest's.
"""

from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from host.domain.capability_error import CapabilityError
from host.domain.ids import EpochMs
from host.domain.json import JsonObject
from host.flow.core import calls
from host.flow.core.calls import Answer, held
from host.flow.core.checkpoint import AwaitSessions, Checkpoint
from host.flow.core.config import FlowConfig
from host.flow.core.messages import Party, SessionFailure, SessionMessage
from host.flow.core.program_state import error_json
from host.flow.core.requests import SessionOpen, SubFlowEnter
from host.flow.core.session import (
    Session,
    ask_info,
    close,
    fail,
    is_readable,
    read,
    send,
)
from host.ports.programs import TIMED_OUT, Close, FailSession, Open, Receive

GONE_MAX = 200
"""Sessions that are over of which a flow remembers what it received."""
_UNFINISHED = SessionFailure(code="session-error", message="the platform's protocol has ended")


def open_session(
    checkpoint: Checkpoint,
    wanted: Open,
    *,
    session_id: str,
    peer: Party,
    now: EpochMs,
    config: FlowConfig,
) -> Answer:
    """Open a session in a scope of its own; see `calls.open_session`."""
    checkpoint = swept(checkpoint)
    scope = SubFlowEnter(flow=wanted.protocol, protocol=wanted.protocol, versions=wanted.versions)
    entered = calls.enter(checkpoint, scope).checkpoint
    request = SessionOpen(
        counterparty=wanted.counterparty, require_close=False, timeout_millis=wanted.timeout_ms
    )
    answer = calls.open_session(
        entered, request, session_id=session_id, peer=peer, now=now, config=config
    )
    opened = answer.checkpoint
    return Answer(replace(opened, lent=(*opened.lent, session_id)), outbox=answer.outbox)


def counterparties(checkpoint: Checkpoint, session_ids: Sequence[str]) -> list[str]:
    """The names at the other ends of sessions.

    Raises:
        CapabilityError: `session-unknown`.
    """
    return [held(checkpoint, session_id).peer.name for session_id in session_ids]


def end_session(checkpoint: Checkpoint, wanted: Close | FailSession) -> Answer:
    """Close or fail a session; one that the program opened leaves the stack.

    Raises:
        CapabilityError: `session-unknown`; to close one that a guest opened.
    """
    session = held(checkpoint, wanted.session)
    if isinstance(wanted, Close):
        if session.id not in checkpoint.lent:
            raise CapabilityError(
                "session-unknown", f"no program has opened session {session.id!r}"
            )
        change = close(session)
    else:
        change = fail(session, SessionFailure(code=wanted.code, message=wanted.message))
    ended = _without_scope(checkpoint.with_session(change.session), session.id)
    return Answer(swept(ended), outbox=change.outbox)


def send_text(checkpoint: Checkpoint, session_id: str, payload: str, config: FlowConfig) -> Answer:
    """Send a payload, JSON text.

    Raises:
        CapabilityError: as `session.send`.
    """
    change = send(held(checkpoint, session_id), payload, config)
    return Answer(checkpoint.with_session(change.session), outbox=change.outbox)


def asked(checkpoint: Checkpoint, session_ids: Sequence[str]) -> Answer:
    """Before a receive: sessions of which nothing was sent yet are opened at their peers."""
    outbox: tuple[SessionMessage, ...] = ()
    for session_id in session_ids:
        change = ask_info(held(checkpoint, session_id))
        checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    return Answer(checkpoint, outbox=outbox)


def condition_of(checkpoint: Checkpoint, wanted: Receive, now: EpochMs) -> AwaitSessions:
    """What a receive waits for; the time that it gives up at stays the one of its first attempt."""
    program = checkpoint.program
    before = None if program is None else program.condition
    if isinstance(before, AwaitSessions):
        return before
    until = None if wanted.within_ms is None else EpochMs(now + wanted.within_ms)
    return AwaitSessions(sessions=wanted.sessions, any=wanted.any, until=until)


def take_next(checkpoint: Checkpoint, session_id: str) -> tuple[Checkpoint, str | JsonObject]:
    """The next payload of a session, JSON text, or the error that stands for it."""
    try:
        taken = read(held(checkpoint, session_id))
    except CapabilityError as error:
        return checkpoint, error_json(error)
    if taken is None:
        return checkpoint, {"code": TIMED_OUT, "message": f"session {session_id}: no message came"}
    return checkpoint.with_session(taken[0]), taken[1]


def readable(checkpoint: Checkpoint, wanted: Receive) -> tuple[str, ...]:
    """The sessions that a satisfied receive answers for: those that can be read, or all."""
    found = tuple(i for i in wanted.sessions if is_readable(held(checkpoint, i)))
    return found if wanted.any and found else wanted.sessions


def expire_lent(checkpoint: Checkpoint, now: EpochMs) -> Answer:
    """Fail the sessions of programs whose peers have been silent for longer than their timeouts.

    The flow goes on: its program learns of it as of any failed session, and may ask another peer.
    """
    outbox: tuple[SessionMessage, ...] = ()
    for session_id in checkpoint.lent:
        session = checkpoint.sessions[session_id]
        if not session.status.is_over and session.expires_at <= now:
            change = fail(session, _silent(session))
            checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    return Answer(checkpoint, outbox=outbox)


def _silent(session: Session) -> SessionFailure:
    return SessionFailure(
        code="session-timeout",
        message=f"session {session.id}: no message came for {session.timeout_ms} ms",
    )


def finished(checkpoint: Checkpoint, depth: int) -> Answer:
    """After a program's end: scopes that it left open are failed and leave the stack."""
    outbox: tuple[SessionMessage, ...] = ()
    for scope in checkpoint.stack[depth:]:
        for session_id in scope.sessions:
            change = fail(checkpoint.sessions[session_id], _UNFINISHED)
            checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    return Answer(swept(replace(checkpoint, stack=checkpoint.stack[:depth])), outbox=outbox)


def swept(checkpoint: Checkpoint) -> Checkpoint:
    """Without the sessions of programs that are over and in no scope."""
    in_scope = {session_id for scope in checkpoint.stack for session_id in scope.sessions}
    over = {
        i: checkpoint.sessions[i].received
        for i in checkpoint.lent
        if i not in in_scope and checkpoint.sessions[i].status.is_over
    }
    if not over:
        return checkpoint
    gone = {**checkpoint.gone, **over}
    newest = dict(islice(gone.items(), max(0, len(gone) - GONE_MAX), None))
    return replace(
        checkpoint,
        sessions={i: s for i, s in checkpoint.sessions.items() if i not in over},
        lent=tuple(i for i in checkpoint.lent if i not in over),
        gone=newest,
        gone_count=checkpoint.gone_count + len(over),
    )


def _without_scope(checkpoint: Checkpoint, session_id: str) -> Checkpoint:
    if session_id not in checkpoint.lent:
        return checkpoint
    stack = tuple(scope for scope in checkpoint.stack if session_id not in scope.sessions)
    return replace(checkpoint, stack=stack)
