"""Portable SQL: the constructs that features use, and the dialects that translate them.

Features build statements of SQLAlchemy, of `Upsert` and of the functions here, which are
independent of the database. Each database has one `SqlDialect` and one compilation of each
function, in a module of its own: `host.adapters.sqlite.dialect` for SQLite.
"""

import json
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
    Text,
    TypeDecorator,
    literal,
    literal_column,
)
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

from host.domain.json import canonical_json
from host.domain.order_keys import OrderKind, order_key
from host.domain.plain_names import has_plain_names

ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""The type of a primary key that the database increments itself; SQLite does so for Integer."""


class StatementTimeoutError(Exception):
    """A statement took longer than the enclosing block allows; the transaction must end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """Inserts rows; a row whose primary key exists already is updated instead.

    Attributes:
        table: the table.
        replace: columns that get the new value.
        add: columns that grow by the new value.
        least, greatest: columns that keep the lesser or the greater of both values.
        keep: whether an existing row stays as it is; then no columns are named.
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
        """Changes to an existing row. `excluded`: the columns of the row that was not inserted."""
        columns = self.table.c
        return {
            **{name: excluded[name] for name in self.replace},
            **{name: columns[name] + excluded[name] for name in self.add},
            **{name: Least(columns[name], excluded[name]) for name in self.least},
            **{name: Greatest(columns[name], excluded[name]) for name in self.greatest},
        }


class SqlDialect(Protocol):
    """Operations whose SQL differs between databases. Thread-safe."""

    def upsert(self, upsert: Upsert) -> Executable: ...

    def limited_time(
        self, connection: Connection, seconds: float, monotonic: Callable[[], float]
    ) -> AbstractContextManager[None]:
        """Interrupt a statement of the block that takes longer than `seconds`.

        Raises:
            StatementTimeoutError: it took longer.
        """
        ...

    def used_bytes(self, connection: Connection) -> int:
        """Bytes used by the connection's database or schema, without its free space."""
        ...

    def has_table(self, connection: Connection, name: str) -> bool: ...

    def continue_numbers(self, connection: Connection, table: Table) -> None:
        """Have the database number new rows of `table` after those that came with numbers."""
        ...

    def index_names(self, connection: Connection, prefix: str) -> AbstractSet[str]:
        """The indexes whose names begin with `prefix`."""
        ...

    def create_index(
        self,
        connection: Connection,
        name: str,
        parts: Sequence[ColumnElement[Any]],
        *,
        where: ColumnElement[bool] | None = None,
    ) -> None:
        """Index a table by columns and functions, if `where` is given only rows for which it holds.

        Parts are of one table, and at least one of them is a column.
        """
        ...

    def drop_index(self, connection: Connection, name: str) -> None: ...


_dialects: dict[str, SqlDialect] = {}


def register_dialect(name: str, dialect: SqlDialect) -> None:
    """Use `dialect` for connections of SQLAlchemy's dialect `name`."""
    _dialects[name] = dialect


def dialect_of(connection: Connection) -> SqlDialect:
    """The dialect of a connection's database.

    Raises:
        LookupError: no dialect is registered for it.
    """
    return _dialects[connection.dialect.name]


class Least(FunctionElement[Any]):
    """The lesser of two values."""

    inherit_cache = True


class Greatest(FunctionElement[Any]):
    """The greater of two values."""

    inherit_cache = True


class Position(FunctionElement[int]):
    """Position of the second text in the first, from 1, case-sensitive; 0 if it is not found."""

    type = Integer()
    inherit_cache = True


class Like(FunctionElement[bool]):
    """Whether a value matches a pattern of `%` and `_`, case-sensitive; null if either is null.

    Takes time linear in value and pattern; a number is matched as its canonical JSON text, true and
    false as 1 and 0. Only within `SqlDialect.limited_time`.
    """

    type = Boolean()
    inherit_cache = True


class NumberKey(FunctionElement[str]):
    """The order key (`host.domain.order_keys`) of a number, or of a text that is one; else null.

    Attributes:
        bits: size of the integers that are taken, 32 or 64; 0: any number. A text of digits, sign,
            fraction and exponent is a number, nothing else. Only within `SqlDialect.limited_time`.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, value: ColumnElement[Any], bits: int = 0) -> None:
        super().__init__(value, literal_column(str(int(bits)), Integer()))


class DurationKey(FunctionElement[str]):
    """The order key (`host.domain.order_keys`) of a text that is an ISO 8601 duration; else null.

    Only within `SqlDialect.limited_time`.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, value: ColumnElement[Any]) -> None:
        super().__init__(value, literal_column("0", Integer()))  # lent functions have two arguments


JsonPath = tuple[str | int, ...]
"""Names of members and numbers of elements, from 0."""


class _JsonAt(FunctionElement[str]):
    """What is at a path of a JSON document, which is canonical text.

    Attributes:
        is_plain: whether the path is a constant of the SQL text (`$."name"[0]`); otherwise it is
            bound as a JSON list.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, document: ColumnElement[Any], path: JsonPath) -> None:
        self.is_plain = has_plain_names(path)
        steps = (f"[{key}]" if isinstance(key, int) else f'."{key}"' for key in path)
        at: ColumnElement[str] = (
            literal_column(f"'${''.join(steps)}'", Text())
            if self.is_plain
            else literal(json.dumps(path), Text())
        )
        self.path = path
        super().__init__(document, at)


class JsonPart(_JsonAt):
    """The JSON text of what is at a path; null if there is nothing."""

    inherit_cache = True


class JsonText(_JsonAt):
    """The value at a path as text: a string's characters, of others the JSON; null of JSON's null.

    Null if there is nothing.
    """

    inherit_cache = True


class JsonHasKey(FunctionElement[bool]):
    """Whether a JSON text is an object with a key, or an array or text that is or has that text.

    Null if either is null. Only within `SqlDialect.limited_time`.
    """

    type = Boolean()
    inherit_cache = True


class JsonObjectOf(FunctionElement[str]):
    """The JSON text of an object, from names and text values in turn."""

    type = Text()
    inherit_cache = True


class JsonScalar(TypeDecorator[Any]):
    """The type of what is compared with a `JsonField`: a text, a number, or true or false.

    In PostgreSQL, whose columns have one type, both are the texts of `json_scalar_text`.
    """

    impl = NullType
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = Text() if dialect.name == "postgresql" else NullType()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if dialect.name != "postgresql" or value is None:
            return value
        return json_scalar_text(value)


def json_scalar_text(value: str | float) -> str:
    """A scalar as text that is compared byte by byte: numbers are before texts.

    True and false are the numbers 1 and 0.
    """
    if isinstance(value, str):
        return f"t{value}"
    number = canonical_json(int(value) if isinstance(value, bool) else value).decode()
    return f"n{order_key(OrderKind.NUMBER, number)}"


class JsonField(FunctionElement[Any]):
    """A scalar in a column of JSON text, by the path of its names; null if there is none.

    It is compared with constants of the type `JsonScalar`.

    Attributes:
        names: letters, digits, `_` and `-` only: they are part of the SQL text, since databases
            match an index on an expression by its text.
    """

    inherit_cache = True

    def __init__(self, column: Column[str], names: tuple[str, ...]) -> None:
        self.names = names
        path = "$" + "".join(f'."{name}"' for name in names)
        super().__init__(column, literal_column(f"'{path}'"))
