"""JSON values as types, names in JSON, and the canonical encoding (RFC 8785) of digests."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import rfc8785

JsonValue: TypeAlias = (
    "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = Mapping[str, JsonValue]


def camel_case(name: str) -> str:
    """The JSON name for the Python name `name`: `flowP2pStatus` for `flow_p2p_status`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def canonical_json(value: JsonValue) -> bytes:
    """Encode `value` by RFC 8785 (JCS): sorted keys, no white space, shortest numbers.

    Raises:
        rfc8785.CanonicalizationError: integers beyond 2^53-1, NaN or infinities.
    """
    return rfc8785.dumps(value)


def digest_of(value: JsonValue) -> str:
    """SHA-256 of the canonical encoding, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
