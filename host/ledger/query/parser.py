"""From a query's text to its syntax tree. Pure.

    query   = "WHERE" or
    or      = and {"OR" and}
    and     = test {"AND" test}
    test    = chain [comparison chain | "IS" ["NOT"] "NULL" | ["NOT"] "LIKE" chain
                     | ["NOT"] "IN" (parameter | "(" chain {"," chain} ")")]
    chain   = cast {("->" | "->>") (text | number) | "?" (text | parameter)}
    cast    = primary {"::" type}
    primary = "(" or ")" | "visible_states" "." column | parameter | text | number
              | "TRUE" | "FALSE"

Precedence is PostgreSQL's, where `::` binds before `->`.
"""

from collections.abc import Callable

from host.domain.ascii_case import ascii_lower
from host.ledger.query.lexer import Token, TokenKind, tokens_of
from host.ledger.query.syntax import (
    And,
    Boolean,
    Cast,
    Column,
    Comparison,
    Expression,
    HasKey,
    In,
    IsNull,
    Like,
    Member,
    Number,
    Or,
    Parameter,
    Text,
)

NODES_MAX = 100
DEPTH_MAX = 32
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
_TABLE = "visible_states"
_ARRAY_INDEX_DIGITS_MAX = 9
_OPERAND = "expected visible_states.<column>, :parameter, 'text', a number, TRUE, FALSE or '('"


def parse_condition(text: str) -> Expression:
    """The tree of a condition: `WHERE` and what follows.

    Raises:
        QueryTextError: the text does not follow the grammar, or is too large.
    """
    return _Parser(text).condition()


def parse_expression(text: str) -> Expression:
    """The tree of an expression to order by.

    Raises:
        QueryTextError: as `parse_condition`.
    """
    return _Parser(text).expression()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = tokens_of(text)
        self._at = 0
        self._nodes = 0
        self._depth = 0

    def condition(self) -> Expression:
        if not self._take_keyword("WHERE"):
            raise self._next.refused("a query begins with WHERE")
        return self._to_the_end(self._or)

    def expression(self) -> Expression:
        return self._to_the_end(self._chain)

    def _to_the_end(self, rule: "Callable[[], Expression]") -> Expression:
        found = rule()
        if self._next.kind is not TokenKind.END:
            raise self._next.refused("expected the end of the query, AND or OR")
        return found

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        if token.kind is not TokenKind.END:
            self._at += 1
        return token

    def _take_keyword(self, word: str) -> bool:
        return self._take_if(TokenKind.KEYWORD, word)

    def _take_operator(self, sign: str) -> bool:
        return self._take_if(TokenKind.OPERATOR, sign)

    def _take_if(self, kind: TokenKind, value: str) -> bool:
        if self._next.kind is not kind or self._next.value != value:
            return False
        self._at += 1
        return True

    def _expect_operator(self, sign: str) -> None:
        if not self._take_operator(sign):
            raise self._next.refused(f"expected {sign!r}")

    def _count(self, token: Token) -> Token:
        """The token at which a new node begins."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise token.refused(f"a query has at most {NODES_MAX} operands and operators")
        return token

    def _or(self) -> Expression:
        return self._joined("OR", self._and, Or)

    def _and(self) -> Expression:
        return self._joined("AND", self._test, And)

    def _joined(
        self, word: str, rule: "Callable[[], Expression]", node: type[And] | type[Or]
    ) -> Expression:
        token = self._next
        parts = [rule()]
        while self._take_keyword(word):
            parts.append(rule())
        if len(parts) == 1:
            return parts[0]
        return node(token=self._count(token), parts=tuple(parts))

    def _test(self) -> Expression:
        begin = self._next
        left = self._chain()
        token = self._next
        if token.kind is TokenKind.OPERATOR and token.value in COMPARISONS:
            self._take()
            return Comparison(
                token=self._count(begin), operator=token.value, left=left, right=self._chain()
            )
        if self._take_keyword("IS"):
            negated = self._take_keyword("NOT")
            if not self._take_keyword("NULL"):
                raise self._next.refused("expected NULL")
            return IsNull(token=self._count(begin), of=left, negated=negated)
        negated = self._take_keyword("NOT")
        if self._take_keyword("LIKE"):
            pattern = self._chain()
            return Like(token=self._count(begin), of=left, pattern=pattern, negated=negated)
        if self._take_keyword("IN"):
            items = self._items()
            return In(token=self._count(begin), of=left, items=items, negated=negated)
        if negated:
            raise self._next.refused("expected LIKE or IN")
        return left

    def _items(self) -> tuple[Expression, ...]:
        if self._next.kind is TokenKind.PARAMETER:
            return (self._primary(),)
        self._expect_operator("(")
        items = [self._chain()]
        while self._take_operator(","):
            items.append(self._chain())
        self._expect_operator(")")
        return tuple(items)

    def _chain(self) -> Expression:
        begin = self._next
        found = self._cast()
        while True:
            if self._take_operator("?"):
                found = HasKey(token=self._count(begin), of=found, key=self._object_key())
                continue
            as_text = self._next.value == "->>"
            if not self._take_operator("->>") and not self._take_operator("->"):
                return found
            key = self._member_key()
            found = Member(token=self._count(begin), of=found, key=key, as_text=as_text)

    def _object_key(self) -> Text | Parameter:
        token = self._take()
        if token.kind is TokenKind.TEXT:
            return Text(token=self._count(token), value=token.value)
        if token.kind is TokenKind.PARAMETER:
            return Parameter(token=self._count(token), name=token.value)
        raise token.refused("expected a key: a text in single quotes or a parameter")

    def _member_key(self) -> str | int:
        token = self._take()
        if self._next.value == "::":
            raise self._next.refused(
                "'::' binds before '->': put the expression in parentheses before its cast"
            )
        if token.kind is TokenKind.TEXT:
            return token.value
        digits = token.value
        if token.kind is TokenKind.NUMBER and digits.isdigit():
            if len(digits) > _ARRAY_INDEX_DIGITS_MAX:
                raise token.refused("no array has so many elements")
            return int(digits)
        raise token.refused("expected a key in single quotes, or the number of an element from 0")

    def _cast(self) -> Expression:
        begin = self._next
        found = self._primary()
        while self._take_operator("::"):
            token = self._take()
            if token.kind is not TokenKind.NAME:
                raise token.refused("expected a type after '::'")
            found = Cast(token=self._count(begin), of=found, type=ascii_lower(token.value))
        return found

    def _primary(self) -> Expression:
        token = self._take()
        if token.kind is TokenKind.PARAMETER:
            return Parameter(token=self._count(token), name=token.value)
        if token.kind is TokenKind.TEXT:
            return Text(token=self._count(token), value=token.value)
        if token.kind is TokenKind.NUMBER:
            return Number(token=self._count(token), text=token.value)
        if token.kind is TokenKind.KEYWORD and token.value in ("TRUE", "FALSE"):
            return Boolean(token=self._count(token), value=token.value == "TRUE")
        if token.kind is TokenKind.NAME and token.value == _TABLE:
            self._expect_operator(".")
            name = self._take()
            if name.kind is not TokenKind.NAME:
                raise name.refused("expected the name of a column")
            return Column(token=self._count(name), name=name.value)
        if token.kind is TokenKind.OPERATOR and token.value == "(":
            return self._in_parentheses(token)
        raise token.refused(_OPERAND)

    def _in_parentheses(self, token: Token) -> Expression:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise token.refused(f"parentheses are nested at most {DEPTH_MAX} deep")
        found = self._or()
        self._expect_operator(")")
        self._depth -= 1
        return found
