"""Session payloads on their way: cut into what messages hold, and kept until the flow reads them.

Pure. A small payload is kept as its text. A large one, and every chunk of one, is kept as a piece,
whose text can stand beside the flow's checkpoint (`host.flow.core.offloaded_payloads`).
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.flow.core.config import FlowConfig
from host.flow.core.messages import Chunk, Data, Init, Payload, SessionMessage

APART_CHARACTERS_MIN = 4096
"""Payloads from this length on do not stand in the checkpoint."""


WITHIN_CHARACTERS_MAX = 64 * 1024
"""Of small payloads of one session that stand in the checkpoint together."""


class Piece(Struct, frozen=True, kw_only=True, array_like=True):
    """A large payload or a part of one, by the number of the message that brought it.

    `text` is None while it stands beside the checkpoint.
    """

    sequence: int
    characters: int
    text: str | None


Unread: TypeAlias = str | tuple[Piece, ...]
"""A payload (JSON text) that the flow has not read yet."""


class Portion(Struct, frozen=True, kw_only=True, tag="portion"):
    """Data as the receiving side holds it; `last` when the payload ends with it."""

    piece: Piece
    last: bool


Held: TypeAlias = Payload | Portion
"""What a session takes in sequence: chunks and large data as portions."""


class Early(Struct, frozen=True, kw_only=True):
    """A message ahead of its turn."""

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
    """The message's payload as the receiving side keeps it, which has not read `inbox` yet.

    A small payload stands in the checkpoint, unless too many stand there already.
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
    """How much a session holds that its flow has not read."""
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
    """The whole payload, whose pieces have their texts."""
    if isinstance(unread, str):
        return unread
    texts = [piece.text for piece in unread if piece.text is not None]
    assert len(texts) == len(unread)  # noqa: S101  # fetched before a flow reads
    return "".join(texts)
