"""Functions on JSON texts for which SQLite has none of the same meaning. Pure.

Paths with plain names are SQLite's own; its paths have no form for names with quotes and other
signs that all its versions agree on.
"""

import json

from host.domain.json import JsonValue, canonical_json
from host.domain.order_keys import NoKeyError, OrderKind, order_key

_NOTHING = object()


def number_key(value: str | float | None, bits: int) -> str | None:
    """The order key of a number, or of a text that is one; None if it is none of `bits` bits."""
    if value is None:
        return None
    try:
        if bits and not -(1 << bits - 1) <= _integer(value) < 1 << bits - 1:
            return None
        return order_key(OrderKind.NUMBER, value)
    except (NoKeyError, ValueError):
        return None


def duration_key(value: str | float | None, _nothing: int) -> str | None:
    """The order key of a text that is a duration; None if it is none."""
    try:
        return None if value is None else order_key(OrderKind.DURATION, value)
    except NoKeyError:
        return None


def has_key(document: str | None, key: str | None) -> bool | None:
    """Whether the JSON text is an object with this key, or an array or a string that has it."""
    if document is None or key is None:
        return None
    value = json.loads(document)
    if isinstance(value, str):
        return value == key
    return isinstance(value, dict | list) and key in value


def part(document: str | None, path: str) -> str | None:
    """The JSON text at a path, a JSON list of names and numbers."""
    found = _at(document, path)
    return None if found is _NOTHING else _encoded(found)


def text(document: str | None, path: str) -> str | None:
    """The value at a path: the characters of a string, of others the JSON text."""
    found = _at(document, path)
    if found is _NOTHING or found is None:
        return None
    return found if isinstance(found, str) else _encoded(found)


def _integer(value: str | float) -> int:
    """Whole numbers; a text of digits with an optional sign.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 19:  # 64 bits
            raise ValueError(value)
    return int(value)


def _at(document: str | None, path: str) -> object:
    found: object = _NOTHING if document is None else json.loads(document)
    for key in json.loads(path):
        if isinstance(found, dict) and isinstance(key, str):
            found = found.get(key, _NOTHING)
        elif isinstance(found, list) and isinstance(key, int):
            found = found[key] if key < len(found) else _NOTHING
        else:
            return _NOTHING
    return found


def _encoded(value: object) -> str:
    encodable: JsonValue = value  # type: ignore[assignment]  # read from JSON
    return canonical_json(encodable).decode()
