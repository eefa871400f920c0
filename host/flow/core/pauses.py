"""Flows and pauses of nodes: what waits for a node that is paused does not expire. Pure.

Work of a paused node is set aside (`host.flow.core.aside`), and time stands still for its own
flows (`host.domain.vnode.Pauses.total_ms`). Flows of other nodes may wait for it: their sessions
count as heard of when the pause ends, for the peer could not have answered before.
"""

from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.vnode import NEVER_PAUSED, Pauses
from host.domain.x500 import InvalidX500NameError
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.messages import Party
from host.flow.core.session import Session
from host.flow.core.shift import flow_time


def with_held_sessions(
    checkpoint: Checkpoint,
    now: EpochMs,
    shift_ms: int,
    idle_ms: int,
    pauses_of: Callable[[HoldingIdentity], Pauses],
) -> Checkpoint:
    """The checkpoint, with the times of sessions and flow that a pause of a peer has to move.

    Args:
        checkpoint: of a flow that is woken.
        now: the time of the flow's node.
        shift_ms: that of the node.
        idle_ms: how long the flow may wait without an event.
        pauses_of: those of a peer's node.
    """
    is_idle = checkpoint.idle_at is not None and checkpoint.idle_at <= now
    waiting = [s for s in checkpoint.sessions.values() if not s.status.is_over]
    for session in waiting:
        if not is_idle and session.expires_at > now:
            continue
        heard = _heard(session, now, shift_ms, pauses_of)
        if heard > session.last_heard:
            checkpoint = checkpoint.with_session(replace(session, last_heard=heard))
            idle_at = EpochMs(max(checkpoint.idle_at or 0, heard + idle_ms))
            checkpoint = replace(checkpoint, idle_at=idle_at)
    return checkpoint


def run_at(checkpoint: Checkpoint, at: EpochMs, shift_ms: int) -> Checkpoint:
    """The checkpoint of a flow that is run again at `at` of flow time, or earlier."""
    own = flow_time(at, shift_ms)
    return replace(checkpoint, timer=min(own, checkpoint.timer or own))


def _heard(
    session: Session,
    now: EpochMs,
    shift_ms: int,
    pauses_of: Callable[[HoldingIdentity], Pauses],
) -> EpochMs:
    """When a session was heard of, or could have been again."""
    pauses = _of(session.peer, pauses_of)
    return now if pauses.since is not None else flow_time(pauses.ended_at, shift_ms)


def _of(peer: Party, pauses_of: Callable[[HoldingIdentity], Pauses]) -> Pauses:
    with suppress(InvalidX500NameError):
        return pauses_of(peer.holding())
    return NEVER_PAUSED
