"""Notes of the session messages that a flow sent and received, for its history.

Pure. A note identifies a message and contains none of its payload.
"""

from msgspec import Struct

from host.domain.ids import EpochMs
from host.flow.core.messages import Chunk, Data, SessionMessage, other_side

NOTES_MAX = 1000
"""Maximum notes between two host calls; further messages are not noted."""


class Note(Struct, frozen=True, kw_only=True, array_like=True):
    """A message of one of the flow's sessions.

    `session` is the flow's own id of the session, `size` the payload's length in characters.
    """

    is_sent: bool
    session: str
    sequence: int
    kind: str
    size: int
    at: EpochMs


def note_sent(message: SessionMessage, now: EpochMs) -> Note:
    return _note(message, now, is_sent=True, session=other_side(message.session_id))


def note_arrived(message: SessionMessage, now: EpochMs) -> Note:
    return _note(message, now, is_sent=False, session=message.session_id)


def with_notes(before: tuple[Note, ...], new: tuple[Note, ...]) -> tuple[Note, ...]:
    """`before` and `new`, truncated to the limit."""
    return (*before, *new)[:NOTES_MAX]


def _note(message: SessionMessage, now: EpochMs, *, is_sent: bool, session: str) -> Note:
    payload = message.payload
    return Note(
        is_sent=is_sent,
        session=session,
        sequence=message.sequence,
        kind=str(payload.__struct_config__.tag),
        size=len(payload.payload) if isinstance(payload, Data | Chunk) else 0,
        at=now,
    )
