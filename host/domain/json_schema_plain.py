"""Values that certainly fit a simple JSON Schema, found without the library's machinery. Pure.

Most requests fit their flow's schema, and most of these schemas use few keywords. A test of this
module takes a twentieth of the time of `json_schema_keywords`; what it does not accept is not
refused, but judged there, which also finds the message.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from host.domain.json import JsonObject, JsonValue
from host.domain.linear_pattern import linear_pattern

Test: TypeAlias = Callable[[JsonValue], bool]
"""Whether a value certainly fits. Total: it raises nothing."""

SCHEMAS_MAX = 64
"""Schemas within a schema that is simple; this times the values of a text bounds a test's work."""
_PATTERN_STEPS_MAX = 100_000
"""Characters times states of one search."""


class _NotSimpleError(Exception):
    """The schema has a keyword that is left to the library."""


def plain_test(schema: JsonObject) -> Test | None:
    """A test of a checked schema; None if it is not simple."""
    try:
        return _Plain().test(schema)
    except _NotSimpleError:
        return None


class _Plain:
    """Makes one test; counts the schemas in it."""

    def __init__(self) -> None:
        self._left = SCHEMAS_MAX

    def test(self, schema: Any) -> Test:
        self._left -= 1
        if self._left < 0 or not isinstance(schema, Mapping):
            raise _NotSimpleError
        tests = list(self._tests(schema))
        if len(tests) == 1:
            return tests[0]
        return lambda value: all(test(value) for test in tests)

    def _tests(self, schema: Mapping[str, Any]) -> Iterator[Test]:
        for keyword, wanted in schema.items():
            if keyword in _SAYS_NOTHING:
                continue
            if keyword in _SCALARS:
                yield _SCALARS[keyword](wanted)
            elif keyword == "properties":
                yield _properties({name: self.test(each) for name, each in wanted.items()})
            elif keyword == "items":
                yield _items(self.test(wanted))
            elif keyword == "anyOf":
                yield _any_of([self.test(each) for each in wanted])
            elif keyword == "additionalProperties" and wanted is False:
                yield _no_others(frozenset(schema.get("properties", ())))
            else:
                raise _NotSimpleError


def _properties(tests: Mapping[str, Test]) -> Test:
    def fits(value: JsonValue) -> bool:
        if not isinstance(value, dict):
            return True
        return all(test(value[name]) for name, test in tests.items() if name in value)

    return fits


def _items(test: Test) -> Test:
    return lambda value: not isinstance(value, list) or all(map(test, value))


def _any_of(tests: list[Test]) -> Test:
    return lambda value: any(test(value) for test in tests)


def _no_others(names: frozenset[str]) -> Test:
    return lambda value: not isinstance(value, dict) or value.keys() <= names


def _type(wanted: Any) -> Test:
    kinds = [wanted] if isinstance(wanted, str) else wanted
    types = frozenset(kind for name in kinds for kind in _TYPES[name])
    return lambda value: type(value) in types


def _required(names: list[str]) -> Test:
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _enum(values: list[Any]) -> Test:
    # Texts alone: to the library, 1, 1.0 and true are three values or two.
    texts = frozenset(value for value in values if isinstance(value, str))
    return lambda value: isinstance(value, str) and value in texts


def _number(fits: Callable[[float], bool]) -> Test:
    return lambda value: type(value) not in _TYPES["number"] or fits(value)  # type: ignore[arg-type]


def _length(fits: Callable[[int], bool]) -> Test:
    return lambda value: not isinstance(value, str) or fits(len(value))


def _count(fits: Callable[[int], bool]) -> Test:
    return lambda value: not isinstance(value, list) or fits(len(value))


def _pattern(wanted: str) -> Test:
    def fits(value: JsonValue) -> bool:
        if not isinstance(value, str):
            return True
        compiled = linear_pattern(wanted)
        if compiled is None:
            return True  # such patterns are not checked
        return len(value) * compiled.weight <= _PATTERN_STEPS_MAX and compiled.occurs_in(value)

    return fits


_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),  # 1.0, too, to the library
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_SCALARS: Mapping[str, Callable[[Any], Test]] = {
    "const": lambda wanted: _enum([wanted]),
    "enum": _enum,
    "exclusiveMaximum": lambda limit: _number(lambda value: value < limit),
    "exclusiveMinimum": lambda limit: _number(lambda value: value > limit),
    "maxItems": lambda limit: _count(lambda count: count <= limit),
    "maxLength": lambda limit: _length(lambda length: length <= limit),
    "maximum": lambda limit: _number(lambda value: value <= limit),
    "minItems": lambda limit: _count(lambda count: count >= limit),
    "minLength": lambda limit: _length(lambda length: length >= limit),
    "minimum": lambda limit: _number(lambda value: value >= limit),
    "pattern": _pattern,
    "required": _required,
    "type": _type,
}
_SAYS_NOTHING = frozenset({"$comment", "$schema", "default", "description", "format", "title"})
"""Keywords that refuse nothing: formats are not checked, but by keywords that are not simple."""
