"""The flow state machine: a checkpoint and an event give a new checkpoint and commands.

Pure: the engine performs the commands and writes checkpoint and output in one transaction.
`TRANSITIONS` is the whole machine. A flow that has ended has no checkpoint.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from msgspec.structs import replace

from host.domain.flow import FLOW_FAILED, FlowError, FlowStatusName
from host.domain.guest_text import cut_message
from host.domain.ids import EpochMs
from host.flow.core.checkpoint import (
    AwaitProgram,
    Checkpoint,
    Ending,
    Waiting,
    due_at,
    is_satisfied,
)
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.messages import SessionFailure, SessionMessage
from host.flow.core.program_sessions import expire_lent
from host.flow.core.session import Session, SessionStatus, close, error_of, fail, receive

IDLE_MESSAGE = (
    "Flow has been 'RUNNING' without updates for longer than the configured"
    " 'processing.maxIdleTime' milliseconds"
)
SESSION_TIMEOUT_MESSAGE = (
    "Flow has at least one open session that has not received messages for longer than the"
    " configured 'session.timeout' milliseconds"
)

_FAREWELL_BYTES_MAX = 1024 * 1024
"""Total bytes of the error messages that a failed flow sends to its peers."""


class Phase(StrEnum):
    """The phase of a flow, derived from its checkpoint."""

    RUNNABLE = "RUNNABLE"
    """The guest must run: at the start, or again after an interrupted run."""
    SUSPENDED = "SUSPENDED"
    ENDING = "ENDING"


@dataclass(frozen=True, slots=True)
class Started:
    """The start of the flow was read, possibly for the second time."""


@dataclass(frozen=True, slots=True)
class Arrived:
    message: SessionMessage


@dataclass(frozen=True, slots=True)
class Woken:
    """The flow's timer is due."""


@dataclass(frozen=True, slots=True)
class GuestSuspended:
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class ProgramRan:
    """The program of the waiting call has ended, has to wait, or is to go on in another step."""

    paused: bool


@dataclass(frozen=True, slots=True)
class GuestReturned:
    result: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The flow cannot continue: its own failure, a limit, a fatal platform error."""

    error: FlowError


@dataclass(frozen=True, slots=True)
class Killed:
    """The operator stopped the flow's virtual node."""

    reason: str


Event: TypeAlias = (
    Started | Arrived | Woken | GuestSuspended | ProgramRan | GuestReturned | Broken | Killed
)


@dataclass(frozen=True, slots=True)
class RunGuest:
    """Run the guest from its start, with the journal."""


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Run the program of the waiting call until it ends or has to wait."""


@dataclass(frozen=True, slots=True)
class Send:
    messages: tuple[SessionMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The flow has ended: write its status, delete checkpoint, journal and timer.

    The result of a completed flow is None if it is stored beside the checkpoint.
    """

    status: FlowStatusName
    result: str | None = None
    error: FlowError | None = None


Command: TypeAlias = RunGuest | RunProgram | Send | End


@dataclass(frozen=True, slots=True)
class Transition:
    checkpoint: Checkpoint
    commands: tuple[Command, ...] = ()


def phase_of(checkpoint: Checkpoint) -> Phase:
    if checkpoint.ending is not None:
        return Phase.ENDING
    return Phase.RUNNABLE if checkpoint.waiting is None else Phase.SUSPENDED


def step(
    checkpoint: Checkpoint, event: Event, now: EpochMs, config: FlowConfig = CORDA_DEFAULTS
) -> Transition:
    """Apply one event.

    Raises:
        KeyError: the phase has no transition for this event, a bug of the engine.
    """
    transition = TRANSITIONS[phase_of(checkpoint), type(event)](checkpoint, event, now)
    after = transition.checkpoint
    if not isinstance(event, Woken):
        after = replace(after, idle_at=EpochMs(now + config.max_idle_ms))
    return Transition(_with_timer(after), transition.commands)


def _run(checkpoint: Checkpoint, _: Event, __: EpochMs) -> Transition:
    return Transition(checkpoint, (RunGuest(),))


def _ignore(checkpoint: Checkpoint, _: Event, __: EpochMs) -> Transition:
    return Transition(checkpoint)


def _take(checkpoint: Checkpoint, event: Event, now: EpochMs) -> Transition:
    """Accept a message while the guest is going to run anyway."""
    taken = _arrive(checkpoint, event, now)
    return Transition(taken.checkpoint, (*taken.commands, RunGuest()))


