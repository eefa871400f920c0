"""The tokens of a query's text. Pure, in time linear in the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from host.domain.ascii_case import ascii_upper
from host.ledger.query.errors import QueryTextError

CHARACTERS_MAX = 10_000
_LOGIC = ("WHERE", "AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE", "TRUE", "FALSE")
_STATEMENTS = ("AS", "SELECT", "FROM", "ORDER", "BY", "GROUP")
KEYWORDS = frozenset({*_LOGIC, *_STATEMENTS})
"""Written in any letter case."""
_NOT_IN_A_CONDITION = frozenset({"SELECT", "FROM"})
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<text>'(?:[^']|'')*')"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    r"|(?P<parameter>:[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>->>|->|::|!=|<=|>=|[=<>().,?])"
)


class TokenKind(StrEnum):
    KEYWORD = "keyword"
    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    PARAMETER = "parameter"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: what it is.
        value: keywords in capitals, texts and names without quotes, parameters without colon.
        source: as the text has it.
        position: number of its first character, from 1.
    """

    kind: TokenKind
    value: str
    source: str
    position: int

    def refused(self, problem: str) -> QueryTextError:
        return QueryTextError(self.position, self.source, problem)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text, the last of them `END`.

    Raises:
        QueryTextError: a character begins no token, the text is too long, or it contains SELECT or
            FROM: a query is a condition on states, nothing else.
    """
    if len(text) > CHARACTERS_MAX:
        raise QueryTextError(
            CHARACTERS_MAX + 1, text[CHARACTERS_MAX:], f"a query has at most {CHARACTERS_MAX}"
            f" characters, this one has {len(text)}"
        )  # fmt: skip
    found = list(_tokens(text))
    for token in found:
        if token.kind is TokenKind.KEYWORD and token.value in _NOT_IN_A_CONDITION:
            raise token.refused(f"a query cannot contain the {token.value} keyword")
    return found


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            problem = "the quote is not closed" if text[at] in "'\"" else "no token begins so"
            raise QueryTextError(at + 1, text[at:], problem)
        if match.lastgroup != "space":
            yield _token(str(match.lastgroup), match[0], at + 1)
        at = match.end()
    yield Token(TokenKind.END, "", "", len(text) + 1)


def _token(group: str, source: str, position: int) -> Token:
    if group == "text":
        return Token(TokenKind.TEXT, source[1:-1].replace("''", "'"), source, position)
    if group == "quoted":
        return Token(TokenKind.NAME, source[1:-1].replace('""', '"'), source, position)
    if group == "parameter":
        return Token(TokenKind.PARAMETER, source[1:], source, position)
    if group == "name" and ascii_upper(source) in KEYWORDS:
        return Token(TokenKind.KEYWORD, ascii_upper(source), source, position)
    return Token(TokenKind(group), source, source, position)
