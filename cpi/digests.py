"""Digest algorithms and the text form of hashes."""

import hashlib
from collections.abc import Mapping

STRONG_DIGESTS: Mapping[str, str] = {
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}
"""JAR attribute prefix -> hashlib name. SHA-1 and MD5 count as absent, as in Java."""


def sha256_text(data: bytes) -> str:
    """`SHA-256:` and 64 upper-case hexadecimal digits: Corda's text form of a hash."""
    return hash_text(hashlib.sha256(data).digest())


def hash_text(digest: bytes) -> str:
    """The text form of a SHA-256 digest that is known already."""
    return f"SHA-256:{digest.hex().upper()}"
