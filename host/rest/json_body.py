"""Strict JSON of requests: no duplicate keys, no NaN, no half characters, bounded nesting. Pure."""

import json
from collections.abc import Container, Sequence

from host.domain.errors import InvalidInputError
from host.domain.json import JsonValue


class JsonInvalidError(InvalidInputError):
    """The text is no JSON that the host accepts."""

    code = "json-invalid"


def parse_json(text: str | bytes) -> JsonValue:
    """Parse one JSON text.

    Raises:
        JsonInvalidError: malformed, a key twice in one object, NaN or infinities, a lone
            surrogate, or nested too deeply.
    """
    try:
        # Decoded here, since `json.loads` would guess UTF-16 and UTF-32 from the bytes.
        decoded = text.decode() if isinstance(text, bytes) else text
        value: JsonValue = json.loads(
            decoded, object_pairs_hook=_object, parse_constant=_refuse_constant
        )
        # Lone surrogates are legal in JSON escapes but have no UTF-8 form to store.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise JsonInvalidError("JSON text is not valid Unicode") from error
    except RecursionError as error:
        raise JsonInvalidError("JSON text is nested too deeply") from error
    except ValueError as error:
        raise JsonInvalidError(f"malformed JSON: {error}") from error
    return value


def unwrapped(value: JsonValue, *, parameter: str, fields: Container[str]) -> JsonValue:
    """`value`, or what it holds under `parameter` when that is its only member.

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
    """The JSON value that `text` spells, or `text` itself when it spells none.

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
    """An object names a member twice; which one counts would be a guess."""

    code = "json-duplicate-key"


def _object(pairs: Sequence[tuple[str, JsonValue]]) -> JsonValue:
    result: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in result:
            raise DuplicateKeyError(f"JSON object has the key {key!r} twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> JsonValue:
    raise JsonInvalidError(f"malformed JSON: {name} is no JSON number")
