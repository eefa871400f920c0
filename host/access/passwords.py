"""Passwords: what holds for them, and their hashes.

Hashes are scrypt's, as self-describing text, compared in constant time.
"""

import hashlib
import hmac
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass

from host.access.errors import UserInvalidError
from host.ports.clock import Entropy

PASSWORD_CHARACTERS_MAX = 1_000
"""The longest that `corda.rbac` may allow."""

_LOG2_N, _R, _P = 15, 8, 1
_SALT_BYTES = 16
_KEY_BYTES = 32
_MEMORY_BYTES_MAX = 64 * 1024 * 1024

_AT_ONCE = threading.BoundedSemaphore(2)
"""Each hash needs 32 MiB: guesses must not exhaust the host's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """What holds for passwords.

    Attributes:
        by_user: days for which a password is valid that its user has set.
        by_other: days for which one is valid that another user has set.
        warning_days: days before the end of a password in which its user is warned.
        characters_max: of a new password.
    """

    by_user: int
    by_other: int
    warning_days: int
    characters_max: int


def check_length(password: str, characters_max: int) -> None:
    """Refuse an empty password, and one that is too long.

    Raises:
        UserInvalidError: tells how long it may be.
    """
    if not 0 < len(password) <= characters_max:
        raise UserInvalidError(
            f"a password has 1 to {characters_max} characters, found {len(password)}"
        )


def hash_password(password: str, entropy: Entropy) -> str:
    """Hash with a fresh salt: `scrypt$<log2 N>$<r>$<p>$<salt>$<key>`, salt and key in base64."""
    salt = entropy.random_bytes(_SALT_BYTES)
    return _text(salt, _derive(password, salt, log2_n=_LOG2_N, r=_R, p=_P))


def nobodys_hash(entropy: Entropy) -> str:
    """A hash that is of no password, and as costly to compare as one of `hash_password`."""
    return _text(entropy.random_bytes(_SALT_BYTES), entropy.random_bytes(_KEY_BYTES))


def matches(password: str, stored: str) -> bool:
    """Whether `stored` is the hash of `password`."""
    _, log2_n, r, p, salt, key = stored.split("$")
    derived = _derive(password, b64decode(salt), log2_n=int(log2_n), r=int(r), p=int(p))
    return hmac.compare_digest(derived, b64decode(key))


def _text(salt: bytes, key: bytes) -> str:
    return f"scrypt${_LOG2_N}${_R}${_P}${b64encode(salt).decode()}${b64encode(key).decode()}"


def _derive(password: str, salt: bytes, *, log2_n: int, r: int, p: int) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(
            password.encode(),
            salt=salt,
            n=1 << log2_n,
            r=r,
            p=p,
            maxmem=_MEMORY_BYTES_MAX,
            dklen=_KEY_BYTES,
        )
