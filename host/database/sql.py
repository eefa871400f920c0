"""SQL that each database writes in its own words: what features say, and who translates it.

Features build statements of SQLAlchemy, of `Upsert` and of the functions here, which know no
database. Each database has one `SqlDialect` and one compilation of each function, in a module of
its own: `host.adapters.sqlite.dialect` for SQLite.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Executable,
    Integer,
    Table,
    literal_column,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.functions import FunctionElement

ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""The type of a primary key that the database counts up by itself; SQLite does so for Integer."""


class StatementTimeoutError(Exception):
    """A statement took longer than the block around it allows; the transaction is to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """Inserts rows; a row whose primary key is there already is changed instead.

    Attributes:
        table: the table.
        replace: columns that get the new value.
        add: columns that grow by the new value.
        least, greatest: columns that keep the lesser or the greater of both values.
        keep: whether a row that is there stays as it is; then no columns are named.
    """

    table: Table
    replace: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    greatest: tuple[str, ...] = ()
    keep: bool = False

    def run(
        self, connection: Connection, rows: Mapping[str, object] | Sequence[Mapping[str, object]]
    ) -> None:
        """Write one row, or several."""
        connection.execute(dialect_of(connection).upsert(self), rows)

    def changes(
        self, excluded: ReadOnlyColumnCollection[str, Any]
    ) -> dict[str, ColumnElement[Any]]:
        """What a row that is there gets. `excluded`: the columns of the row that did not fit."""
        columns = self.table.c
        return {
            **{name: excluded[name] for name in self.replace},
            **{name: columns[name] + excluded[name] for name in self.add},
            **{name: Least(columns[name], excluded[name]) for name in self.least},
            **{name: Greatest(columns[name], excluded[name]) for name in self.greatest},
        }


class SqlDialect(Protocol):
    """What a database has its own words for. Thread-safe."""

    def upsert(self, upsert: Upsert) -> Executable: ...

    def limited_time(
        self, connection: Connection, seconds: float, monotonic: Callable[[], float]
    ) -> AbstractContextManager[None]:
        """Interrupt what the block executes when it takes longer than `seconds`.

        Raises:
            StatementTimeoutError: it took longer.
        """
        ...

    def used_bytes(self, connection: Connection) -> int:
        """Bytes that the connection's database, or schema, takes, without what is free in it."""
        ...

    def has_table(self, connection: Connection, name: str) -> bool: ...

    def index_names(self, connection: Connection, prefix: str) -> AbstractSet[str]:
        """The indexes whose names begin with `prefix`."""
        ...

    def create_index(
        self, connection: Connection, name: str, parts: Sequence[ColumnElement[Any]]
    ) -> None:
        """Index a table by columns and functions; `parts` are of one table, a column first."""
        ...

    def drop_index(self, connection: Connection, name: str) -> None: ...


_dialects: dict[str, SqlDialect] = {}


def register_dialect(name: str, dialect: SqlDialect) -> None:
    """Have `dialect` translate for connections of SQLAlchemy's dialect `name`."""
    _dialects[name] = dialect


def dialect_of(connection: Connection) -> SqlDialect:
    """The words of the database that a connection leads to.

    Raises:
        LookupError: nobody has registered any.
    """
    return _dialects[connection.dialect.name]


class Least(FunctionElement[Any]):
    """The lesser of two values."""

    inherit_cache = True


class Greatest(FunctionElement[Any]):
    """The greater of two values."""

    inherit_cache = True


class Position(FunctionElement[int]):
    """Where the second text stands in the first, from 1, with letter case; 0 where it does not."""

    type = Integer()
    inherit_cache = True


class Like(FunctionElement[bool]):
    """Whether a value is of a pattern of `%` and `_`, with letter case; null where one is null.

    It takes time linear in value and pattern; a number stands for its canonical JSON text, true and
    false for 1 and 0. Only within `SqlDialect.limited_time`.
    """

    type = Boolean()
    inherit_cache = True


class JsonField(FunctionElement[Any]):
    """A scalar in a column of JSON text, by the names that lead to it; null where there is none.

    Attributes:
        names: letters, digits, `_` and `-` only: they stand in the SQL text, since databases find
            an index on an expression by its text.
    """

    inherit_cache = True

    def __init__(self, column: Column[str], names: tuple[str, ...]) -> None:
        self.names = names
        path = "$" + "".join(f'."{name}"' for name in names)
        super().__init__(column, literal_column(f"'{path}'"))
