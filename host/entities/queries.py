"""Named queries of CPKs: a declared condition becomes the host's own SQL with bound values.

A condition is an object with one member:

    {"all": [condition, ..]}, {"any": [condition, ..]}, {"not": condition}
    {"equal" | "not-equal" | "less" | "at-most" | "greater" | "at-least": [operand, operand]}
    {"like": [operand, constant]}, {"in": [operand, {"parameter": name}]}
    {"null": operand}, {"not-null": operand}

An operand is `{"field": "owner.name"}`, or a constant: `{"parameter": name}`, `{"value": scalar}`.
Comparisons are SQL's: with null on either side they are never true. Both sides are what the schema
declares of the field: numbers, dates and times are compared by order keys (`host.entities.fields`).
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    false,
    literal,
    not_,
    or_,
    select,
    true,
)

from host.database.sql import JsonField, JsonScalar, Like
from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.domain.order_keys import NoKeyError, OrderKind, order_key
from host.entities.errors import EntityDeclarationError
from host.entities.fields import ANY, BOOLEAN, FieldKinds, FieldPath, Kind
from host.entities.tables import ENTITY
from host.ports.requests import canonical_text

CONDITIONS_MAX = 200
_DEPTH_MAX = 16
_ORDER_FIELDS_MAX = 8
_LIST_MAX = 1000
_TEXT_CHARACTERS_MAX = 4096
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_QUERY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}(\.[A-Za-z_][A-Za-z0-9_-]{0,127}){0,7}")

Column = ColumnElement[object]
Condition = ColumnElement[bool]
Scalar = str | int | float | bool | None

_COMPARISONS: Mapping[str, Callable[[Column, Column], Condition]] = {
    "equal": operator.eq,
    "not-equal": operator.ne,
    "less": operator.lt,
    "at-most": operator.le,
    "greater": operator.gt,
    "at-least": operator.ge,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A query that a CPK declares.

    Attributes:
        parameters: the uses of each parameter's value.
        keyed: the fields that it compares or orders by order keys.
    """

    name: str
    select: Select[tuple[str]]
    parameters: "Mapping[str, Sequence[Use]]"
    keyed: Mapping[FieldPath, OrderKind]

    def bound(self, entity_type: str, values: JsonObject) -> Mapping[str, object]:
        """The values of a call as parameters of the statement.

        Raises:
            CapabilityError: `query-parameter`, an unknown or missing parameter, or a wrong value.
        """
        for name in values:
            if name not in self.parameters:
                known = ", ".join(sorted(self.parameters)) or "none"
                raise _refused(
                    f"query {self.name!r} has no parameter {name[:64]!r}; it has {known}"
                )
        bound: dict[str, object] = {"entity_type": entity_type}
        for name, uses in self.parameters.items():
            if name not in values:
                raise _refused(f"parameter {name!r} of query {self.name!r} is missing")
            for use, kind in uses:
                bound[_bound_name(use, kind, name)] = _BOUND[use](name, values[name], kind)
        return bound


def path_of(field: object) -> tuple[str, ...]:
    """The path of names to a declared field; safe to embed in SQL.

    Raises:
        EntityDeclarationError: it is not a name or a dotted path of names.
    """
    if not isinstance(field, str) or not _FIELD.fullmatch(field):
        raise EntityDeclarationError(f"{field!r:.140} names no field")
    return tuple(field.split("."))


def compile_query(declared: JsonObject, fields: FieldKinds) -> NamedQuery:
    """Turn a declared query `{"name", "where", "orderBy"}` over an entity's fields into SQL.

    Raises:
        EntityDeclarationError: the query is not valid; the message names it.
    """
    name = declared.get("name")
    if not isinstance(name, str) or not _QUERY_NAME.fullmatch(name):
        raise EntityDeclarationError(f"{name!r:.140} is no name of a query")
    try:
        _check_members(declared, {"name", "where", "orderBy"})
        compiler = _Compiler(fields)
        where = declared.get("where")
        condition = true() if where is None else compiler.condition(where)
        order = compiler.order(declared.get("orderBy", []))
    except (EntityDeclarationError, CapabilityError) as exc:
        raise EntityDeclarationError(f"query {name!r}: {exc.message}") from exc
    statement = (
        select(ENTITY.c.value)
        .where(ENTITY.c.type == bindparam("entity_type"), condition)
        .order_by(*order, ENTITY.c.key)
    )
    return NamedQuery(
        name=name,
        select=statement,
        parameters={name: tuple(sorted(uses)) for name, uses in compiler.uses.items()},
        keyed=compiler.keyed,
    )


