"""Keys of handshakes and sessions: HKDF-SHA-256 over the shared secret and the transcript. Pure."""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

_LABEL = b"cordbox link v1 "
KEY_BYTES = 32
NONCE_BYTES = 12
SESSION_ID_BYTES = 16


def transcript(*parts: bytes) -> bytes:
    """`T(a, b, ...)`: SHA-256 over the parts, each preceded by its length as 4 bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SideKeys:
    """Keys of one side's handshake message: encryption, nonce, and proof of knowledge."""

    key: bytes
    iv: bytes
    fin: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeKeys:
    initiator: SideKeys
    responder: SideKeys
    derived: bytes


class SessionKeys(Struct, frozen=True, kw_only=True):
    """Keys of a session, and its id, which is public."""

    session_id: bytes
    data_key: bytes
    data_iv: bytes
    ack_key: bytes


NO_KEYS = SessionKeys(session_id=b"", data_key=b"", data_iv=b"", ack_key=b"")
"""Of a session that is not yet agreed on."""


def handshake_keys(m1: bytes, m2: bytes, secret: bytes) -> HandshakeKeys:
    """Keys of a handshake.

    Args:
        m1: the initiator's hello frame, as sent.
        m2: the responder's hello frame, as sent.
        secret: result of the key agreement.
    """
    prk = HKDF.extract(SHA256(), transcript(m1, m2), secret)

    def side(name: str) -> SideKeys:
        return SideKeys(
            key=expand(prk, f"hs {name} key", KEY_BYTES),
            iv=expand(prk, f"hs {name} iv", NONCE_BYTES),
            fin=expand(prk, f"hs {name} fin", KEY_BYTES),
        )

    return HandshakeKeys(
        initiator=side("i"), responder=side("r"), derived=expand(prk, "derived", KEY_BYTES)
    )


def session_keys(derived: bytes, m1: bytes, m2: bytes, p3: bytes, p4: bytes) -> SessionKeys:
    """Keys of the session that a handshake agrees on.

    Args:
        derived: of the handshake's keys.
        m1: the initiator's hello frame, as sent.
        m2: the responder's hello frame, as sent.
        p3: the initiator's handshake message, decrypted.
        p4: the responder's handshake message, decrypted.
    """
    prk = HKDF.extract(SHA256(), transcript(m1, m2, p3, p4), derived)
    return SessionKeys(
        session_id=expand(prk, "session id", SESSION_ID_BYTES),
        data_key=expand(prk, "data key", KEY_BYTES),
        data_iv=expand(prk, "data iv", NONCE_BYTES),
        ack_key=expand(prk, "ack key", KEY_BYTES),
    )


def expand(prk: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand with one of the protocol's labels; up to 32 bytes are its first block."""
    assert length <= KEY_BYTES  # noqa: S101  # no key of the protocol is longer
    block = hmac.digest(prk, _LABEL + label.encode() + b"\x01", "sha256")
    return block[:length]
