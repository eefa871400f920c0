"""Strict JSON of requests: no duplicate keys, no NaN, no lone surrogates, bounded nesting. Pure."""

from collections.abc import Container

import msgspec

from host.domain.errors import InvalidInputError
from host.domain.guest_text import GuestTextError, KeyTwiceError, checked_json, whole_characters
from host.domain.json import JsonValue


class JsonInvalidError(InvalidInputError):
    """The text is not JSON that the host accepts."""

    code = "json-invalid"


def parse_json(text: str | bytes | bytearray) -> JsonValue:
    """Parse one JSON text.

    Raises:
        JsonInvalidError: malformed, a key twice in one object, NaN or infinities, a lone
            surrogate, nested too deeply, or too many values.
    """
    try:
        # Decoded here, since `json.loads` would also accept UTF-16 and UTF-32.
        decoded = text if isinstance(text, str) else text.decode()
        return checked_json(decoded)
    except UnicodeError as error:
        raise JsonInvalidError("JSON text is not valid Unicode") from error
    except KeyTwiceError as error:
        raise DuplicateKeyError(f"JSON text: {error.message}") from error
    except GuestTextError as error:
        raise JsonInvalidError(f"JSON text: {error.message}") from error


def result_json(text: str) -> bytes:
    """A flow's result as JSON text: unchanged if it is valid JSON, else as a JSON string."""
    try:
        checked_json(text)
    except GuestTextError:
        return msgspec.json.encode(whole_characters(text))
    return text.encode()


def unwrapped(value: JsonValue, *, parameter: str, fields: Container[str]) -> JsonValue:
    """`value`, or its member `parameter` if that is its only member.

    Corda accepts the body of a request bare, or wrapped in an object under the parameter's name.
    """
    if (
        isinstance(value, dict)
        and list(value) == [parameter]
        and parameter not in fields
        and isinstance(value[parameter], dict)
    ):
        inner: JsonValue = value[parameter]
        return inner
    return value


def json_or_text(text: str) -> JsonValue:
    """The JSON value of `text`, or `text` itself if it is not JSON.

    Raises:
        JsonInvalidError: an object in it has a key twice.
    """
    try:
        return parse_json(text)
    except DuplicateKeyError:
        raise
    except JsonInvalidError:
        return text


class DuplicateKeyError(JsonInvalidError):
    """An object has a member twice, so its value is ambiguous."""

    code = "json-duplicate-key"
