"""From a checked query to a condition of SQL.

No part of a query's text enters the SQL, except paths of plain names (`host.database.sql`), which
indexes need. Values of a type have one form: numbers and durations are order keys, instants
microseconds.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import singledispatchmethod
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    String,
    and_,
    bindparam,
    case,
    literal,
    literal_column,
    not_,
    or_,
)
from sqlalchemy.types import TypeEngine

from host.database.sql import DurationKey, JsonHasKey, JsonObjectOf, JsonPart, JsonText, NumberKey
from host.database.sql import Like as LikeFunction
from host.domain.order_keys import OrderKind, order_key
from host.ledger.query import syntax
from host.ledger.query.syntax import Expression
from host.ledger.query.typing import CASTS, COLUMNS, CONTRACT_STATE, Use, ValueType, member_path

Value = ColumnElement[Any]
_COMPARISONS: Mapping[str, Callable[[Value, Value], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BITS = {"int": 32, "integer": 32, "bigint": 64}
_SQL_TYPES: Mapping[ValueType, TypeEngine[Any]] = {
    ValueType.TEXT: String(),
    ValueType.NUMBER: String(),
    ValueType.BOOLEAN: Boolean(),
    ValueType.INSTANT: BigInteger(),
    ValueType.DURATION: String(),
}
_MICROS_PER_MS = 1000


class Compiler:
    """Compiles the expressions of one query.

    Args:
        columns: of `visible_states` by name: representations as canonical JSON text without
            Corda's own member, times in milliseconds since 1970, numbers as such or as text.
        uses: how the query uses its parameters.
    """

    def __init__(self, columns: Mapping[str, Value], uses: Mapping[str, Use]) -> None:
        self._columns = columns
        self._uses = uses

    def condition(self, of: Expression) -> ColumnElement[bool]:
        found: ColumnElement[bool] = self.value(of)
        return found

    @singledispatchmethod
    def value(self, of: Expression) -> Value:
        """The expression in the form in which its type is compared and ordered."""
        raise TypeError(type(of))  # every node has a rule

    @value.register
    def _(self, of: syntax.Column) -> Value:
        return self._column(of.name)

    @value.register
    def _(self, of: syntax.Parameter) -> Value:
        use = self._uses[of.name]
        return bindparam(bound_name(of.name), type_=_SQL_TYPES[use.type], expanding=use.many)

    @value.register
    def _(self, of: syntax.Text) -> Value:
        return literal(of.value, String())

    @value.register
    def _(self, of: syntax.Number) -> Value:
        return literal(order_key(OrderKind.NUMBER, of.text), String())

    @value.register
    def _(self, of: syntax.Boolean) -> Value:
        return literal(of.value, Boolean())

    @value.register
    def _(self, of: syntax.Instant) -> Value:
        return literal(of.micros, BigInteger())

    @value.register
    def _(self, of: syntax.Comparison) -> Value:
        return _COMPARISONS[of.operator](self.value(of.left), self.value(of.right))

    @value.register
    def _(self, of: syntax.IsNull) -> Value:
        # Of a column as it is stored: so an index of unconsumed states serves `consumed IS NULL`.
        inner = of.of
        stored = self._columns[inner.name] if isinstance(inner, syntax.Column) else None
        value = self.value(inner) if stored is None else stored
        return value.is_not(None) if of.negated else value.is_(None)

    @value.register
    def _(self, of: syntax.Like) -> Value:
        found = LikeFunction(self.value(of.of), self.value(of.pattern))
        return not_(found) if of.negated else found

    @value.register
    def _(self, of: syntax.And) -> Value:
        return and_(*map(self.value, of.parts))

    @value.register
    def _(self, of: syntax.Or) -> Value:
        return or_(*map(self.value, of.parts))

    def _column(self, name: str) -> Value:
        column = self._columns[name]
        if COLUMNS[name] is ValueType.NUMBER:
            return NumberKey(column)
        if COLUMNS[name] is ValueType.INSTANT:
            return column * literal_column(str(_MICROS_PER_MS))
        return column

    @value.register
    def _(self, of: syntax.In) -> Value:
        left = self.value(of.of)
        items = [self.value(item) for item in of.items]
        many = isinstance(of.items[0], syntax.Parameter) and self._uses[of.items[0].name].many
        # `IN` takes no expressions in all databases; equalities mean the same.
        found = left.in_(items[0]) if many else or_(*(left == item for item in items))
        return not_(found) if of.negated else found

    @value.register
    def _(self, of: syntax.Cast) -> Value:
        value = self.value(of.of)
        if not _is_text(of.of):
            return value  # of the type of the cast already
        target = CASTS[of.type]
        if target is ValueType.NUMBER:
            return NumberKey(value, _BITS.get(of.type, 0))
        if target is ValueType.DURATION:
            return DurationKey(value)
        if target is ValueType.BOOLEAN:
            known = {"true": literal(value=True), "false": literal(value=False)}
            return case(known, value=value)
        return value

    @value.register
    def _(self, of: syntax.Member) -> Value:
        root, path = member_path(of)
        element = JsonText if of.as_text else JsonPart
        return element(self._document(root, path), path)

    def _document(self, root: Expression, path: Sequence[str | int]) -> Value:
        """The JSON text into which a path leads; Corda's own member is computed from the row."""
        if not isinstance(root, syntax.Column) or path[0] != CONTRACT_STATE:
            return self.value(root)
        columns = self._columns
        index = columns["leaf_idx"].cast(String())
        ref = columns["transaction_id"] + literal_column("':'", String()) + index
        names = (literal_column(f"'{name}'", String()) for name in (CONTRACT_STATE, "stateRef"))
        outer, inner = names
        return JsonObjectOf(outer, JsonObjectOf(inner, ref))

    @value.register
    def _(self, of: syntax.HasKey) -> Value:
        key = self.value(of.key)
        found: Value = JsonHasKey(self.value(of.of), key)
        if isinstance(of.of, syntax.Column):
            found = or_(found, key == CONTRACT_STATE)
        return found


def bound_name(parameter: str) -> str:
    """The name under which a parameter is bound: those of statements around it are others."""
    return "query_" + "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in parameter)


def _is_text(of: Expression) -> bool:
    match of:
        case syntax.Cast():
            return CASTS[of.type] is ValueType.TEXT
        case syntax.Column():
            return COLUMNS[of.name] is ValueType.TEXT
        case _:
            return isinstance(of, syntax.Text | syntax.Member)
