"""Reading and writing of the handshake's messages, in both directions. Pure."""

import hmac
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host.network.link.frames import (
    Body,
    Frame,
    FramesUnreadableError,
    Header,
    Kind,
    decode_body,
    encode_body,
)
from host.network.link.handshake import Failure, HandshakeError, Proof, require
from host.network.link.key_schedule import SideKeys, transcript
from host.network.link.protection import TAG_BYTES

_T = TypeVar("_T", bound=Body)


def body_of(data: bytes, kind: type[_T]) -> _T:
    """A body of the handshake.

    Raises:
        HandshakeError: it is malformed.
    """
    try:
        return decode_body(data, kind)
    except FramesUnreadableError as exc:
        raise HandshakeError(Failure.FORM, str(exc)) from exc


def check_frame(frame: Frame, kind: Kind, session: bytes) -> None:
    """Check that a frame is the next one of a handshake.

    Raises:
        HandshakeError: it is of another kind or handshake, or has numbers of a session.
    """
    header = frame.header
    expected = (kind, session, 0, 0)
    found = (header.kind, header.session, header.lane, header.counter)
    require(found == expected, Failure.FORM, f"frame {header.kind.name}")


def fin_of(side: SideKeys, *parts: bytes) -> bytes:
    return hmac.digest(side.fin, transcript(*parts), "sha256")


def seal(side: SideKeys, kind: Kind, session: bytes, proof: Proof) -> tuple[Frame, bytes]:
    """The frame of a handshake message, and its plaintext, which transcripts contain."""
    plain = encode_body(proof)
    header = Header(kind=kind, length=len(plain) + TAG_BYTES, session=session)
    head = header.encode()
    return Frame(header, head, AESGCM(side.key).encrypt(side.iv, plain, head)), plain


def open_sealed(side: SideKeys, frame: Frame) -> tuple[Proof, bytes]:
    """The handshake message in a frame, and its plaintext.

    Raises:
        HandshakeError: it was not sealed with these keys, or is malformed.
    """
    try:
        plain = AESGCM(side.key).decrypt(side.iv, frame.body, frame.head)
    except InvalidTag as exc:
        raise HandshakeError(Failure.TAG) from exc
    return body_of(plain, Proof), plain
