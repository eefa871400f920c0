"""A limit on the time that statements may take, and the functions that they may use.

Two look at the clock: SQLite's machine, every few instructions, since one of them may parse a
value of a megabyte; and the functions that this module lends to SQLite, since a call of one is a
single instruction to the machine.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from host.db.like import like
from host.domain.json import canonical_json
from host.ports.capability import CapabilityError

QUERY_SECONDS_MAX = 5.0
LIKE = "cordbox_like"
"""The SQL function `cordbox_like(value, pattern)`; null where one of them is."""
_INSTRUCTIONS = 20
"""Instructions of SQLite's machine between two looks at the clock."""
_LENT = "cordbox functions"


class _OverError(Exception):
    """Raised within SQLite by a function whose statement has had its time."""


class _Watch:
    """The time of one statement."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + QUERY_SECONDS_MAX
        self.is_over = False

    def look(self) -> int:
        """Non-zero, for good, when the time is over."""
        self.is_over = self.is_over or self._monotonic() > self._until
        return int(self.is_over)

    def check(self) -> None:
        if self.look():
            raise _OverError


_watch: ContextVar[_Watch] = ContextVar("watch")
"""Of the statement that this thread executes."""


@contextmanager
def limited_time(connection: Connection, monotonic: Callable[[], float]) -> Iterator[None]:
    """Interrupt what the block executes when it takes longer than `QUERY_SECONDS_MAX`.

    Raises:
        CapabilityError: `query-too-slow`.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101  # vaults are SQLite files
    if _LENT not in connection.info:
        # Once for a connection: SQLite would prepare every statement anew.
        raw.create_function(LIKE, 2, _like, deterministic=True)
        connection.info[_LENT] = True
    watch = _Watch(monotonic)
    before = _watch.set(watch)
    raw.set_progress_handler(watch.look, _INSTRUCTIONS)
    try:
        yield
    except DBAPIError as exc:
        if not watch.is_over:
            raise
        raise CapabilityError(
            "query-too-slow",
            f"the query took longer than {QUERY_SECONDS_MAX:.0f} seconds; narrow it, or declare"
            " an index",
        ) from exc
    finally:
        raw.set_progress_handler(None, 0)
        _watch.reset(before)


def _like(value: str | float | None, pattern: str | None) -> bool | None:
    """LIKE of a JSON value: a number as its canonical text, true and false as 1 and 0."""
    if value is None or pattern is None:
        return None
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return like(text, pattern, _watch.get().check)
