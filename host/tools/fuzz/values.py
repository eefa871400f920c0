"""Hypothesis strategies for JSON values, from the JSON Schemas that `cordapp.schema` emits.

Most texts come from a small pool, so that fields which contracts compare (keys, names, currencies)
are sometimes equal.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from hypothesis import strategies as st

from host.domain.json_schema import JsonSchema
from host.tools.fuzz.participants import KEY_LIKE

Values: TypeAlias = st.SearchStrategy[Any]
Schema: TypeAlias = Mapping[str, Any]

KEYS = tuple(
    f"-----BEGIN PUBLIC KEY-----\n{name}\n-----END PUBLIC KEY-----\n" for name in ("A", "B", "C")
)
"""Fake keys: a contract only compares keys, and cannot use them."""

_POOL = ("", "1", "GBP", "USD", "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB", *KEYS)
_LETTERS = "abzAZ019 .,:-_/\"'\\\n\0éß€漢😀"
"""Enough to break code that assumes ASCII, and faster than all of Unicode."""

_PLAIN_TEXT = frozenset({"type", "title", "description", "default"})
_INTEGER_MAX = 2**53 - 1
_ITEMS_MAX = 4
_UNDERSTOOD = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems",
     "maxItems", "enum", "const", "anyOf", "oneOf", "minimum", "maximum", "minLength", "maxLength",
     "pattern", "format", "contentEncoding", "title", "description", "default", "examples"}
)  # fmt: skip
"""Keywords that the strategies support; for others, values are checked against the schema."""


def expanded(schema: Schema) -> Schema:
    """`schema` without references; values that contain their own kind end after some levels."""
    if "$defs" not in schema:
        return schema
    found: Schema = _expanded(schema, schema["$defs"], _LEVELS)
    return found


def values(schema: Schema) -> Values:
    """JSON values that are valid by `schema`."""
    schema = expanded(schema)
    made = _plain(schema)
    if _UNDERSTOOD.issuperset(schema):
        return made
    checked = JsonSchema(schema)
    return made.filter(lambda value: checked.misfit(value) is None)


_MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1))  # noqa: DTZ001  # the zone is added as text
_FORMATS: Mapping[str, Values] = {
    "date-time": _MOMENTS.map(lambda at: at.isoformat(timespec="microseconds") + "Z"),
    "date": _MOMENTS.map(lambda at: at.date().isoformat()),
    "time-of-day": _MOMENTS.map(lambda at: at.time().isoformat(timespec="microseconds")),
    "iso-duration": st.integers(0, 100_000).map(lambda seconds: f"PT{seconds}S"),
    "uuid": st.uuids().map(str),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-5).map(
        lambda number: format(number, "f")
    )
    | st.from_regex(r"\A-?[0-9]{1,30}(\.[0-9]{1,30})?\Z"),
}
"""Texts of the formats that `cordapp.schema` gives patterns to."""

_WIDE = st.sampled_from(["9007199254740993", "-9007199254740993", "1" + "0" * 40])
"""Integers beyond 2^53-1, which are written as text."""


_LEVELS = 3
"""Levels of values that contain values of their own kind."""
_NOTHING: Schema = {"enum": []}


def _expanded(  # noqa: PLR0911  # one return per kind of schema
    schema: Any, definitions: Mapping[str, Any], levels: int
) -> Any:
    """A schema without references: below the last level there is nothing."""
    if isinstance(schema, list):
        return [_expanded(item, definitions, levels) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        return _expanded(definitions[name], definitions, levels - 1) if levels else _NOTHING
    plain = {k: _expanded(v, definitions, levels) for k, v in schema.items() if k != "$defs"}
    if "anyOf" in plain:
        plain["anyOf"] = [arm for arm in plain["anyOf"] if arm != _NOTHING] or [_NOTHING]
        return _NOTHING if plain["anyOf"] == [_NOTHING] else plain
    if plain.get("items") == _NOTHING:
        return {**plain, "items": {}, "maxItems": 0}
    if plain.get("additionalProperties") == _NOTHING:
        plain["additionalProperties"] = False
    properties = plain.get("properties")
    if isinstance(properties, dict):
        missing = {name for name, item in properties.items() if item == _NOTHING}
        plain["properties"] = {n: item for n, item in properties.items() if n not in missing}
        return _NOTHING if missing & {*plain.get("required", ())} else plain
    return plain


def near(value: Any, schema: Schema) -> list[Any]:
    """Values like `value`: a little more or less, of the other sign, very large, another choice."""
    if "enum" in schema:
        return [other for other in schema["enum"] if other != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, -value, 0, value * 1000, 10**30]
    if isinstance(value, str):
        return ["", value + "0", f"-{value}", "0", "1E+30", "1" * 30, "0." + "0" * 30 + "1"]
    if isinstance(value, list):
        return [[], value + value, value[:-1]]
    return [None]


def _plain(schema: Schema) -> Values:
    if "enum" in schema:
        return st.sampled_from(list(schema["enum"]))
    if "const" in schema:
        return st.just(schema["const"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return st.one_of(*(values(arm) for arm in schema[union]))
    kinds = schema.get("type", ())
    if isinstance(kinds, list) and schema.get("format") == "integer":
        return st.one_of(*(values({**schema, "type": "integer"}) for _ in range(7)), _WIDE)
    if isinstance(kinds, list):
        return st.one_of(*(values({**schema, "type": kind}) for kind in kinds))
    return _KINDS[kinds](schema) if kinds in _KINDS else _anything()


def _anything() -> Values:
    leaves = st.none() | st.booleans() | st.integers(-9, 9) | _texts()
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=2), max_leaves=4)


def _texts(minimum: int = 0, maximum: int | None = None) -> Values:
    longest = min(maximum if maximum is not None else minimum + 20, minimum + 20)
    fitting = [text for text in _POOL if minimum <= len(text) <= (maximum or len(text))]
    free = st.text(_LETTERS, min_size=minimum, max_size=longest)
    return st.sampled_from(fitting) | free if fitting else free


def _string(schema: Schema) -> Values:
    if schema.get("contentEncoding") == "base64":
        return st.sampled_from(["", "AA==", "AAEC", "/////w=="])
    if schema.get("format") in _FORMATS and "pattern" in schema:
        return _FORMATS[str(schema["format"])]
    if "pattern" in schema:
        pattern = str(schema["pattern"])
        ended = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
        return st.from_regex(ended)
    return _texts(int(schema.get("minLength", 0)), schema.get("maxLength"))


def _integer(schema: Schema) -> Values:
    low = int(schema.get("minimum", -_INTEGER_MAX))
    high = int(schema.get("maximum", _INTEGER_MAX))
    small_low, small_high = max(low, -5), min(high, 105)
    every = st.integers(low, high)
    return st.integers(small_low, small_high) | every if small_low <= small_high else every


def _number(schema: Schema) -> Values:
    low, high = schema.get("minimum"), schema.get("maximum")
    return st.floats(min_value=low, max_value=high, allow_nan=False, allow_infinity=False)


def _array(schema: Schema) -> Values:
    if "prefixItems" in schema:
        return st.tuples(*(values(item) for item in schema["prefixItems"])).map(list)
    least = int(schema.get("minItems", 0))
    most = min(int(schema.get("maxItems", least + _ITEMS_MAX)), least + _ITEMS_MAX)
    return st.lists(values(schema.get("items", {})), min_size=least, max_size=most)


def _object(schema: Schema) -> Values:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    required: Sequence[str] = schema.get("required", ())
    if not properties and schema.get("additionalProperties", True) is not False:
        extra = schema.get("additionalProperties", True)
        inner = values(extra) if isinstance(extra, Mapping) else _anything()
        return st.dictionaries(_texts(), inner, max_size=3)
    return st.fixed_dictionaries(
        {name: _named(name, item) for name, item in properties.items() if name in required},
        optional={n: _named(n, item) for n, item in properties.items() if n not in required},
    )


def _named(name: str, schema: Schema) -> Values:
    """Values of a field: often its default, and a key if its name suggests one."""
    made = values(schema)
    if "default" in schema:
        made = st.just(schema["default"]) | made
    if KEY_LIKE.search(name) and schema.get("type") == "string" and _PLAIN_TEXT.issuperset(schema):
        made = st.sampled_from(KEYS) | made
    return made


_KINDS = {
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "integer": _integer,
    "number": _number,
    "string": _string,
    "array": _array,
    "object": _object,
}
