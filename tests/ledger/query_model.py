"""What a vault-named query means, evaluated row by row in Python, without SQL."""

import re
from datetime import timedelta
from decimal import Decimal
from functools import reduce

from cordapp.forms import CodecError
from cordapp.schema import from_json
from host.ledger.query import syntax
from host.ledger.query.typing import COLUMNS, CONTRACT_STATE, ValueType

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NOTHING = object()
COMPARE = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def canonical(value):
    import rfc8785

    return rfc8785.dumps(value).decode()


def negated(value):
    return None if value is None else not value


def either(values):
    """SQL's OR."""
    if True in values:
        return True
    return None if None in values else False


def like(text, pattern):
    """By the definition: `%` any characters, `_` one."""
    if text is None or pattern is None:
        return None
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def number(text, cast):
    if text is None:
        return None
    if cast in ("int", "integer", "bigint"):
        bits = 63 if cast == "bigint" else 31
        if not _WHOLE.fullmatch(text) or not -(2**bits) <= int(text) < 2**bits:
            return None
        return Decimal(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def duration(text):
    """As Python has it; None of a text that is none."""
    try:
        return from_json(timedelta, text)
    except CodecError:
        return None


class Row:
    """One state: columns as JSON values, `custom_representation` with Corda's own member."""

    def __init__(self, columns, parameters):
        ref = f"{columns['transaction_id']}:{columns['leaf_idx']}"
        whole = columns["custom_representation"] | {CONTRACT_STATE: {"stateRef": ref}}
        self.columns = columns | {"custom_representation": whole}
        self.parameters = parameters

    def value(self, of):
        return getattr(self, "_" + type(of).__name__.lower())(of)

    def _column(self, of):
        value = self.columns.get(of.name)
        if value is None:
            return None
        kind = COLUMNS[of.name]
        if kind is ValueType.NUMBER:
            return Decimal(str(value))
        return value * 1000 if kind is ValueType.INSTANT else value

    def _parameter(self, of):
        return self.parameters[of.name]

    def _text(self, of):
        return of.value

    def _number(self, of):
        return Decimal(of.text)

    def _boolean(self, of):
        return of.value

    def _instant(self, of):
        return of.micros

    def _json(self, of):
        """The JSON value of an expression of JSON, or `_NOTHING`."""
        if isinstance(of, syntax.Column):
            return self.columns[of.name]
        found = self._json(of.of)
        try:
            if isinstance(found, dict) and isinstance(of.key, str):
                return found[of.key]
            if isinstance(found, list) and isinstance(of.key, int):
                return found[of.key]
        except LookupError:
            pass
        return _NOTHING

    def _member(self, of):
        found = self._json(of)
        if found is _NOTHING or (of.as_text and found is None):
            return None
        return found if of.as_text and isinstance(found, str) else canonical(found)

    def _haskey(self, of):
        key = self.value(of.key)
        found = self._json(of.of)
        if key is None or found is _NOTHING:
            return None
        return found == key if isinstance(found, str) else (
            key in found if isinstance(found, dict | list) else False
        )  # fmt: skip

    def _cast(self, of):
        value = self.value(of.of)
        if not isinstance(value, str):
            return value
        if of.type == "boolean":
            return {"true": True, "false": False}.get(value)
        if of.type == "interval":
            return duration(value)
        return value if of.type in ("text", "varchar") else number(value, of.type)

    def _comparison(self, of):
        left, right = self.value(of.left), self.value(of.right)
        if left is None or right is None:
            return None
        return COMPARE[of.operator](left, right)

    def _isnull(self, of):
        return (self.value(of.of) is None) != of.negated

    def _in(self, of):
        left = self.value(of.of)
        items = [self.value(item) for item in of.items]
        if len(items) == 1 and isinstance(items[0], list):
            (items,) = items
        equal = [None if left is None or item is None else left == item for item in items]
        found = either(equal)
        return negated(found) if of.negated else found

    def _like(self, of):
        found = like(self.value(of.of), self.value(of.pattern))
        return negated(found) if of.negated else found

    def _and(self, of):
        return negated(either([negated(self.value(part)) for part in of.parts]))

    def _or(self, of):
        return either([self.value(part) for part in of.parts])


def matching(where, rows, parameters):
    """The numbers of the rows that a condition keeps."""
    return [
        at
        for at, columns in enumerate(rows)
        if where is None or Row(columns, parameters).value(where) is True
    ]


def represented(columns):
    """The columns as the vault has them."""
    return columns | {"custom_representation": canonical(columns["custom_representation"])}


def ordered(order, rows):
    """The numbers of rows by expressions (with whether descending), nulls last, then by number."""

    def by(numbers, part):
        expression, descending = part
        keyed = [(Row(rows[at], {}).value(expression), at) for at in numbers]
        there = [pair for pair in keyed if pair[0] is not None]
        there.sort(key=lambda pair: pair[0], reverse=descending)
        return [at for _, at in there] + [at for value, at in keyed if value is None]

    return reduce(by, reversed(order), list(range(len(rows))))
