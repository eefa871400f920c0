"""The texts that signatures of membership cover. Pure.

Each begins with 64 spaces and `cordbox/v1/PURPOSE`, a NUL, and the realm: a signature for one
purpose or network counts for no other. Flows cannot sign bytes that begin so.
"""

import hashlib
from enum import StrEnum

_PREFIX = b" " * 64 + b"cordbox/v1/"


class Purpose(StrEnum):
    """What is signed: by a member its context and registration, by the MGM the others."""

    MEMBER_CONTEXT = "member-context"
    REGISTRATION = "registration-context"
    MGM_CONTEXT = "mgm-context"
    GROUP_HEAD = "group-head"


def signed_text(purpose: Purpose, realm: str, *parts: bytes) -> bytes:
    """The bytes to sign: parts are preceded by their lengths.

    Args:
        purpose: what is signed.
        realm: of the network, 64 hexadecimal digits.
        parts: what is signed.
    """
    return _PREFIX + purpose.encode() + b"\0" + realm.encode() + with_lengths(*parts)


def registration_info(realm: str) -> bytes:
    """HPKE's `info` of registrations: an MGM of another realm cannot open them."""
    return b"cordbox/v1/registration" + bytes.fromhex(realm)


def hash_of_parts(*parts: bytes) -> bytes:
    """SHA-256 over parts, each preceded by its length."""
    return hashlib.sha256(with_lengths(*parts)).digest()


def with_lengths(*parts: bytes) -> bytes:
    """The parts, each preceded by its length as four bytes."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)
