"""Digests as text: `SHA-256:HEX`."""

import hashlib
import re

_TEXT = re.compile(r"SHA-256:([0-9A-F]{64})")


def digest_of(data: bytes) -> str:
    """`SHA-256:HEX` of `data`."""
    return f"SHA-256:{hashlib.sha256(data).hexdigest().upper()}"


def file_stem(digest: str) -> str | None:
    """A file name for `digest`: its hex in lower case; None if it is not such a digest."""
    match = _TEXT.fullmatch(digest)
    return match.group(1).lower() if match else None
