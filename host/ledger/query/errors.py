"""Refusals of declared queries."""

from host.domain.errors import InvalidInputError


class QueryDeclarationError(InvalidInputError):
    """A vault-named query cannot be used; the message names it, with the position and the token."""

    code = "query-declaration-invalid"


class QueryTextError(Exception):
    """A query's text cannot be used. Raised within this package only.

    Attributes:
        position: number of the token's first character, from 1.
        token: as the text has it; empty at the end of the text.
    """

    def __init__(self, position: int, token: str, problem: str) -> None:
        found = f"{token[:60]!r}" if token else "the end"
        super().__init__(f"position {position}, at {found}: {problem}")
        self.position = position
        self.token = token
