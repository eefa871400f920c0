"""Host calls that change only the flow itself: sessions, sub-flows, context, sleep.

Pure: a checkpoint and a request give an answer, or a condition to wait for. A waiting call is
repeated when the flow resumes; its earlier effects (a first message sent) are then in the
checkpoint and are not repeated.
"""

from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from host.domain.capability_error import CapabilityError
from host.domain.flow import specific_code
from host.domain.ids import EpochMs
from host.flow.core.checkpoint import (
    Asleep,
    AwaitClose,
    AwaitInfo,
    AwaitMessages,
    Checkpoint,
    Condition,
    Scope,
)
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.context_keys import CONTEXT_RESERVED, is_reserved
from host.flow.core.hops import (
    TOO_MANY_DESCENDANTS,
    TOO_MANY_HOPS,
    descendants_of,
    hops_of,
    next_hop,
    share_of,
    too_many_descendants,
    too_many_hops,
)
from host.flow.core.messages import Party, SessionFailure, SessionMessage
from host.flow.core.requests import (
    SESSIONS_MAX,
    ContextGet,
    ContextPut,
    SessionClose,
    SessionInfo,
    SessionOpen,
    SessionReceive,
    SessionSend,
    Sleep,
    SubFlowEnter,
    SubFlowFail,
    SubFlowLeave,
)
from host.flow.core.session import (
    Session,
    SessionStatus,
    ask_info,
    close,
    error_of,
    fail,
    is_readable,
    read,
    send,
)
from host.ports.bus import NewRecord

