"""JSON that every parser reads alike: UTF-8, no repeated keys, no NaN, bounded size and depth."""

import json
import re
from typing import Any

from cpi.errors import Code, Issue

_DEPTH_MAX = 64
_TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[\]{}]', re.DOTALL)
"""Strings and brackets; a string without end reaches to the end, so no text is read twice."""


class JsonRefusedError(ValueError):
    """The text is no strict JSON; the message says why."""


def parse_json(data: bytes | str, *, bytes_max: int) -> Any:
    """Parse a JSON text.

    Raises:
        JsonRefusedError: it is too long, too deep, no JSON, or repeats a key.
    """
    if len(data) > bytes_max:
        raise JsonRefusedError(f"it has more than {bytes_max} bytes")
    try:
        text = data.decode() if isinstance(data, bytes) else data
        _check_depth(text)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except JsonRefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonRefusedError(str(error)) from error


def _check_depth(text: str) -> None:
    depth = 0
    for part in _TOKEN.findall(text):
        if part in "[{":
            depth += 1
            if depth > _DEPTH_MAX:
                raise JsonRefusedError(f"it is nested deeper than {_DEPTH_MAX}")
        elif part in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise JsonRefusedError(f"Duplicate field '{name}'")
            seen.add(name)
    return result


def _no_constant(name: str) -> Any:
    raise JsonRefusedError(f"{name} is no JSON number")


def schema_issues(validator: Any, document: Any, code: Code) -> list[Issue]:
    """Every violation of a jsonschema validator, each with its JSON path."""
    return [
        Issue(
            code=code,
            message=f"{error.json_path}: {_shorten(error.message)}",
            entry=error.json_path,
        )
        for error in validator.iter_errors(document)
    ]


def _shorten(message: str, limit: int = 300) -> str:
    return message if len(message) <= limit else f"{message[:limit]}..."
