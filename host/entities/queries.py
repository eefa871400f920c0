"""Named queries of CPKs: a declared condition becomes the host's own SQL with bound values.

A condition is an object with one member:

    {"all": [condition, ..]}, {"any": [condition, ..]}, {"not": condition}
    {"equal" | "not-equal" | "less" | "at-most" | "greater" | "at-least": [operand, operand]}
    {"like": [operand, constant]}, {"in": [operand, {"parameter": name}]}
    {"null": operand}, {"not-null": operand}

An operand is `{"field": "owner.name"}`, or a constant: `{"parameter": name}`, `{"value": scalar}`.
Comparisons are SQL's: with null on either side they are never true.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
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

from host.database.sql import JsonField, Like
from host.domain.capability_error import CapabilityError
from host.domain.json import JsonObject, JsonValue
from host.entities.errors import EntityDeclarationError
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
    """A query that a CPK declares. `parameters` maps each name to the use of its value."""

    name: str
    select: Select[tuple[str]]
    parameters: Mapping[str, str]

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
        for name, use in self.parameters.items():
            if name not in values:
                raise _refused(f"parameter {name!r} of query {self.name!r} is missing")
            bound[f"{use}_{name}"] = _BOUND[use](name, values[name])
        return bound


def path_of(field: object) -> tuple[str, ...]:
    """The path of names to a declared field; safe to embed in SQL.

    Raises:
        EntityDeclarationError: it is not a name or a dotted path of names.
    """
    if not isinstance(field, str) or not _FIELD.fullmatch(field):
        raise EntityDeclarationError(f"{field!r:.140} names no field")
    return tuple(field.split("."))


def compile_query(declared: JsonObject) -> NamedQuery:
    """Turn a declared query `{"name", "where", "orderBy"}` into SQL.

    Raises:
        EntityDeclarationError: the query is not valid; the message names it.
    """
    name = declared.get("name")
    if not isinstance(name, str) or not _QUERY_NAME.fullmatch(name):
        raise EntityDeclarationError(f"{name!r:.140} is no name of a query")
    try:
        _check_members(declared, {"name", "where", "orderBy"})
        compiler = _Compiler()
        where = declared.get("where")
        condition = true() if where is None else compiler.condition(where)
        order = _order(declared.get("orderBy", []))
    except (EntityDeclarationError, CapabilityError) as exc:
        raise EntityDeclarationError(f"query {name!r}: {exc.message}") from exc
    statement = (
        select(ENTITY.c.value)
        .where(ENTITY.c.type == bindparam("entity_type"), condition)
        .order_by(*order, ENTITY.c.key)
    )
    return NamedQuery(name=name, select=statement, parameters=compiler.uses)


class _Compiler:
    """Compiles one condition, and collects its parameters with their uses."""

    def __init__(self) -> None:
        self.uses: dict[str, str] = {}
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
            operand = self._operand(inner)
            return operand.is_(None) if name == "null" else operand.is_not(None)
        if name not in _COMPARISONS and name not in ("in", "like"):
            raise EntityDeclarationError(f"{name!r:.80} is no condition")
        operands = _list(inner, name)
        if len(operands) != 2:  # left and right
            raise EntityDeclarationError(f"{name!r} compares two operands")
        left = self._operand(operands[0])
        if name == "in":
            return left.in_(self._parameter(operands[1], "list"))
        if name == "like":
            return Like(left, self._pattern(operands[1]))
        return _COMPARISONS[name](left, self._operand(operands[1]))

    def _operand(self, value: JsonValue) -> Column:
        name, inner = _only_member(value, "operand")
        if name == "field":
            return _extracted(inner)
        if name == "value":
            return literal(_scalar("value", inner))
        return self._parameter(value, "scalar")

    def _pattern(self, value: JsonValue) -> Column:
        name, inner = _only_member(value, "operand")
        if name == "value":
            return literal(_like_pattern("value", inner))
        return self._parameter(value, "pattern")

    def _parameter(self, value: JsonValue, use: str) -> Column:
        member, name = _only_member(value, "operand")
        if member != "parameter" or not isinstance(name, str) or not _NAME.fullmatch(name):
            raise EntityDeclarationError(f"{value!r:.140}: expected a parameter")
        if self.uses.setdefault(name, use) != use:
            raise EntityDeclarationError(f"parameter {name!r} is used in two different ways")
        return bindparam(f"{use}_{name}", expanding=use == "list")


def _order(value: JsonValue) -> Sequence[Column]:
    parts = _list(value, "orderBy")
    if len(parts) > _ORDER_FIELDS_MAX:
        raise EntityDeclarationError(f"'orderBy' has more than {_ORDER_FIELDS_MAX} fields")
    columns: list[Column] = []
    for part in parts:
        if not isinstance(part, Mapping) or set(part) - {"field", "descending"}:
            raise EntityDeclarationError("'orderBy' lists {'field', 'descending'}")
        column = _extracted(part.get("field"))
        columns.append(column.desc() if part.get("descending") is True else column.asc())
    return columns


def _extracted(field: JsonValue) -> Column:
    return JsonField(ENTITY.c.value, path_of(field))


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


def _scalars(name: str, value: JsonValue) -> Sequence[Scalar]:
    if not isinstance(value, list | tuple) or len(value) > _LIST_MAX:
        raise _refused(f"{name!r} must be a list of at most {_LIST_MAX} values")
    return [_scalar(name, item) for item in value]


def _like_pattern(name: str, value: JsonValue) -> Scalar:
    pattern = _scalar(name, value)
    if pattern is None:
        return None
    if not isinstance(pattern, str) or pattern.count("%") > _WILDCARDS_MAX:
        raise _refused(f"{name!r} must be a text with at most {_WILDCARDS_MAX} '%'")
    return pattern


_WILDCARDS_MAX = 4
_BOUND: Mapping[str, Callable[[str, JsonValue], object]] = {
    "scalar": _scalar,
    "list": _scalars,
    "pattern": _like_pattern,
}


def _refused(message: str) -> CapabilityError:
    return CapabilityError("query-parameter", message)
