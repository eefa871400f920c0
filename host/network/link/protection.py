"""Protection of frames within a session, and of its acknowledgements. Pure.

The initiator's frames are encrypted, or authenticated alone, as the network's policy demands. Their
nonce is the session's, combined with lane and counter: no two frames of a session may have both in
common. The responder sends acknowledgements alone, which are authenticated and not secret: several
processes answer for a session without agreeing on nonces.
"""

import hmac
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host.network.link.frames import Ack, Body, Frame, Header, Kind, decode_body, encode_body
from host.network.link.key_schedule import NONCE_BYTES, SessionKeys

TAG_BYTES = 16
MAC_BYTES = 32


class FrameForgedError(ValueError):
    """A frame is not one that the session's other side sent, or was changed on its way."""


class Mode(StrEnum):
    """Protection of a network's sessions (Corda's `protocolMode`)."""

    ENCRYPTED = "Authenticated_Encryption"
    AUTHENTICATED = "Authentication"


def protect(
    keys: SessionKeys, mode: Mode, kind: Kind, *, lane: int, counter: int, body: Body
) -> Frame:
    """A frame of the session's initiator. `lane` and `counter` must never be used again."""
    plain = encode_body(body)
    extra = TAG_BYTES if mode is Mode.ENCRYPTED else MAC_BYTES
    header = Header(
        kind=kind,
        length=len(plain) + extra,
        session=keys.session_id,
        lane=lane,
        counter=counter,
    )
    head = header.encode()
    if mode is Mode.ENCRYPTED:
        sealed = AESGCM(keys.data_key).encrypt(_nonce(keys, header), plain, head)
        return Frame(header, head, sealed)
    return Frame(header, head, plain + _mac(keys.data_key, head, plain))


def unprotect(keys: SessionKeys, mode: Mode, frame: Frame) -> bytes:
    """The body of a frame that the session's initiator has sent.

    Raises:
        FrameForgedError: it has not.
    """
    if mode is Mode.ENCRYPTED:
        try:
            nonce = _nonce(keys, frame.header)
            return AESGCM(keys.data_key).decrypt(nonce, frame.body, frame.head)
        except InvalidTag as exc:
            raise FrameForgedError("a frame does not belong to its session") from exc
    return _authenticated(keys.data_key, frame)


def acknowledge(keys: SessionKeys, last: Header, ack: Ack) -> Frame:
    """An acknowledgement of a request whose last frame of the session is `last`."""
    plain = encode_body(ack)
    header = Header(
        kind=Kind.ACK,
        length=len(plain) + MAC_BYTES,
        session=keys.session_id,
        lane=last.lane,
        counter=last.counter,
    )
    head = header.encode()
    return Frame(header, head, plain + _mac(keys.ack_key, head, plain))


def acknowledged(keys: SessionKeys, last: Header, frame: Frame) -> Ack:
    """The acknowledgement of a request whose last frame was `last`.

    Raises:
        FrameForgedError: it is none of this session, or of another request.
        FramesUnreadableError: its body cannot be read.
    """
    header = frame.header
    found = (header.kind, header.session, header.lane, header.counter)
    if found != (Kind.ACK, keys.session_id, last.lane, last.counter):
        raise FrameForgedError("an acknowledgement is not that of the request")
    return decode_body(_authenticated(keys.ack_key, frame), Ack)


def _authenticated(key: bytes, frame: Frame) -> bytes:
    plain, mac = frame.body[:-MAC_BYTES], frame.body[-MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, frame.head, plain)):
        raise FrameForgedError("a frame does not belong to its session")
    return plain


def _mac(key: bytes, head: bytes, plain: bytes) -> bytes:
    return hmac.digest(key, head + plain, "sha256")


def _nonce(keys: SessionKeys, header: Header) -> bytes:
    """Data iv XOR (lane || counter)."""
    number = (header.lane << 64) | header.counter
    return (int.from_bytes(keys.data_iv, "big") ^ number).to_bytes(NONCE_BYTES, "big")
