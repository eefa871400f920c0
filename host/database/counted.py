"""Writes to tables whose rows are cached: a transaction with one is counted for `revision`."""

from sqlalchemy import Connection, Executable, Table, UpdateBase

from host.ports.database import REMEMBERED

_COUNTS = "cordbox_counts"
"""In a connection's `info`: whether its transaction has written to a cached table."""


def begin_count(connection: Connection) -> None:
    """A transaction begins, which has written to no cached table."""
    connection.info[_COUNTS] = False


def count(connection: Connection) -> None:
    """The transaction writes to a cached table."""
    connection.info[_COUNTS] = True


def counts(connection: Connection) -> bool:
    """Whether the transaction has written to a cached table."""
    return bool(connection.info[_COUNTS])


def count_executed(connection: Connection, statement: Executable, *_: object, **__: object) -> None:
    """Count a statement that SQLAlchemy has executed (its event `after_execute`)."""
    if isinstance(statement, UpdateBase) and is_cached(statement.table):
        count(connection)


def is_cached(table: object) -> bool:
    """Whether rows of a table are cached."""
    return isinstance(table, Table) and REMEMBERED.items() <= table.info.items()
