"""Where a flow stands: what it waits for, since when, and what happens if nothing changes.

Read from its checkpoint alone: what another cluster does is not known here, and is never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from host.domain.flow import FlowStatus, FlowStatusName
from host.domain.ids import EpochMs
from host.domain.wording import span
from host.flow.core.checkpoint import (
    Asleep,
    AwaitClose,
    AwaitInfo,
    AwaitMessages,
    AwaitProgram,
    AwaitSessions,
    Checkpoint,
    Waiting,
)
from host.flow.core.session import Session, is_readable

_NAMED_MAX = 3
_SESSION_TIMEOUT = "session-timeout"
_IDLE = "flow-idle-timeout"


class StandingKind(StrEnum):
    """What a flow does, or how it ended."""

    STARTING = "starting"
    RUNNING = "running"
    SLEEPING = "sleeping"
    WAITS_FOR_PEER = "waits-for-peer"
    WAITS_FOR_LEDGER = "waits-for-ledger"
    CLOSING = "closing"
    COMPLETED = "completed"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a flow stands.

    Attributes:
        title: one sentence.
        consequence: what happens if nothing changes.
        since: since when it stands there.
        deadline: when the first timeout ends it, if nothing comes.
        fails_with: the code of that failure.
        peers: counterparties for which it waits.
        step: the number of the host call that waits.
    """

    kind: StandingKind
    title: str
    consequence: str = ""
    since: EpochMs | None = None
    deadline: EpochMs | None = None
    fails_with: str = ""
    peers: Sequence[str] = ()
    step: int | None = None


def with_stopped(standing: Standing, stopped: Mapping[str, str]) -> Standing:
    """With the cause, if a counterparty for which the flow waits is stopped on this cluster.

    Args:
        standing: of the flow.
        stopped: states of the nodes that do not run, by name, such as `PAUSED`.
    """
    causes = [
        f"{name} is {stopped[name].lower()} on this cluster, and takes nothing."
        for name in standing.peers
        if name in stopped
    ]
    words = (*causes[:_NAMED_MAX], standing.consequence) if causes else (standing.consequence,)
    return replace(standing, consequence=" ".join(filter(None, words)))


def standing_of_ended(status: FlowStatus) -> Standing:
    """How a flow ended."""
    if status.status is FlowStatusName.COMPLETED:
        return Standing(
            kind=StandingKind.COMPLETED, title="It has completed", since=status.updated_at
        )
    code = "" if status.error is None else status.error.code
    message = "" if status.error is None else status.error.message
    if status.status is FlowStatusName.KILLED:
        return Standing(
            kind=StandingKind.KILLED,
            title="It was killed",
            consequence=message,
            since=status.updated_at,
        )
    return Standing(
        kind=StandingKind.FAILED,
        title=f"It failed with {code}" if code else "It failed",
        consequence=message,
        since=status.updated_at,
        fails_with=code,
    )


def standing_of_start(status: FlowStatus) -> Standing:
    """Of a flow that was accepted, and has not run yet."""
    return Standing(
        kind=StandingKind.STARTING,
        title="It waits for its first turn",
        consequence="A worker takes it once the flows of its node before it have had theirs.",
        since=status.updated_at,
    )


def standing_of(checkpoint: Checkpoint, now: EpochMs) -> Standing:
    """Of a flow that has begun."""
    if checkpoint.ending is not None:
        return _closing(checkpoint, checkpoint.ending.sessions)
    waiting = checkpoint.waiting
    if waiting is None:
        return Standing(
            kind=StandingKind.RUNNING,
            title="It runs",
            consequence="It has a turn, or waits for the next one of its node.",
            since=checkpoint.created_at if not checkpoint.calls else None,
        )
    return _waiting(checkpoint, waiting, now)


def _waiting(checkpoint: Checkpoint, waiting: Waiting, now: EpochMs) -> Standing:
    step, since = waiting.call, waiting.since or None
    match waiting.condition:
        case Asleep(until=until):
            return Standing(
                kind=StandingKind.SLEEPING,
                title=f"It sleeps for {span(max(until - now, 0))} more",
                consequence="Then it goes on by itself.",
                since=since,
                step=step,
            )
        case AwaitMessages(sessions=ids) | AwaitSessions(sessions=ids):
            return _peers(checkpoint, ids, since, step, "a message from")
        case AwaitInfo(session=one):
            return _peers(checkpoint, (one,), since, step, "the answer to its first message from")
        case AwaitClose(sessions=ids):
            return _peers(checkpoint, ids, since, step, "the end of the session with")
        case AwaitProgram():
            return _program(checkpoint, since, step)


def _program(checkpoint: Checkpoint, since: EpochMs | None, step: int) -> Standing:
    """Of a flow whose ledger operation runs step by step, such as finality."""
    program = checkpoint.program
    inner = None if program is None else program.condition
    if isinstance(inner, AwaitSessions):
        return _peers(
            checkpoint, inner.sessions, since, step, "an answer to its ledger operation from"
        )
    return Standing(
        kind=StandingKind.WAITS_FOR_LEDGER,
        title="Its ledger operation runs",
        consequence="The flow goes on when the operation has ended.",
        since=since,
        deadline=inner.until if isinstance(inner, Asleep) else None,
        step=step,
    )


def _closing(checkpoint: Checkpoint, ids: Sequence[str]) -> Standing:
    open_ones = [checkpoint.sessions[i] for i in ids if i in checkpoint.sessions]
    names = _names([s for s in open_ones if not s.status.is_over])
    return Standing(
        kind=StandingKind.CLOSING,
        title=f"Its code has returned; it waits for {names or 'its sessions'} to close",
        consequence="Its result stands; it is shown once the sessions are closed.",
        peers=tuple(sorted({s.peer.name for s in open_ones})),
    )


def _peers(
    checkpoint: Checkpoint, ids: Sequence[str], since: EpochMs | None, step: int, what: str
) -> Standing:
    held = [checkpoint.sessions[i] for i in ids if i in checkpoint.sessions]
    silent = [s for s in held if not is_readable(s) and not s.status.is_over]
    deadline, code = _first_timeout(checkpoint)
    return Standing(
        kind=StandingKind.WAITS_FOR_PEER,
        title=f"It waits for {what} {_names(silent) or 'its counterparty'}",
        consequence=""
        if deadline is None
        else f"If nothing comes until then, the flow fails with {code}.",
        since=since,
        deadline=deadline,
        fails_with=code,
        peers=tuple(sorted({s.peer.name for s in silent})),
        step=step,
    )


def _first_timeout(checkpoint: Checkpoint) -> tuple[EpochMs | None, str]:
    """When the flow fails if nothing comes, and with which code: a session or the flow expires."""
    times = [
        (s.expires_at, _SESSION_TIMEOUT)
        for s in checkpoint.sessions.values()
        if not s.status.is_over
    ]
    if checkpoint.idle_at is not None:
        times.append((checkpoint.idle_at, _IDLE))
    return min(times, default=(None, ""))


def _names(sessions: Sequence[Session]) -> str:
    names = sorted({s.peer.name for s in sessions})
    shown = ", ".join(names[:_NAMED_MAX])
    return f"{shown} and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else shown
