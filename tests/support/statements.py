"""What is executed on a database, by SQLAlchemy or by the driver itself, told before it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from sqlalchemy import Connection, event

from host.adapters.sqlite.database import _IMMEDIATE, Database
from host.adapters.sqlite.dialect import BEGIN_READ, BEGIN_WRITE
from host.database import prepared


@contextmanager
def watched(database: Database, tell: Callable[[str, object], None]) -> Iterator[None]:
    """Call `tell` with each statement and its parameters; what it raises, the statement raises."""
    engine, execute = database._engine, prepared._execute

    def by_sqlalchemy(_conn, _cursor, statement, parameters, _context, _executemany) -> None:
        tell(statement, parameters)

    def begins(connection: Connection) -> None:
        is_write = connection.get_execution_options().get(_IMMEDIATE, False)
        tell(BEGIN_WRITE if is_write else BEGIN_READ, ())

    def by_the_driver(connection, text, how, values):
        if connection.engine is engine:
            tell(text, values)
        return execute(connection, text, how, values)

    event.listen(engine, "before_cursor_execute", by_sqlalchemy)
    event.listen(engine, "begin", begins)
    try:
        with patch.object(prepared, "_execute", by_the_driver):
            yield
    finally:
        event.remove(engine, "before_cursor_execute", by_sqlalchemy)
        event.remove(engine, "begin", begins)
