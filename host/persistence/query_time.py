"""A limit on the time that one statement over a vault may take."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from host.ports.capability import CapabilityError

QUERY_SECONDS_MAX = 5.0
_INSTRUCTIONS = 1000
"""Instructions of SQLite's machine between two looks at the clock."""


@contextmanager
def limited_time(connection: Connection, monotonic: Callable[[], float]) -> Iterator[None]:
    """Interrupt what the block executes when it takes longer than `QUERY_SECONDS_MAX`.

    Raises:
        CapabilityError: `query-too-slow`.
    """
    until = monotonic() + QUERY_SECONDS_MAX
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101  # vaults are SQLite files
    raw.set_progress_handler(lambda: int(monotonic() > until), _INSTRUCTIONS)
    try:
        yield
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
            raise
        raise CapabilityError(
            "query-too-slow",
            f"the query took longer than {QUERY_SECONDS_MAX:.0f} seconds; narrow it, or declare"
            " an index",
        ) from exc
    finally:
        raw.set_progress_handler(None, 0)
