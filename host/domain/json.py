"""JSON values as types, and the one canonical encoding (RFC 8785) that digests are made of."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import rfc8785

JsonValue: TypeAlias = (
    "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = Mapping[str, JsonValue]


def canonical_json(value: JsonValue) -> bytes:
    """Encode `value` by RFC 8785 (JCS): sorted keys, no white space, shortest numbers.

    Raises:
        rfc8785.CanonicalizationError: integers beyond 2^53-1, NaN or infinities.
    """
    return rfc8785.dumps(value)


def digest_of(value: JsonValue) -> str:
    """SHA-256 of the canonical encoding, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
