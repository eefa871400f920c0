"""Pages of lists: their length, and the cursor from one page to the next. Pure.

A cursor holds the order of its list, the place of the last item shown, and the time of the first
page: items that begin later are not shown, even if a clock jumped back. It is not signed, since
each page is authorised separately and the cursor contains nothing that its page did not.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from host.domain.errors import InvalidInputError
from host.domain.guest_text import GuestTextError, checked_json
from host.domain.ids import EpochMs

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
CURSOR_CHARACTERS_MAX = 2048
_PARTS = 4


class CursorInvalidError(InvalidInputError):
    """A cursor is damaged, or comes from another list."""

    code = "cursor-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a page ended.

    Attributes:
        order: name of the list and its order, such as `flows` or `nodes`.
        last: the place of the last item: a number to sort by (or none), and the item's key.
        snapshot: when the first page was requested.
    """

    order: str
    last: tuple[int, str]
    snapshot: EpochMs

    def encoded(self) -> str:
        """The text that a client passes back."""
        text = json.dumps([self.order, *self.last, self.snapshot], separators=(",", ":"))
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(text: str, order: str) -> Cursor:
    """The cursor of a list.

    Raises:
        CursorInvalidError: it is not a cursor, or belongs to another list. Clients can send any
            text, so the rules of guests' texts apply: stores do not accept unpaired surrogates.
    """
    if len(text) > CURSOR_CHARACTERS_MAX:
        raise CursorInvalidError(f"a cursor has at most {CURSOR_CHARACTERS_MAX} characters")
    try:
        parts = checked_json(urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (GuestTextError, ValueError) as error:
        raise CursorInvalidError("the cursor is damaged") from error
    if not isinstance(parts, list) or len(parts) != _PARTS:
        raise CursorInvalidError("the cursor is damaged")
    found, number, key, snapshot = parts
    if found != order:
        raise CursorInvalidError(f"the cursor is not one of the list {order!r}")
    if type(number) is not int or type(key) is not str or type(snapshot) is not int:
        raise CursorInvalidError("the cursor is damaged")
    if max(abs(number), abs(snapshot)) >= 1 << 63:
        raise CursorInvalidError("the cursor is damaged")
    return Cursor(order=order, last=(number, key), snapshot=EpochMs(snapshot))
