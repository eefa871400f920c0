"""Session payloads in transit: split into messages, and kept until the flow reads them.

Pure. A small payload is kept as its text. A large one, and every chunk of one, is kept as a piece,
whose text can be stored beside the flow's checkpoint (`host.flow.core.offloaded_payloads`).
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.flow.core.config import FlowConfig
from host.flow.core.messages import Chunk, Data, Init, Payload, SessionMessage

APART_CHARACTERS_MIN = 4096
"""Payloads of at least this length are not stored in the checkpoint."""


WITHIN_CHARACTERS_MAX = 64 * 1024
"""Maximum characters of all small payloads of one session in the checkpoint."""


class Piece(Struct, frozen=True, kw_only=True, array_like=True):
    """A large payload or a part of one, by the number of the message that brought it.

    `text` is None while it is stored beside the checkpoint.
    """

    sequence: int
    characters: int
    text: str | None


Unread: TypeAlias = str | tuple[Piece, ...]
"""A payload (JSON text) that the flow has not read yet."""


class Portion(Struct, frozen=True, kw_only=True, tag="portion"):
    """Data on the receiving side; `last` marks the end of the payload."""

    piece: Piece
    last: bool


Held: TypeAlias = Payload | Portion
"""Payloads that a session processes in sequence: chunks and large data as portions."""


class Early(Struct, frozen=True, kw_only=True):
    """A message that arrived before an earlier one."""

    sequence: int
    payload: Held


def cut(payload: str, config: FlowConfig, init: Init | None) -> list[Data | Chunk]:
    """The payloads of the messages that carry `payload`; each carries `init` as well.

    Raises:
        CapabilityError: `session-payload-too-large`.
    """
    size = len(payload.encode())
    if size > config.max_payload_bytes:
        raise CapabilityError(
            "session-payload-too-large",
            f"a payload has {size} bytes, at most {config.max_payload_bytes} are sent",
        )
    length = config.chunk_characters
    if len(payload) <= length:
        return [Data(payload=payload, init=init)]
    return [
        Chunk(payload=payload[at : at + length], last=at + length >= len(payload), init=init)
        for at in range(0, len(payload), length)
    ]


def held(message: SessionMessage, inbox: Sequence[Unread]) -> Held:
    """The message's payload as the receiving side stores it, given its unread `inbox`.

    A small payload is stored in the checkpoint, unless too many are there already.
    """
    payload = message.payload
    if not isinstance(payload, Data | Chunk):
        return payload
    text = payload.payload
    within = sum(len(unread) for unread in inbox if isinstance(unread, str))
    is_small = len(text) < APART_CHARACTERS_MIN and within + len(text) <= WITHIN_CHARACTERS_MAX
    if isinstance(payload, Data) and is_small:
        return payload
    piece = Piece(sequence=message.sequence, characters=len(text), text=text)
    return Portion(piece=piece, last=not isinstance(payload, Chunk) or payload.last)


def characters_of(inbox: Iterable[Unread], partial: Iterable[Piece], early: Iterable[Early]) -> int:
    """Characters that a session holds and its flow has not read."""
    total = sum(piece.characters for piece in partial)
    for unread in inbox:
        total += len(unread) if isinstance(unread, str) else sum(p.characters for p in unread)
    for ahead in early:
        if isinstance(ahead.payload, Portion):
            total += ahead.payload.piece.characters
        elif isinstance(ahead.payload, Data):
            total += len(ahead.payload.payload)
    return total


def text_of(unread: Unread) -> str:
    """The whole payload; all of its pieces must have their texts."""
    if isinstance(unread, str):
        return unread
    texts = [piece.text for piece in unread if piece.text is not None]
    assert len(texts) == len(unread)  # noqa: S101  # fetched before a flow reads
    return "".join(texts)
