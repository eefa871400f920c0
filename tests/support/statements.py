"""What is executed on a database, by SQLAlchemy or by the driver itself, told before it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from sqlalchemy import event

from host.adapters.sqlite.database import Database
from host.database import prepared


@contextmanager
def watched(database: Database, tell: Callable[[str, object], None]) -> Iterator[None]:
    """Call `tell` with each statement and its parameters; what it raises, the statement raises."""
    engine, execute = database._engine, prepared._execute

    def by_sqlalchemy(_conn, _cursor, statement, parameters, _context, _executemany) -> None:
        tell(statement, parameters)

    def by_the_driver(connection, text, how, values):
        if connection.engine is engine:
            tell(text, values)
        return execute(connection, text, how, values)

    database._connections.close_idle()  # connections know the listeners of the time when they were opened
    event.listen(engine, "before_cursor_execute", by_sqlalchemy)
    try:
        with patch.object(prepared, "_execute", by_the_driver):
            yield
    finally:
        event.remove(engine, "before_cursor_execute", by_sqlalchemy)
