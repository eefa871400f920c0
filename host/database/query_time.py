"""A limit on the execution time of guests' SQL statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from host.database.sql import StatementTimeoutError, dialect_of
from host.domain.capability_error import CapabilityError

QUERY_SECONDS_MAX = 5.0


@contextmanager
def limited_time(connection: Connection, monotonic: Callable[[], float]) -> Iterator[None]:
    """Interrupt a statement of the block that takes longer than `QUERY_SECONDS_MAX`.

    Raises:
        CapabilityError: `query-too-slow`.
    """
    try:
        with dialect_of(connection).limited_time(connection, QUERY_SECONDS_MAX, monotonic):
            yield
    except StatementTimeoutError as exc:
        raise CapabilityError(
            "query-too-slow",
            f"the query took longer than {QUERY_SECONDS_MAX:.0f} seconds; narrow it, or declare"
            " an index",
        ) from exc