def _arrive(checkpoint: Checkpoint, event: Event, now: EpochMs) -> Transition:
    assert isinstance(event, Arrived)  # noqa: S101  # the table's key
    session = checkpoint.sessions.get(event.message.session_id)
    if session is None:
        return Transition(checkpoint)
    change = receive(session, event.message, now)
    return Transition(checkpoint.with_session(change.session), _sending(change.outbox))


def _arrive_suspended(checkpoint: Checkpoint, event: Event, now: EpochMs) -> Transition:
    taken = _arrive(checkpoint, event, now)
    return _resume(taken.checkpoint, now, taken.commands)


def _woken(checkpoint: Checkpoint, _: Event, now: EpochMs) -> Transition:
    expiry = _expiry(checkpoint, now)
    if expiry is not None:
        return _fail(checkpoint, expiry)
    expired = expire_lent(checkpoint, now)
    return _resume(expired.checkpoint, now, _sending(expired.outbox))


def _resumed(checkpoint: Checkpoint, _: Event, now: EpochMs) -> Transition:
    """A system flow begins in its program; the repeated start of another changes nothing."""
    return Transition(checkpoint) if checkpoint.program is None else _resume(checkpoint, now, ())


def _resume(checkpoint: Checkpoint, now: EpochMs, commands: tuple[Command, ...]) -> Transition:
    waiting, program = checkpoint.waiting, checkpoint.program
    assert waiting is not None  # noqa: S101  # the phase
    if isinstance(waiting.condition, AwaitProgram) and program is not None and not program.ended:
        can_run = program.condition is None or is_satisfied(checkpoint, program.condition, now)
        return Transition(checkpoint, (*commands, RunProgram()) if can_run else commands)
    if not is_satisfied(checkpoint, waiting.condition, now):
        return Transition(checkpoint, commands)
    return Transition(checkpoint, (*commands, RunGuest()))


def _program_ran(checkpoint: Checkpoint, event: Event, now: EpochMs) -> Transition:
    assert isinstance(event, ProgramRan)  # noqa: S101  # the table's key
    return Transition(checkpoint) if event.paused else _resume(checkpoint, now, ())


def _suspend(checkpoint: Checkpoint, event: Event, now: EpochMs) -> Transition:
    assert isinstance(event, GuestSuspended)  # noqa: S101  # the table's key
    suspended = replace(checkpoint, waiting=event.waiting)
    return _resume(suspended, now, ())


def _return(checkpoint: Checkpoint, event: Event, _: EpochMs) -> Transition:
    assert isinstance(event, GuestReturned)  # noqa: S101  # the table's key
    outbox: tuple[SessionMessage, ...] = ()
    for session in tuple(checkpoint.sessions.values()):
        change = close(session)
        checkpoint = checkpoint.with_session(change.session)
        outbox += change.outbox
    open_ids = tuple(s.id for s in checkpoint.sessions.values() if not s.status.is_over)
    ending = Ending(result=event.result, sessions=open_ids)
    ended = _end_if_closed(replace(checkpoint, waiting=None, ending=ending))
    return Transition(ended.checkpoint, (*_sending(outbox), *ended.commands))


def _arrive_ending(checkpoint: Checkpoint, event: Event, now: EpochMs) -> Transition:
    taken = _arrive(checkpoint, event, now)
    ended = _end_if_closed(taken.checkpoint)
    return Transition(ended.checkpoint, (*taken.commands, *ended.commands))


def _woken_ending(checkpoint: Checkpoint, _: Event, now: EpochMs) -> Transition:
    expiry = _expiry(checkpoint, now)
    if expiry is not None:
        return _fail(checkpoint, expiry)
    return Transition(checkpoint)


def _end_if_closed(checkpoint: Checkpoint) -> Transition:
    ending = checkpoint.ending
    assert ending is not None  # noqa: S101  # the phase
    awaited = [checkpoint.sessions[i] for i in ending.sessions]
    for session in awaited:
        if session.status is SessionStatus.ERROR:
            lost = error_of(session)
            code = lost.reason_code or lost.code
            error = FlowError(type=FLOW_FAILED, code=code, message=lost.message)
            return _fail(checkpoint, error)
    if all(s.status.is_over for s in awaited):
        end = End(status=FlowStatusName.COMPLETED, result=ending.result)
        return Transition(checkpoint, (end,))
    return Transition(checkpoint)


