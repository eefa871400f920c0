"""What the fields of an entity stand for, as its JSON Schema declares them.

A text can be a Decimal, a date or a name: the declared schema says which, never the value that it
is compared with. Fields of numbers, dates, times, durations, UUIDs and bytes are compared by order
keys, which are stored beside the entity (`sort_keys`); texts, booleans and what has no schema by
their JSON.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from host.domain.json import JsonObject, JsonValue
from host.domain.order_keys import KIND_OF_FORMAT, OrderKind, order_key
from host.entities.errors import EntityDeclarationError

FieldPath: TypeAlias = tuple[str, ...]
Kind: TypeAlias = OrderKind | str
"""An `OrderKind`, or one of the kinds below."""

TEXT, BOOLEAN, ANY, OBJECT, ARRAY, MIXED = "text", "boolean", "any", "object", "array", "mixed"
_COMPARABLE = frozenset({*OrderKind, TEXT, BOOLEAN, ANY})
_TYPES: Mapping[str, Kind] = {
    "integer": OrderKind.NUMBER,
    "number": OrderKind.NUMBER,
    "string": TEXT,
    "boolean": BOOLEAN,
    "object": OBJECT,
    "array": ARRAY,
}
_DEPTH_MAX = 32
_TAG, _VALUE = "$type", "$value"


class FieldKinds:
    """The kinds of the fields of one schema."""

    def __init__(self, schema: JsonObject) -> None:
        self._root = schema

    def kind(self, path: FieldPath) -> Kind:
        """What a field stands for, to be compared or ordered.

        Raises:
            EntityDeclarationError: there is no such field, or it is no scalar of one kind.
        """
        kinds = self._kinds_at(path)
        name = ".".join(path)
        kind = next(iter(kinds)) if len(kinds) == 1 else MIXED if kinds else ANY
        if kind not in _COMPARABLE:
            what = " or ".join(sorted(str(k) for k in kinds))
            raise EntityDeclarationError(f"field {name!r} cannot be compared: it is {what}")
        return kind

    def check(self, path: FieldPath) -> None:
        """Check that there is such a field, of whatever kind.

        Raises:
            EntityDeclarationError: there is none.
        """
        self._kinds_at(path)

    def _kinds_at(self, path: FieldPath) -> frozenset[Kind]:
        schemas: list[JsonValue] = [self._root]
        for depth, name in enumerate(path):
            inner = [found for schema in schemas for found in self._members(schema, name, 0)]
            if not inner:
                where = ".".join(path[: depth + 1])
                raise EntityDeclarationError(f"the entity has no field {where!r}")
            schemas = inner
        return frozenset(kind for schema in schemas for kind in self._kinds(schema, 0))

    def _resolved(self, schema: JsonValue) -> JsonObject:
        for _ in range(_DEPTH_MAX):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            here: JsonValue = self._root
            for step in reference.removeprefix("#").split("/")[1:]:
                here = here.get(step) if isinstance(here, Mapping) else None
            schema = here
        return {}

    def _arms(self, schema: JsonObject) -> Sequence[JsonValue]:
        for union in ("anyOf", "oneOf"):
            arms = schema.get(union)
            if isinstance(arms, list | tuple):
                return arms
        return ()

    def _members(self, value: JsonValue, name: str, depth: int) -> Iterator[JsonValue]:
        """The schemas that a member of this name can have."""
        schema = self._resolved(value)
        arms = self._arms(schema)
        if arms and depth < _DEPTH_MAX:
            for arm in arms:
                yield from self._members(arm, name, depth + 1)
            return
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and name in properties:
            yield properties[name]
        elif schema.get("type") in (None, "object") or "object" in _listed(schema.get("type")):
            more = schema.get("additionalProperties", True)
            if more is not False:
                yield more if isinstance(more, Mapping) else {}

    def _kinds(self, value: JsonValue, depth: int) -> Iterator[Kind]:
        schema = self._resolved(value)
        arms = self._arms(schema)
        if arms and depth < _DEPTH_MAX:
            for arm in arms:
                yield from self._kinds(arm, depth + 1)
            return
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and {*properties} == {_TAG, _VALUE}:
            inner = {*self._kinds(properties[_VALUE], depth + 1)}
            yield from inner if inner <= {*OrderKind} else {MIXED}
            return
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if isinstance(values, list | tuple):
            yield from (kind for v in values for kind in _kind_of_value(v))
            return
        yield from _kinds_of_type(schema)


def _kinds_of_type(schema: JsonObject) -> Iterator[Kind]:
    declared = schema.get("type")
    types = [declared] if isinstance(declared, str) else _listed(declared)
    known = KIND_OF_FORMAT.get(str(schema.get("format")))
    for name in types:
        if name == "string" and known is not None:
            yield known
        elif name == "string" and schema.get("contentEncoding") == "base64":
            yield OrderKind.BYTES
        elif name in _TYPES:
            yield _TYPES[str(name)]
    if not types:
        yield ANY


def _listed(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list | tuple) else ()


def _kind_of_value(value: JsonValue) -> Iterator[Kind]:
    if isinstance(value, bool):
        yield BOOLEAN
    elif isinstance(value, int | float):
        yield OrderKind.NUMBER
    elif isinstance(value, str):
        yield TEXT


def sort_keys_of(value: JsonValue, keyed: Iterable[tuple[FieldPath, OrderKind]]) -> str:
    """The order keys of an entity's fields, as JSON of the entity's own shape.

    Raises:
        NoKeyError: a field holds what its schema does not declare.
    """
    keys: dict[str, JsonValue] = {}
    for path, kind in keyed:
        here = value
        for name in path:
            here = here.get(name) if isinstance(here, Mapping) else None
        if isinstance(here, Mapping) and {*here} == {_TAG, _VALUE}:
            here = here[_VALUE]
        if here is not None:
            inner = keys
            for name in path[:-1]:
                deeper = inner.setdefault(name, {})
                assert isinstance(deeper, dict), path  # noqa: S101  # keys of scalars only
                inner = deeper
            inner[path[-1]] = order_key(kind, here)
    return json.dumps(keys, sort_keys=True, separators=(",", ":"))
