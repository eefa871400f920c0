"""Declared queries, checked when a CPI is uploaded. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from host.domain.json import digest_of
from host.domain.packages import QueryDeclaration
from host.ledger.query.errors import QueryDeclarationError, QueryTextError
from host.ledger.query.parser import parse_condition, parse_expression
from host.ledger.query.syntax import (
    And,
    Cast,
    Column,
    Comparison,
    Expression,
    HasKey,
    In,
    IsNull,
    Like,
    Member,
    Or,
)
from host.ledger.query.typing import Typing, Use, member_path

QUERIES_MAX = 100
ORDER_MAX = 8
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.$-]{0,127}")

Path = tuple[str | int, ...]
"""Keys from `custom_representation` to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultQuery:
    """A query that a contract CPK declares.

    Attributes:
        name: unique in a CPI.
        where: the condition, or None: all states.
        order: expressions to order by, with whether the order is descending.
        unconsumed_only: whether consumed states are left out.
        uses: how it uses each parameter.
        digest: SHA-256 of the declaration, which cursors carry.
    """

    name: str
    where: Expression | None
    order: tuple[tuple[Expression, bool], ...]
    unconsumed_only: bool
    uses: Mapping[str, Use]
    digest: str

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths in representations that it compares or orders by, each once, in order."""
        expressions = [each for each, _ in self.order]
        if self.where is not None:
            expressions.insert(0, self.where)
        found = (path for expression in expressions for path in _paths(expression))
        return tuple(dict.fromkeys(found))


def compile_query(declared: QueryDeclaration) -> VaultQuery:
    """Check a declaration.

    Raises:
        QueryDeclarationError: it cannot be used; the message names the query.
    """
    if not _NAME.fullmatch(declared.name):
        raise QueryDeclarationError(
            f"{declared.name!r:.140} is no name of a query: expected letters, digits and . _ $ -,"
            " at most 128"
        )
    if len(declared.order_by) > ORDER_MAX:
        raise QueryDeclarationError(
            f"query {declared.name!r} orders by {len(declared.order_by)} expressions, at most"
            f" {ORDER_MAX} are allowed"
        )
    typing = Typing()
    place = "where"
    try:
        where = None
        if declared.where is not None:
            where = typing.condition(parse_condition(declared.where))
        order = []
        for index, (expression, descending) in enumerate(declared.order_by):
            place = f"orderBy[{index}]"
            order.append((typing.order(parse_expression(expression)).expression, descending))
    except QueryTextError as refused:
        raise QueryDeclarationError(f"query {declared.name!r}: {place}: {refused}") from refused
    return VaultQuery(
        name=declared.name,
        where=where,
        order=tuple(order),
        unconsumed_only=declared.unconsumed_only,
        uses=MappingProxyType(typing.uses),
        digest=digest_of(
            [declared.name, declared.where, declared.order_by, declared.unconsumed_only]
        ),
    )


def compile_queries(declared: Sequence[QueryDeclaration]) -> Mapping[str, VaultQuery]:
    """The queries of a CPI by name.

    Raises:
        QueryDeclarationError: one cannot be used, two have one name, or there are too many.
    """
    if len(declared) > QUERIES_MAX:
        raise QueryDeclarationError(
            f"{len(declared)} queries are declared, at most {QUERIES_MAX} are allowed"
        )
    queries: dict[str, VaultQuery] = {}
    for each in declared:
        if each.name in queries:
            raise QueryDeclarationError(f"query {each.name!r} is declared twice")
        queries[each.name] = compile_query(each)
    return MappingProxyType(queries)


def _paths(expression: Expression) -> Iterator[Path]:
    if isinstance(expression, Member):
        root, path = member_path(expression)
        if isinstance(root, Column):
            yield path
            return
    for inner in _inner(expression):
        yield from _paths(inner)


def _inner(of: Expression) -> Sequence[Expression]:
    match of:
        case Comparison():
            return (of.left, of.right)
        case In():
            return (of.of, *of.items)
        case Like():
            return (of.of, of.pattern)
        case And() | Or():
            return of.parts
        case Cast() | HasKey() | IsNull() | Member():
            return (of.of,)
        case _:
            return ()