def _break(checkpoint: Checkpoint, event: Event, _: EpochMs) -> Transition:
    assert isinstance(event, Broken)  # noqa: S101  # the table's key
    return _fail(checkpoint, event.error)


def _fail(checkpoint: Checkpoint, error: FlowError) -> Transition:
    return _end_in_error(checkpoint, End(status=FlowStatusName.FAILED, error=error))


def _kill(checkpoint: Checkpoint, event: Event, _: EpochMs) -> Transition:
    assert isinstance(event, Killed)  # noqa: S101  # the table's key
    error = FlowError(type="flow-killed", message=event.reason)
    return _end_in_error(checkpoint, End(status=FlowStatusName.KILLED, error=error))


def _end_in_error(checkpoint: Checkpoint, end: End) -> Transition:
    assert end.error is not None  # noqa: S101  # both callers give it
    ending = _open_sessions(checkpoint)
    # The message is sent to each peer: the more peers, the more it is truncated.
    message = cut_message(end.error.message, _FAREWELL_BYTES_MAX // max(1, len(ending)))
    failure = SessionFailure(code=end.error.code, message=message)
    outbox: tuple[SessionMessage, ...] = ()
    for session in ending:
        change = fail(session, failure)
        checkpoint = checkpoint.with_session(change.session)
        outbox += change.outbox
    return Transition(checkpoint, (*_sending(outbox), end))


_P = Phase
TRANSITIONS: Mapping[
    tuple[Phase, type[Event]], Callable[[Checkpoint, Event, EpochMs], Transition]
] = {
    (_P.RUNNABLE, Started): _run,
    (_P.RUNNABLE, Arrived): _take,
    (_P.RUNNABLE, Woken): _run,
    (_P.RUNNABLE, GuestSuspended): _suspend,
    (_P.RUNNABLE, GuestReturned): _return,
    (_P.RUNNABLE, Broken): _break,
    (_P.RUNNABLE, Killed): _kill,
    (_P.SUSPENDED, Started): _resumed,
    (_P.SUSPENDED, Arrived): _arrive_suspended,
    (_P.SUSPENDED, Woken): _woken,
    (_P.SUSPENDED, GuestSuspended): _suspend,
    (_P.SUSPENDED, ProgramRan): _program_ran,
    (_P.SUSPENDED, Broken): _break,
    (_P.SUSPENDED, Killed): _kill,
    (_P.ENDING, Started): _ignore,
    (_P.ENDING, Arrived): _arrive_ending,
    (_P.ENDING, Woken): _woken_ending,
    (_P.ENDING, Broken): _break,
    (_P.ENDING, Killed): _kill,
}


def _sending(messages: tuple[SessionMessage, ...]) -> tuple[Command, ...]:
    return (Send(messages),) if messages else ()


def _open_sessions(checkpoint: Checkpoint) -> list[Session]:
    return [s for s in checkpoint.sessions.values() if not s.status.is_over]


def _with_timer(checkpoint: Checkpoint) -> Checkpoint:
    """Set the timer of a waiting flow: when its call is due, or the flow or a session expires."""
    if phase_of(checkpoint) is Phase.RUNNABLE:
        return replace(checkpoint, timer=None)
    times = [s.expires_at for s in _open_sessions(checkpoint)]
    due = due_at(checkpoint)
    if due is not None:
        times.append(due)
    if checkpoint.idle_at is not None:
        times.append(checkpoint.idle_at)
    return replace(checkpoint, timer=min(times, default=None))


def _expiry(checkpoint: Checkpoint, now: EpochMs) -> FlowError | None:
    """The timeout that the waiting flow has hit, or None. Source: FlowTimeoutTaskProcessor.

    The expiry of a session that a program opened is an answer to the program.
    """
    if any(s.expires_at <= now and s.id not in checkpoint.lent for s in _open_sessions(checkpoint)):
        return FlowError(type=FLOW_FAILED, code="session-timeout", message=SESSION_TIMEOUT_MESSAGE)
    if checkpoint.idle_at is not None and checkpoint.idle_at <= now:
        return FlowError(type=FLOW_FAILED, code="flow-idle-timeout", message=IDLE_MESSAGE)
    return None
