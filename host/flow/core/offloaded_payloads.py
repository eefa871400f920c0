"""Large payloads are stored beside their flow's checkpoint, in states of their own.

A checkpoint is written at every step and would otherwise contain all unread payloads: here each
piece is written once, read when the flow reads it, and deleted by the step that has read it. A
large result is stored in the same way while the flow waits for its sessions to close.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from host.domain.accounts import Account, Charge
from host.domain.ids import FlowId, ShortHash
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.payloads import Early, Piece, Portion
from host.flow.core.session import Session
from host.ports.state import States, StateWrite

RESULT_CHARACTERS_MAX = 8 * 1024
"""Maximum characters of a result that is stored in the checkpoint."""


def result_key(flow_id: FlowId) -> str:
    return f"inbox/{flow_id}/result"


def offloaded_key(flow_id: FlowId, session_id: str, sequence: int) -> str:
    return f"inbox/{flow_id}/{session_id}/{sequence}"


@dataclass(frozen=True, slots=True)
class Offloaded:
    """A checkpoint without the texts of its pieces, and the states to write beside it."""

    checkpoint: Checkpoint
    writes: tuple[StateWrite, ...]
    keys: frozenset[str]


def offloaded_keys(checkpoint: Checkpoint) -> frozenset[str]:
    """Keys of all states beside the checkpoint: pieces of its sessions, and its result."""
    pieces = frozenset(
        offloaded_key(checkpoint.flow_id, session.id, piece.sequence)
        for session in checkpoint.sessions.values()
        for piece in _pieces(session)
    )
    is_apart = checkpoint.ending is not None and checkpoint.ending.result is None
    return pieces | {result_key(checkpoint.flow_id)} if is_apart else pieces


def offloaded(checkpoint: Checkpoint, stored: frozenset[str]) -> Offloaded:
    """Remove the texts of pieces from a checkpoint.

    Args:
        checkpoint: the checkpoint after the step.
        stored: keys of the pieces that are stored already.
    """
    texts: dict[str, str] = {}
    senders: dict[str, ShortHash] = {}
    sessions: dict[str, Session] = {}
    for session in checkpoint.sessions.values():
        for piece in _pieces(session):
            if piece.text is not None:
                key = offloaded_key(checkpoint.flow_id, session.id, piece.sequence)
                texts[key], senders[key] = piece.text, session.peer.node()
        sessions[session.id] = _emptied(session)
    if texts:
        checkpoint = replace(checkpoint, sessions=sessions)
    node = checkpoint.holding.node()
    checkpoint, result = _without_result(checkpoint)
    keys = offloaded_keys(checkpoint)
    new = [
        StateWrite(
            key=key,
            value=text.encode(),
            expected=0,
            charge=Charge(node=node, account=Account.BUS, peer=senders[key]),
        )
        for key, text in texts.items()
        if key not in stored
    ]
    if result is not None and (key := result_key(checkpoint.flow_id)) not in stored:
        charge = Charge(node=node, account=Account.JOURNAL)
        new.append(StateWrite(key=key, value=result.encode(), expected=0, charge=charge))
    gone = (StateWrite(key=key, value=None, expected=1) for key in sorted(stored - keys))
    return Offloaded(checkpoint, (*new, *gone), keys)


def _without_result(checkpoint: Checkpoint) -> tuple[Checkpoint, str | None]:
    """The checkpoint without a large result, and that result."""
    ending = checkpoint.ending
    if ending is None or ending.result is None or len(ending.result) <= RESULT_CHARACTERS_MAX:
        return checkpoint, None
    return replace(checkpoint, ending=replace(ending, result=None)), ending.result


def result_apart(flow_id: FlowId, states: States) -> str:
    """The result of a flow that is stored beside its checkpoint.

    Raises:
        FlowRecordDamagedError: it is missing or damaged.
    """
    return _text(result_key(flow_id), states)


def fetched(checkpoint: Checkpoint, session_ids: tuple[str, ...], states: States) -> Checkpoint:
    """`checkpoint` with the texts that each of the sessions reads next.

    Raises:
        FlowRecordDamagedError: a piece is missing or damaged.
    """
    for session_id in session_ids:
        session = checkpoint.sessions.get(session_id)
        if session is None or not session.inbox or isinstance(session.inbox[0], str):
            continue
        first = tuple(
            piece if piece.text is not None else _read(checkpoint, session, piece, states)
            for piece in session.inbox[0]
        )
        filled = replace(session, inbox=(first, *session.inbox[1:]))
        checkpoint = checkpoint.with_session(filled)
    return checkpoint


def _read(checkpoint: Checkpoint, session: Session, piece: Piece, states: States) -> Piece:
    key = offloaded_key(checkpoint.flow_id, session.id, piece.sequence)
    return replace(piece, text=_text(key, states))


def _text(key: str, states: States) -> str:
    record = states.get(key)
    if record is None:
        raise FlowRecordDamagedError(f"the kept payload {key!r} is not stored")
    try:
        return record.value.decode()
    except UnicodeDecodeError as exc:
        raise FlowRecordDamagedError(f"the kept payload {key!r} is damaged: {exc}") from exc


def _pieces(session: Session) -> Iterator[Piece]:
    for unread in session.inbox:
        if not isinstance(unread, str):
            yield from unread
    yield from session.partial
    for early in session.early:
        if isinstance(early.payload, Portion):
            yield early.payload.piece


def _emptied(session: Session) -> Session:
    """`session` without the texts of its pieces."""
    return replace(
        session,
        inbox=tuple(u if isinstance(u, str) else _bare(u) for u in session.inbox),
        partial=_bare(session.partial),
        early=tuple(_bare_early(e) for e in session.early),
    )


def _bare(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    return tuple(replace(p, text=None) for p in pieces)


def _bare_early(early: Early) -> Early:
    if not isinstance(early.payload, Portion):
        return early
    return replace(early, payload=replace(early.payload, piece=_bare((early.payload.piece,))[0]))
