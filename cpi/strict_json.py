"""JSON that every parser reads in the same way, parsed in linear time.

UTF-8 without lone surrogates, no repeated keys, finite numbers of bounded length, bounded size and
depth.
"""

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from cpi.errors import Code, Issue

_DEPTH_MAX = 64
_NUMBER_CHARACTERS_MAX = 1_000
ISSUES_MAX = 100
"""The most violations that are reported for one document."""
_TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[\]{}]', re.DOTALL)
"""Strings and brackets; an unterminated string matches to the end, so no text is scanned twice."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonRefusedError(ValueError):
    """The text is not strict JSON; the message gives the reason."""


def parse_json(data: bytes | str, *, bytes_max: int) -> Any:
    """Parse a JSON text.

    Raises:
        JsonRefusedError: it is too long, too deep, not JSON, repeats a key, or contains a lone
            surrogate or a number that is too long or too large.
    """
    if len(data) > bytes_max:
        raise JsonRefusedError(f"it has more than {bytes_max} bytes")
    try:
        text = data.decode() if isinstance(data, bytes) else data
        _check_depth(text)
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
        if isinstance(data, str) or _SURROGATE.search(text):
            # Lone surrogates are legal in JSON escapes, but have no UTF-8 form.
            json.dumps(value, ensure_ascii=False).encode()
    except JsonRefusedError:
        raise
    except UnicodeEncodeError as error:
        raise JsonRefusedError("it holds half a character (a lone surrogate)") from error
    except (ValueError, RecursionError) as error:
        raise JsonRefusedError(str(error)) from error
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for match in _TOKEN.finditer(text):
        part = match[0]
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


def _integer(text: str) -> int:
    _check_number(text)
    return int(text)


def _finite(text: str) -> float:
    _check_number(text)
    value = float(text)
    if not math.isfinite(value):
        raise JsonRefusedError(f"number {text[:40]} is too large")
    return value


def _check_number(text: str) -> None:
    if len(text) > _NUMBER_CHARACTERS_MAX:
        raise JsonRefusedError(f"a number has more than {_NUMBER_CHARACTERS_MAX} characters")


def _no_constant(name: str) -> Any:
    raise JsonRefusedError(f"{name} is no JSON number")


def schema_issues(validator: Any, document: Any, code: Code) -> list[Issue]:
    """The first violations of a jsonschema validator, at most `ISSUES_MAX`, by JSON path."""
    return list(islice(_issues(validator, document, code), ISSUES_MAX))


def first_issue(validator: Any, document: Any, code: Code) -> Issue | None:
    """The first violation; validation stops there."""
    return next(_issues(validator, document, code), None)


def _issues(validator: Any, document: Any, code: Code) -> Iterator[Issue]:
    for error in validator.iter_errors(document):
        yield Issue(
            code=code,
            message=f"{error.json_path}: {_shorten(error.message)}",
            entry=error.json_path,
        )


def _shorten(message: str, limit: int = 300) -> str:
    return message if len(message) <= limit else f"{message[:limit]}..."
