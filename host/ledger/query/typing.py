"""What a query's expressions stand for, checked before the query is ever run. Pure.

Both sides of a comparison are of one type. A parameter takes the type of what it is compared with;
so does a text that is compared with a time. JSON cannot be compared: `->>` gives its text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import singledispatchmethod
from types import MappingProxyType

from host.domain.instants import instant_micros
from host.domain.order_keys import NoKeyError, OrderKind, order_key
from host.ledger.query.errors import QueryTextError
from host.ledger.query.syntax import (
    And,
    Boolean,
    Cast,
    Column,
    Comparison,
    Expression,
    HasKey,
    In,
    Instant,
    IsNull,
    Like,
    Member,
    Number,
    Or,
    Parameter,
    Text,
)

WILDCARDS_MAX = 4
CONTRACT_STATE = "net.corda.v5.ledger.utxo.ContractState"
"""The member of `custom_representation` that each state has: `{"stateRef": text}`."""


class ValueType(StrEnum):
    JSON = "json"
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    DURATION = "duration"


COLUMNS: Mapping[str, ValueType] = MappingProxyType(
    {
        "custom_representation": ValueType.JSON,
        "type": ValueType.TEXT,
        "transaction_id": ValueType.TEXT,
        "leaf_idx": ValueType.NUMBER,
        "created": ValueType.INSTANT,
        "consumed": ValueType.INSTANT,
        "token_type": ValueType.TEXT,
        "token_issuer_hash": ValueType.TEXT,
        "token_notary_x500_name": ValueType.TEXT,
        "token_symbol": ValueType.TEXT,
        "token_tag": ValueType.TEXT,
        "token_owner_hash": ValueType.TEXT,
        "token_amount": ValueType.NUMBER,
        "token_priority": ValueType.NUMBER,
    }
)
"""Columns of `visible_states`."""

CASTS: Mapping[str, ValueType] = MappingProxyType(
    {
        "text": ValueType.TEXT,
        "varchar": ValueType.TEXT,
        "int": ValueType.NUMBER,
        "integer": ValueType.NUMBER,
        "bigint": ValueType.NUMBER,
        "numeric": ValueType.NUMBER,
        "decimal": ValueType.NUMBER,
        "float": ValueType.NUMBER,
        "boolean": ValueType.BOOLEAN,
        "interval": ValueType.DURATION,
    }
)


_WHOLE = ("int", "integer", "bigint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a query uses a parameter.

    Attributes:
        type: of its value, or of its values.
        many: it is a list.
        pattern: it is a pattern of LIKE.
    """

    type: ValueType
    many: bool = False
    pattern: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A checked expression; texts that are compared with times have become what they stand for."""

    expression: Expression
    type: ValueType


@dataclass(slots=True)
class Typing:
    """Checks the expressions of one query, and collects how it uses its parameters."""

    uses: dict[str, Use] = field(default_factory=dict)
    _asked: list[Parameter] = field(default_factory=list)

    def condition(self, expression: Expression) -> Expression:
        """The checked condition.

        Raises:
            QueryTextError: types do not fit; the error names the token.
        """
        found = self._expected(expression, ValueType.BOOLEAN)
        for parameter in self._asked:
            if parameter.name not in self.uses:
                raise _untyped(parameter)
        return found

    def order(self, expression: Expression) -> Typed:
        """The checked expression to order by.

        Raises:
            QueryTextError: as `condition`, or it cannot be ordered.
        """
        found = self._typed(expression)
        if found.type is ValueType.JSON:
            raise expression.token.refused("JSON has no order: use ->> for its text")
        return found

    @singledispatchmethod
    def _typed(self, of: Expression) -> Typed:
        raise TypeError(type(of))  # every node has a rule

    @_typed.register
    def _(self, of: Parameter) -> Typed:
        raise _untyped(of)

    @_typed.register
    def _(self, of: Text) -> Typed:
        return Typed(expression=of, type=ValueType.TEXT)

    @_typed.register
    def _(self, of: Number) -> Typed:
        return Typed(expression=of, type=ValueType.NUMBER)

    @_typed.register
    def _(self, of: Boolean) -> Typed:
        return Typed(expression=of, type=ValueType.BOOLEAN)

    def _expected(self, of: Expression, expected: ValueType) -> Expression:
        """An expression that must be of this type."""
        if isinstance(of, Parameter):
            self._use(of, Use(type=expected))
            return of
        if isinstance(of, Text) and expected is ValueType.INSTANT:
            return _instant(of)
        if isinstance(of, Text) and expected is ValueType.DURATION:
            return _duration(of)
        found = self._typed(of)
        if found.type is not expected:
            hint = ": use ->> for its text" if found.type is ValueType.JSON else ""
            raise of.token.refused(f"expected {expected}, found {found.type}{hint}")
        return found.expression

    def _use(self, parameter: Parameter, use: Use) -> None:
        known = self.uses.get(parameter.name, use)
        if (known.type, known.many) != (use.type, use.many):
            raise parameter.token.refused(
                f"parameter :{parameter.name} is {_told(known)} elsewhere, and {_told(use)} here"
            )
        pattern = known.pattern or use.pattern
        self.uses[parameter.name] = Use(type=use.type, many=use.many, pattern=pattern)

    @_typed.register
    def _(self, of: Column) -> Typed:
        found = COLUMNS.get(of.name)
        if found is None:
            raise of.token.refused(
                f"visible_states has no such column; it has {', '.join(COLUMNS)}"
            )
        return Typed(expression=of, type=found)

    @_typed.register
    def _(self, of: Member) -> Typed:
        json = self._expected(of.of, ValueType.JSON)
        found = Member(token=of.token, of=json, key=of.key, as_text=of.as_text)
        return Typed(expression=found, type=ValueType.TEXT if of.as_text else ValueType.JSON)

    @_typed.register
    def _(self, of: HasKey) -> Typed:
        json = self._expected(of.of, ValueType.JSON)
        if isinstance(of.key, Parameter):
            self._use(of.key, Use(type=ValueType.TEXT))
        found = HasKey(token=of.token, of=json, key=of.key)
        return Typed(expression=found, type=ValueType.BOOLEAN)

    @_typed.register
    def _(self, of: Cast) -> Typed:
        target = CASTS.get(of.type)
        if target is None:
            raise of.token.refused(f"{of.type!r} is no type; types are {', '.join(CASTS)}")
        if isinstance(of.of, Parameter):
            return Typed(expression=self._expected(of.of, target), type=target)
        inner = self._typed(of.of)
        if inner.type is ValueType.JSON:
            raise of.token.refused("JSON has no cast: use ->> for its text, in parentheses")
        if inner.type is not ValueType.TEXT and not _is_of(inner, of.type):
            raise of.token.refused(f"{inner.type} has no cast to {of.type}; text has")
        found = Cast(token=of.token, of=inner.expression, type=of.type)
        return Typed(expression=found, type=target)

    @_typed.register
    def _(self, of: Comparison) -> Typed:
        left, right = self._of_one_type([of.left, of.right])
        found = Comparison(token=of.token, operator=of.operator, left=left, right=right)
        return Typed(expression=found, type=ValueType.BOOLEAN)

    @_typed.register
    def _(self, of: IsNull) -> Typed:
        if isinstance(of.of, Parameter):
            self._asked.append(of.of)
            inner: Expression = of.of
        else:
            inner = self._typed(of.of).expression
        found = IsNull(token=of.token, of=inner, negated=of.negated)
        return Typed(expression=found, type=ValueType.BOOLEAN)

    @_typed.register
    def _(self, of: In) -> Typed:
        if len(of.items) == 1 and isinstance(of.items[0], Parameter):
            left = self._typed(of.of)
            if left.type is ValueType.JSON:
                raise of.of.token.refused("JSON cannot be compared: use ->> for its text")
            self._use(of.items[0], Use(type=left.type, many=True))
            members: Sequence[Expression] = (left.expression, *of.items)
        else:
            members = self._of_one_type([of.of, *of.items])
        found = In(token=of.token, of=members[0], items=tuple(members[1:]), negated=of.negated)
        return Typed(expression=found, type=ValueType.BOOLEAN)

    @_typed.register
    def _(self, of: Like) -> Typed:
        left = self._expected(of.of, ValueType.TEXT)
        pattern = self._expected(of.pattern, ValueType.TEXT)
        if isinstance(pattern, Parameter):
            self._use(pattern, Use(type=ValueType.TEXT, pattern=True))
        elif isinstance(pattern, Text) and pattern.value.count("%") > WILDCARDS_MAX:
            raise pattern.token.refused(f"a pattern has at most {WILDCARDS_MAX} '%'")
        found = Like(token=of.token, of=left, pattern=pattern, negated=of.negated)
        return Typed(expression=found, type=ValueType.BOOLEAN)

    @_typed.register
    def _(self, of: And) -> Typed:
        parts = self._conditions(of.parts)
        return Typed(expression=And(token=of.token, parts=parts), type=ValueType.BOOLEAN)

    @_typed.register
    def _(self, of: Or) -> Typed:
        parts = self._conditions(of.parts)
        return Typed(expression=Or(token=of.token, parts=parts), type=ValueType.BOOLEAN)

    def _conditions(self, parts: Sequence[Expression]) -> tuple[Expression, ...]:
        return tuple(self._expected(part, ValueType.BOOLEAN) for part in parts)

    def _of_one_type(self, members: Sequence[Expression]) -> list[Expression]:
        """Expressions that are compared with each other: the first with a type of its own leads."""
        typed = [m for m in members if not isinstance(m, Parameter)]
        leading = next((m for m in typed if not isinstance(m, Text)), None) or next(
            iter(typed), None
        )
        if leading is None:
            raise members[0].token.refused("parameters alone have no type: cast one of them")
        expected = self._typed(leading).type
        if expected is ValueType.JSON:
            raise leading.token.refused("JSON cannot be compared: use ->> for its text")
        return [self._expected(member, expected) for member in members]


def member_path(of: Expression) -> tuple[Expression, tuple[str | int, ...]]:
    """The expression at the begin of a chain of `->`, and the keys that follow."""
    keys: list[str | int] = []
    while isinstance(of, Member):
        keys.append(of.key)
        of = of.of
    return of, tuple(reversed(keys))


def _is_of(inner: Typed, cast: str) -> bool:
    """Whether a cast of what is no text changes nothing: no number is rounded."""
    if cast in _WHOLE:
        return isinstance(inner.expression, Number) and "." not in inner.expression.text
    return inner.type is CASTS[cast]


def _untyped(parameter: Parameter) -> QueryTextError:
    return parameter.token.refused(
        f"parameter :{parameter.name} has no type: compare it with something that has one, or cast"
        " it"
    )


def _instant(of: Text) -> Instant:
    try:
        return Instant(token=of.token, micros=instant_micros(of.value))
    except ValueError as exc:
        raise of.token.refused(
            "expected an instant such as '2026-11-21T05:00:00.000000Z', since it is compared with"
            " one"
        ) from exc


def _duration(of: Text) -> Cast:
    try:
        order_key(OrderKind.DURATION, of.value)
    except NoKeyError as exc:
        raise of.token.refused(
            "expected a duration such as 'P1DT2H30M', since it is compared with one"
        ) from exc
    return Cast(token=of.token, of=of, type="interval")


def _told(use: Use) -> str:
    return f"a list of {use.type}" if use.many else str(use.type)
