"""The syntax tree of a query. Pure; a node knows the token at which it begins."""

from dataclasses import dataclass, field
from typing import TypeAlias

from host.ledger.query.lexer import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    token: Token = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Node):
    """A column of `visible_states`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    """Digits with an optional sign and fraction."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Node):
    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant(Node):
    """Microseconds since 1970, UTC: a text that is compared with a time."""

    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Node):
    """`->` or `->>`: the member of this name, or the element of this number from 0."""

    of: "Expression"
    key: str | int
    as_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HasKey(Node):
    """`?`: whether an object has the key, an array the text as an element."""

    of: "Expression"
    key: Text | Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast(Node):
    of: "Expression"
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Node):
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull(Node):
    of: "Expression"
    negated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class In(Node):
    """One of `items`; a single parameter stands for a list."""

    of: "Expression"
    items: "tuple[Expression, ...]"
    negated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Like(Node):
    of: "Expression"
    pattern: "Expression"
    negated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Node):
    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Node):
    parts: "tuple[Expression, ...]"


Expression: TypeAlias = (
    Column
    | Parameter
    | Text
    | Number
    | Boolean
    | Instant
    | Member
    | HasKey
    | Cast
    | Comparison
    | IsNull
    | In
    | Like
    | And
    | Or
)
