"""The place between two pages of a query. Pure.

A cursor holds the number of the last state shown and of the newest state at the first page: states
recorded later are not shown. What the last state is ordered by is read from its row, so that a
cursor has one size. It is not signed: it names rows of the caller's own vault, nothing else.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from host.domain.capability_error import CapabilityError
from host.domain.guest_text import GuestTextError, checked_json

CURSOR_CHARACTERS_MAX = 512
_DIGEST_CHARACTERS = 32
_NUMBER_END = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCursor:
    """Where a page ended.

    Attributes:
        digest: of the query and its parameters.
        snapshot: the greatest number of a state at the first page.
        last: the number of the last state shown.
    """

    digest: str
    snapshot: int
    last: int

    def encoded(self) -> str:
        """The text that the guest passes back."""
        parts = [self.digest[:_DIGEST_CHARACTERS], self.snapshot, self.last]
        return urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()


def parse_cursor(text: str, digest: str) -> QueryCursor:
    """The cursor of a query with this digest.

    Raises:
        CapabilityError: `query-cursor-invalid`, it is damaged or another query's.
    """
    if len(text) > CURSOR_CHARACTERS_MAX:
        raise cursor_refused(f"a cursor has at most {CURSOR_CHARACTERS_MAX} characters")
    try:
        parts = checked_json(urlsafe_b64decode(text).decode())
    except (GuestTextError, ValueError) as error:
        raise cursor_refused("the cursor is damaged") from error
    if not isinstance(parts, list) or [type(part) for part in parts] != [str, int, int]:
        raise cursor_refused("the cursor is damaged")
    found, snapshot, last = parts
    if not 0 <= min(snapshot, last) <= max(snapshot, last) < _NUMBER_END:
        raise cursor_refused("the cursor is damaged")
    if found != digest[:_DIGEST_CHARACTERS]:
        raise cursor_refused("the cursor belongs to another query, or to other parameters")
    return QueryCursor(digest=digest, snapshot=snapshot, last=last)


def cursor_refused(message: str) -> CapabilityError:
    """The refusal of a cursor."""
    return CapabilityError("query-cursor-invalid", message)