Use = tuple[str, Kind]
"""How a parameter is used (scalar, list or pattern), and what it is compared with."""


class _Compiler:
    """Compiles one query, and collects its parameters and the fields that need order keys."""

    def __init__(self, fields: FieldKinds) -> None:
        self.uses: dict[str, set[Use]] = {}
        self.keyed: dict[FieldPath, OrderKind] = {}
        self._fields = fields
        self._count = 0

    def condition(self, value: JsonValue, depth: int = 0) -> Condition:
        self._count += 1
        if depth > _DEPTH_MAX or self._count > CONDITIONS_MAX:
            raise EntityDeclarationError("the condition is too large")
        name, inner = _only_member(value, "condition")
        if name in ("all", "any"):
            parts = [self.condition(part, depth + 1) for part in _list(inner, name)]
            return and_(true(), *parts) if name == "all" else or_(false(), *parts)
        if name == "not":
            return not_(self.condition(inner, depth + 1))
        if name in ("null", "not-null"):
            operand = self._plain(inner)
            return operand.is_(None) if name == "null" else operand.is_not(None)
        if name not in _COMPARISONS and name not in ("in", "like"):
            raise EntityDeclarationError(f"{name!r:.80} is no condition")
        operands = _list(inner, name)
        if len(operands) != 2:  # left and right
            raise EntityDeclarationError(f"{name!r} compares two operands")
        if name == "like":
            return Like(self._plain(operands[0]), self._pattern(operands[1]))
        return self._comparison(name, *operands)

    def _comparison(self, name: str, left: JsonValue, right: JsonValue) -> Condition:
        """Both sides as what the compared fields stand for."""
        kinds = {kind for side in (left, right) for kind in self._field_kind(side)}
        if len(kinds) > 1:
            what = " and ".join(sorted(str(kind) for kind in kinds))
            raise EntityDeclarationError(f"{name!r} compares fields of different types: {what}")
        kind = kinds.pop() if kinds else ANY
        one = self._operand(left, kind)
        if name == "in":
            return one.in_(self._parameter(right, "list", kind))
        return _COMPARISONS[name](one, self._operand(right, kind))

    def _field_kind(self, value: JsonValue) -> Iterator[Kind]:
        if isinstance(value, Mapping) and "field" in value:
            yield self._fields.kind(path_of(value["field"]))

    def _operand(self, value: JsonValue, kind: Kind) -> Column:
        name, inner = _only_member(value, "operand")
        if name == "field":
            return self.field(inner)
        if name == "value":
            return literal(_converted("value", inner, kind), JsonScalar())
        return self._parameter(value, "scalar", kind)

    def field(self, name: JsonValue) -> Column:
        """A field as it is compared and ordered."""
        path = path_of(name)
        kind = self._fields.kind(path)
        if not isinstance(kind, OrderKind):
            return JsonField(ENTITY.c.value, path)
        self.keyed[path] = kind
        return JsonField(ENTITY.c.sort_keys, path)

    def _plain(self, value: JsonValue) -> Column:
        """An operand by its JSON."""
        name, inner = _only_member(value, "operand")
        if name != "field":
            return self._operand(value, ANY)
        path = path_of(inner)
        self._fields.check(path)
        return JsonField(ENTITY.c.value, path)

    def _pattern(self, value: JsonValue) -> Column:
        name, inner = _only_member(value, "operand")
        if name == "value":
            return literal(_like_pattern("value", inner))
        return self._parameter(value, "pattern", ANY)

    def _parameter(self, value: JsonValue, use: str, kind: Kind) -> Column:
        member, name = _only_member(value, "operand")
        if member != "parameter" or not isinstance(name, str) or not _NAME.fullmatch(name):
            raise EntityDeclarationError(f"{value!r:.140}: expected a parameter")
        uses = self.uses.setdefault(name, set())
        if any(known != use for known, _ in uses):
            raise EntityDeclarationError(f"parameter {name!r} is used in two different ways")
        uses.add((use, kind))
        return bindparam(
            _bound_name(use, kind, name),
            expanding=use == "list",
            type_=None if use == "pattern" else JsonScalar(),
        )

    def order(self, value: JsonValue) -> Sequence[Column]:
        parts = _list(value, "orderBy")
        if len(parts) > _ORDER_FIELDS_MAX:
            raise EntityDeclarationError(f"'orderBy' has more than {_ORDER_FIELDS_MAX} fields")
        columns: list[Column] = []
        for part in parts:
            if not isinstance(part, Mapping) or set(part) - {"field", "descending"}:
                raise EntityDeclarationError("'orderBy' lists {'field', 'descending'}")
            column = self.field(part.get("field"))
            is_descending = part.get("descending") is True
            # Databases differ in where they put null by default.
            columns.append(
                column.desc().nulls_last() if is_descending else column.asc().nulls_first()
            )
        return columns


