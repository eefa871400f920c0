"""Parsing of a guest's request: fields are read by type and limit, anything else is refused."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from host.domain.call_time import check_call_time
from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue, canonical_json
from host.domain.json_strings import NUL

INVALID_REQUEST = "request-invalid"
_TEXT_CHARACTERS_MAX = 16 * 1024
_LIST_MAX = 1000


def invalid_request(message: str) -> CapabilityError:
    """The guest's request is malformed; the message names the field."""
    return CapabilityError(INVALID_REQUEST, message)


@contextmanager
def refusing_misfits() -> Iterator[None]:
    """Convert exceptions that a guest's value causes in the block into a refusal of the request.

    The last resort: services validate their input. Exceptions of these classes are caused by the
    processed value, so a retry cannot help; the platform's own failures (storage, memory, other
    workers) have other classes.

    Raises:
        CapabilityError: `request-invalid`.
    """
    try:
        yield
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as exc:
        raise invalid_request(
            f"a value of the request cannot be used: {type(exc).__name__}"
        ) from exc


def check_fields(request: JsonObject, allowed: Sequence[str]) -> None:
    """Refuse fields that the function does not have.

    Raises:
        CapabilityError: `request-invalid`.
    """
    for name in request:
        if name not in allowed:
            raise invalid_request(
                f"unknown field {name[:64]!r}; known are {', '.join(allowed) or 'none'}"
            )


def take_text(request: JsonObject, name: str, *, characters_max: int = _TEXT_CHARACTERS_MAX) -> str:
    """A text field of at least one character."""
    return checked_text(request.get(name), repr(name), characters_max)


def take_text_or_null(
    request: JsonObject, name: str, *, characters_max: int = _TEXT_CHARACTERS_MAX
) -> str | None:
    """A text field that may be null or absent."""
    if request.get(name) is None:
        return None
    return take_text(request, name, characters_max=characters_max)


def take_int(request: JsonObject, name: str, *, minimum: int, maximum: int) -> int:
    """A whole number within the bounds, both included."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise invalid_request(f"field {name!r} must be a whole number from {minimum} to {maximum}")
    return value


def take_bool(request: JsonObject, name: str) -> bool:
    value = request.get(name)
    if not isinstance(value, bool):
        raise invalid_request(f"field {name!r} must be true or false")
    return value


def take_bytes(request: JsonObject, name: str, *, bytes_max: int) -> bytes:
    """A base64 field."""
    value = request.get(name)
    if not isinstance(value, str) or len(value) > (bytes_max + 2) // 3 * 4:
        raise invalid_request(f"field {name!r} must be base64 of at most {bytes_max} bytes")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid_request(f"field {name!r} is no base64: {exc}") from exc


def take_list(request: JsonObject, name: str, *, length_max: int = _LIST_MAX) -> list[JsonValue]:
    value = request.get(name)
    if not isinstance(value, list) or len(value) > length_max:
        raise invalid_request(f"field {name!r} must be a list of at most {length_max} elements")
    return value


def take_texts(
    request: JsonObject,
    name: str,
    *,
    length_max: int = _LIST_MAX,
    characters_max: int = _TEXT_CHARACTERS_MAX,
) -> list[str]:
    """A list of texts of at least one character."""
    values = take_list(request, name, length_max=length_max)
    return [
        checked_text(value, f"{name!r}[{index}]", characters_max)
        for index, value in enumerate(values)
    ]


def take_object(request: JsonObject, name: str) -> JsonObject:
    return as_object(request.get(name), name)


def as_object(value: JsonValue, name: str) -> JsonObject:
    """`value` of the field `name` as a JSON object."""
    if not isinstance(value, Mapping):
        raise invalid_request(f"field {name!r} must be an object")
    return value


def canonical_text(value: JsonValue, field: str) -> str:
    """The RFC 8785 text of a guest's value; parsing and encoding it again gives the same text.

    Numbers beyond 2^53 are refused: the text of a large float would be parsed as such an integer.

    Raises:
        CapabilityError: `request-invalid`.
    """
    check_call_time()
    try:
        encoded = canonical_json(value)
        check_call_time()  # Neither of the two steps can be interrupted.
        canonical_json(json.loads(encoded))
    except (ValueError, RecursionError) as exc:
        raise invalid_request(f"field {field} has no canonical form: {exc}") from exc
    return encoded.decode()


def checked_text(value: JsonValue, field: str, characters_max: int) -> str:
    """A non-empty text that every encoding and database can store."""
    if not isinstance(value, str) or not 1 <= len(value) <= characters_max:
        raise invalid_request(f"field {field} must be a text of 1 to {characters_max} characters")
    # JSON escapes can denote an unpaired surrogate, which no encoding can store.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid_request(f"field {field} is no Unicode text") from None
    if NUL in value:
        raise invalid_request(f"field {field} holds U+0000, which cannot be stored")
    return value
