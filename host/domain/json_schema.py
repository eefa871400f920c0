"""JSON Schemas of CPKs, applied by the host in bounded time: `host.domain.json_schema_keywords`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject, JsonValue
from host.domain.json_schema_plain import plain_test

_SCHEMAS_KEPT_MAX = 256
_PLAIN_BYTES_MAX = 2048
"""Longest text whose value is first tried by the plain test of its schema."""


class JsonSchemaInvalidError(InvalidInputError):
    """A declared JSON Schema is not valid."""

    code = "json-schema-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why a value does not match: the JSON path of the wrong field, and the reason."""

    path: str
    message: str


class JsonSchema:
    """A schema that is ready for use. Thread-safe."""

    def __init__(self, schema: JsonObject) -> None:
        """Check the schema itself.

        Raises:
            JsonSchemaInvalidError: it is not a JSON Schema, or not one on its own.
        """
        # Loaded for the first schema: most processes of a host meet none for a long time.
        from host.domain import json_schema_check, json_schema_keywords  # noqa: PLC0415

        self._keywords = json_schema_keywords
        try:
            json_schema_check.check_schema(schema)
        except ValueError as refused:
            raise JsonSchemaInvalidError(str(refused)) from refused
        self._validator = self._keywords.validator(schema)
        self._plain = plain_test(schema)

    def misfit(self, value: JsonValue, *, size: int | None = None) -> Misfit | None:
        """Why `value` does not match the schema; None if it matches.

        Args:
            value: any value of JSON.
            size: bytes of its text, if they are known: small values take less time then.
        """
        is_small = size is not None and size <= _PLAIN_BYTES_MAX
        if is_small and self._plain is not None and self._plain(value):
            return None
        try:
            error = self._keywords.first_error(self._validator, value)
        except RecursionError:
            return Misfit(path="$", message="it is nested too deeply")
        except self._keywords.TooMuchWorkError:
            return Misfit(path="$", message="it is too large to be checked against its schema")
        return None if error is None else Misfit(path=error[0], message=error[1])


@contextmanager
def limited_schema_work() -> Iterator[None]:
    """Let all schemas that are made in the block take the work of one together.

    What exceeds it is refused with `JsonSchemaInvalidError`.
    """
    from host.domain.json_schema_keywords import limited_work  # noqa: PLC0415

    with limited_work():
        yield


def checked_schema(schema: JsonObject) -> JsonSchema:
    """`JsonSchema(schema)`; those used last are kept, since making one takes milliseconds.

    Raises:
        JsonSchemaInvalidError: it is not a JSON Schema.
    """
    seen = _seen.get(id(schema))
    if seen is not None and seen[0] is schema:
        return seen[1]
    made = _kept(json.dumps(schema, ensure_ascii=False, separators=(",", ":")))
    if len(_seen) >= _SCHEMAS_KEPT_MAX:
        _seen.clear()
    _seen[id(schema)] = (schema, made)
    return made


_seen: dict[int, tuple[JsonObject, JsonSchema]] = {}
"""Schemas as objects, which packages keep: their texts need not be made again to find them."""


@lru_cache(maxsize=_SCHEMAS_KEPT_MAX)
def _kept(text: str) -> JsonSchema:
    return JsonSchema(json.loads(text))