def _bound_name(use: str, kind: Kind, name: str) -> str:
    return f"{use}_{str(kind).replace(' ', '_')}_{name}"


def _check_members(value: JsonObject, known: AbstractSet[str]) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise EntityDeclarationError(f"unknown member {unknown[0]!r:.80}")


def _only_member(value: JsonValue, what: str) -> tuple[str, JsonValue]:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise EntityDeclarationError(f"{value!r:.140}: a {what} is an object of one member")
    ((name, inner),) = value.items()
    return name, inner


def _list(value: JsonValue, name: str) -> Sequence[JsonValue]:
    if not isinstance(value, list | tuple) or len(value) > CONDITIONS_MAX:
        raise EntityDeclarationError(f"{name!r} takes a list of at most {CONDITIONS_MAX}")
    return value


def _scalar(name: str, value: JsonValue) -> Scalar:
    if not (value is None or isinstance(value, str | int | float)):
        raise _refused(f"{name!r} must be a text, a number, true, false or null")
    canonical_text(value, repr(name))
    if isinstance(value, str) and len(value) > _TEXT_CHARACTERS_MAX:
        raise _refused(f"{name!r} is longer than {_TEXT_CHARACTERS_MAX} characters")
    return value


def _converted(name: str, value: JsonValue, kind: Kind) -> Scalar:
    """A constant as what the field stands for that it is compared with; null is never equal."""
    scalar = _scalar(name, value)
    if scalar is None or kind == ANY:
        return scalar
    if isinstance(kind, OrderKind):
        try:
            return order_key(kind, scalar)
        except NoKeyError as exc:
            raise _refused(f"{name!r}: {exc}, which its field is compared with") from exc
    expected = bool if kind == BOOLEAN else str
    if not isinstance(scalar, expected):
        raise _refused(f"{name!r}: expected a {kind}, which its field is, found {scalar!r:.80}")
    return scalar


def _scalars(name: str, value: JsonValue, kind: Kind) -> Sequence[Scalar]:
    if not isinstance(value, list | tuple) or len(value) > _LIST_MAX:
        raise _refused(f"{name!r} must be a list of at most {_LIST_MAX} values")
    return [_converted(name, item, kind) for item in value]


def _like_pattern(name: str, value: JsonValue, _kind: Kind = ANY) -> Scalar:
    pattern = _scalar(name, value)
    if pattern is None:
        return None
    if not isinstance(pattern, str) or pattern.count("%") > _WILDCARDS_MAX:
        raise _refused(f"{name!r} must be a text with at most {_WILDCARDS_MAX} '%'")
    return pattern


_WILDCARDS_MAX = 4
_BOUND: Mapping[str, Callable[[str, JsonValue, Kind], object]] = {
    "scalar": _converted,
    "list": _scalars,
    "pattern": _like_pattern,
}


def _refused(message: str) -> CapabilityError:
    return CapabilityError("query-parameter", message)