SCOPES_MAX = 100
CONTEXT_ENTRIES_MAX = 200
CONTEXT_CHARACTERS_MAX = 12_000
"""Of all effective keys and values: they are sent with the first messages of every session."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The call's `ok` as JSON text, with the flow's new state and the records to publish."""

    checkpoint: Checkpoint
    text: str = "null"
    outbox: tuple[SessionMessage, ...] = ()
    records: tuple[NewRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """The call has no answer until `condition` holds."""

    checkpoint: Checkpoint
    condition: Condition
    outbox: tuple[SessionMessage, ...] = ()
    records: tuple[NewRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The call fails for the flow, but has changed it: a close that found unread data."""

    checkpoint: Checkpoint
    error: CapabilityError
    outbox: tuple[SessionMessage, ...] = ()
    records: tuple[NewRecord, ...] = ()


def sleep(
    checkpoint: Checkpoint, request: Sleep, now: EpochMs, config: FlowConfig = CORDA_DEFAULTS
) -> Answer | Wait:
    """Wait for the requested time; a time of 0 is over at once, and costs no step of the engine.

    Raises:
        CapabilityError: `sleep-too-long`.
    """
    if request.millis > config.max_sleep_ms:
        raise CapabilityError(
            "sleep-too-long",
            f"a flow sleeps at most {config.max_sleep_ms} ms at once, not {request.millis}",
        )
    waiting = checkpoint.waiting
    if not request.millis or (waiting is not None and isinstance(waiting.condition, Asleep)):
        return Answer(checkpoint)
    return Wait(checkpoint, Asleep(until=EpochMs(now + request.millis)))


def context(checkpoint: Checkpoint, request: ContextGet | ContextPut) -> Answer:
    if isinstance(request, ContextGet):
        for scope in reversed(checkpoint.stack):
            if request.key in scope.context:
                return Answer(checkpoint, msgspec.json.encode(scope.context[request.key]).decode())
        return Answer(checkpoint)
    if is_reserved(request.key):
        raise CapabilityError(
            "context-key-reserved", f"context key {request.key!r} starts with {CONTEXT_RESERVED!r}"
        )
    top = checkpoint.scope
    if len(top.context) >= CONTEXT_ENTRIES_MAX:
        raise CapabilityError(
            "context-full", f"a flow holds at most {CONTEXT_ENTRIES_MAX} context properties"
        )
    changed = replace(top, context={**top.context, request.key: request.value})
    stack = (*checkpoint.stack[:-1], changed)
    if sum(len(k) + len(v) for k, v in _in_force(stack).items()) > CONTEXT_CHARACTERS_MAX:
        raise CapabilityError(
            "context-full",
            f"context properties have at most {CONTEXT_CHARACTERS_MAX} characters together",
        )
    return Answer(replace(checkpoint, stack=stack))


def _in_force(stack: tuple[Scope, ...]) -> dict[str, str]:
    """Context properties that are visible to the innermost flow."""
    merged: dict[str, str] = {}
    for scope in stack:
        merged |= scope.context
    return merged


def enter(checkpoint: Checkpoint, request: SubFlowEnter) -> Answer:
    if len(checkpoint.stack) >= SCOPES_MAX:
        raise CapabilityError("sub-flow-too-deep", f"sub-flows nest at most {SCOPES_MAX} deep")
    if request.protocol is not None and not request.versions:
        raise CapabilityError("request-invalid", "an initiating sub-flow declares no versions")
    scope = Scope(flow=request.flow, protocol=request.protocol, versions=request.versions)
    return Answer(replace(checkpoint, stack=(*checkpoint.stack, scope)))


def leave(checkpoint: Checkpoint, _: SubFlowLeave) -> Answer | Wait | Refused:
    """Close the sessions of an initiating sub-flow, except those that have failed before."""
    scope = _sub_flow(checkpoint)
    waiting = checkpoint.waiting
    if waiting is not None and isinstance(waiting.condition, AwaitClose):
        awaited = waiting.condition.sessions
        outbox: tuple[SessionMessage, ...] = ()
    else:
        awaited = _open_ids(checkpoint, scope.sessions)
        checkpoint, outbox = _close_each(checkpoint, awaited)
    if _open_ids(checkpoint, awaited):
        return Wait(checkpoint, AwaitClose(sessions=awaited), outbox)
    return _closed(replace(checkpoint, stack=checkpoint.stack[:-1]), awaited, outbox)


def fail_sub_flow(checkpoint: Checkpoint, request: SubFlowFail) -> Answer:
    scope = _sub_flow(checkpoint)
    code = specific_code(request.code) or "sub-flow-failed"
    failure = SessionFailure(code=code, message=request.message)
    outbox: tuple[SessionMessage, ...] = ()
    for session_id in scope.sessions:
        change = fail(checkpoint.sessions[session_id], failure)
        checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    return Answer(replace(checkpoint, stack=checkpoint.stack[:-1]), outbox=outbox)


def open_session(
    checkpoint: Checkpoint,
    request: SessionOpen,
    *,
    session_id: str,
    peer: Party,
    now: EpochMs,
    config: FlowConfig = CORDA_DEFAULTS,
) -> Answer:
    """Open a session in the nearest initiating flow of the stack; nothing is sent yet.

    Raises:
        CapabilityError: `sessions-too-many`, `session-no-protocol`, `flow-hops-too-many` (the chain
            of sessions that led to this flow is too long), or `flow-descendants-too-many` (a
            client's flow would have too many descendants).
    """
    if len(checkpoint.sessions) >= SESSIONS_MAX:
        raise CapabilityError("sessions-too-many", f"a flow has at most {SESSIONS_MAX} sessions")
    depth = next(
        (d for d in reversed(range(len(checkpoint.stack))) if checkpoint.stack[d].protocol), None
    )
    if depth is None:
        raise CapabilityError(
            "session-no-protocol",
            f"{checkpoint.scope.flow} opens a session but no initiating flow is on the stack:"
            " it, or the sub-flow that opens it, needs @initiating_flow(protocol=..)",
        )
    scope = checkpoint.stack[depth]
    merged = _in_force(checkpoint.stack)
    following = _share(checkpoint, merged, config)
    session = Session(
        id=session_id,
        initiator=True,
        me=checkpoint.holding,
        peer=peer,
        protocol=scope.protocol or "",
        versions=scope.versions,
        require_close=request.require_close,
        context={k: v for k, v in merged.items() if not k.startswith(CONTEXT_RESERVED)},
        platform=next_hop(
            {k: v for k, v in merged.items() if k.startswith(CONTEXT_RESERVED)}, following
        ),
        payload_max=config.max_payload_bytes,
        timeout_ms=request.timeout_millis or config.session_timeout_ms,
        last_heard=now,
    )
    changed = replace(scope, sessions=(*scope.sessions, session_id))
    stack = (*checkpoint.stack[:depth], changed, *checkpoint.stack[depth + 1 :])
    opened = replace(checkpoint, stack=stack).with_session(session)
    return Answer(opened, msgspec.json.encode({"session": session_id}).decode())


def _share(checkpoint: Checkpoint, context: dict[str, str], config: FlowConfig) -> int:
    """How many descendants the responder of the next session may have; refuses one too many."""
    hops = hops_of(context) or 0
    if hops >= config.hops_max:
        raise CapabilityError(TOO_MANY_HOPS, too_many_hops(config.hops_max))
    opened = sum(session.initiator for session in checkpoint.sessions.values())
    number = 1 + opened + checkpoint.gone_count
    share = share_of(descendants_of(context, config.descendants_max) or 0, number)
    # A client's flow may open all of its sessions: `SESSIONS_MAX` bounds them.
    if share == 0 and hops > 0:
        raise CapabilityError(TOO_MANY_DESCENDANTS, too_many_descendants(config.descendants_max))
    return max(0, share - 1)


def send_messages(
    checkpoint: Checkpoint, request: SessionSend, config: FlowConfig = CORDA_DEFAULTS
) -> Answer:
    outbox: tuple[SessionMessage, ...] = ()
    for message in request.messages:
        change = send(held(checkpoint, message.session), bytes(message.payload).decode(), config)
        checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    return Answer(checkpoint, outbox=outbox)


def receive_messages(checkpoint: Checkpoint, request: SessionReceive) -> Answer | Wait:
    outbox: tuple[SessionMessage, ...] = ()
    if len(set(request.sessions)) != len(request.sessions):
        raise CapabilityError("request-invalid", "a session is named twice")
    for session_id in request.sessions:
        change = ask_info(held(checkpoint, session_id))
        checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    waits = AwaitMessages(sessions=request.sessions)
    if not all(is_readable(checkpoint.sessions[i]) for i in request.sessions):
        return Wait(checkpoint, waits, outbox)
    _raise_failed(checkpoint, request.sessions)
    texts = []
    for session_id in request.sessions:
        taken = read(checkpoint.sessions[session_id])
        assert taken is not None  # noqa: S101  # decided, and not failed
        checkpoint = checkpoint.with_session(taken[0])
        texts.append(taken[1])
    return Answer(checkpoint, f"[{','.join(texts)}]", outbox)


def session_info(checkpoint: Checkpoint, request: SessionInfo) -> Answer | Wait:
    change = ask_info(held(checkpoint, request.session))
    session = change.session
    checkpoint = checkpoint.with_session(session)
    if session.version is None:
        if not is_readable(session):
            return Wait(checkpoint, AwaitInfo(session=session.id), change.outbox)
        _raise_failed(checkpoint, (session.id,))
        raise CapabilityError("session-closed", f"the session with {session.peer.name} is closed")
    text = msgspec.json.encode(
        {
            "counterparty": session.peer.name,
            "protocol": session.protocol,
            "protocolVersion": session.version,
        }
    ).decode()
    return Answer(checkpoint, text, change.outbox)


def close_sessions(checkpoint: Checkpoint, request: SessionClose) -> Answer | Wait | Refused:
    for session_id in request.sessions:
        held(checkpoint, session_id)
    checkpoint, outbox = _close_each(checkpoint, request.sessions)
    if _open_ids(checkpoint, request.sessions):
        return Wait(checkpoint, AwaitClose(sessions=request.sessions), outbox)
    return _closed(checkpoint, request.sessions, outbox)


def _closed(
    checkpoint: Checkpoint, session_ids: tuple[str, ...], outbox: tuple[SessionMessage, ...]
) -> Answer | Refused:
    for session_id in session_ids:
        session = checkpoint.sessions[session_id]
        if session.status is SessionStatus.ERROR:
            return Refused(checkpoint, error_of(session), outbox)
    return Answer(checkpoint, outbox=outbox)


def _close_each(
    checkpoint: Checkpoint, session_ids: tuple[str, ...]
) -> tuple[Checkpoint, tuple[SessionMessage, ...]]:
    outbox: tuple[SessionMessage, ...] = ()
    for session_id in session_ids:
        change = close(checkpoint.sessions[session_id])
        checkpoint, outbox = checkpoint.with_session(change.session), outbox + change.outbox
    return checkpoint, outbox


def _open_ids(checkpoint: Checkpoint, session_ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(i for i in session_ids if not checkpoint.sessions[i].status.is_over)


def _raise_failed(checkpoint: Checkpoint, session_ids: tuple[str, ...]) -> None:
    for session_id in session_ids:
        session = checkpoint.sessions[session_id]
        if session.status is SessionStatus.ERROR:
            raise error_of(session)


def held(checkpoint: Checkpoint, session_id: str) -> Session:
    """A session of the flow.

    Raises:
        CapabilityError: `session-unknown`.
    """
    session = checkpoint.sessions.get(session_id)
    if session is None:
        raise CapabilityError("session-unknown", f"the flow has no session {session_id!r}")
    return session


def _sub_flow(checkpoint: Checkpoint) -> Scope:
    if len(checkpoint.stack) < 2:
        raise CapabilityError("sub-flow-none", "the flow is in no sub-flow that it could leave")
    return checkpoint.scope
