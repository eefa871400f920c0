"""Statements that are compiled once and executed by the database's driver itself.

Each execution by SQLAlchemy of a statement that it has compiled before takes 40 us of processor
time beyond the database's; here it is 5. It is meant for statements that every transaction of a
ledger executes. Parameter styles, conversions of types and errors are SQLAlchemy's.
"""

from collections import namedtuple
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from host.database.counted import count, is_cached
from host.database.sql import Upsert, dialect_of

Values: TypeAlias = Mapping[str, object]
_Convert: TypeAlias = Callable[[Any], Any]


class PreparedRow(Protocol):
    """A row, a tuple; its columns are attributes, by their keys."""

    def __getattr__(self, name: str) -> Any: ...

    def __getitem__(self, index: int) -> Any: ...


class _Compiled(NamedTuple):
    """A statement in one dialect.

    Attributes:
        names: of the parameters in their places; None: the driver takes them by name.
        constants: values of the statement itself.
        bound: conversions of parameters, by name; most have none.
        read: conversions of columns, by place.
        row: makes a row of a sequence.
    """

    text: str
    names: Sequence[str] | None
    constants: Values
    bound: Mapping[str, _Convert]
    read: Mapping[int, _Convert]
    row: Callable[[Sequence[object]], Any]


class Prepared:
    """A statement whose text does not depend on its values. Thread-safe.

    Args:
        statement: the statement; the values of an INSERT are columns' keys, the same each time.
    """

    def __init__(self, statement: Select[Any] | Insert | Update | Delete | Upsert) -> None:
        self._statement = statement
        self._is_counted = not isinstance(statement, Select) and is_cached(statement.table)
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Values | Sequence[Values]) -> None:
        """Execute it once, or for each of several."""
        if isinstance(values, Mapping):
            compiled = self._in(connection, values)
            _execute(connection, compiled.text, "execute", _bound(compiled, values)).close()
        elif values:
            compiled = self._in(connection, values[0])
            every = [_bound(compiled, each) for each in values]
            _execute(connection, compiled.text, "executemany", every).close()

    def change(self, connection: Connection, values: Values) -> int:
        """Execute it once; returns how many rows it has changed."""
        compiled = self._in(connection, values)
        cursor = _execute(connection, compiled.text, "execute", _bound(compiled, values))
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def all(self, connection: Connection, values: Values) -> list[PreparedRow]:
        """All rows."""
        compiled = self._in(connection, values)
        cursor = _execute(connection, compiled.text, "execute", _bound(compiled, values))
        found = cursor.fetchall()
        cursor.close()
        return [_row(compiled, each) for each in found]

    def each(self, connection: Connection, values: Values) -> Generator[PreparedRow]:
        """The rows, read one by one; close it where it is not read to its end."""
        compiled = self._in(connection, values)
        cursor = _execute(connection, compiled.text, "execute", _bound(compiled, values))
        try:
            for found in cursor:
                yield _row(compiled, found)
        finally:
            cursor.close()

    def first(self, connection: Connection, values: Values) -> PreparedRow | None:
        """The first row, or None."""
        compiled = self._in(connection, values)
        cursor = _execute(connection, compiled.text, "execute", _bound(compiled, values))
        found = cursor.fetchone()
        cursor.close()
        return None if found is None else _row(compiled, found)

    def value(self, connection: Connection, values: Values) -> Any:
        """The first column of the first row; None if there is no row."""
        row = self.first(connection, values)
        return None if row is None else row[0]

    def _in(self, connection: Connection, values: Values) -> _Compiled:
        if self._is_counted:
            count(connection)
        known = self._compiled.get(connection.dialect.name)
        if known is None:
            known = self._compiled[connection.dialect.name] = self._compile(connection, values)
        return known

    def _compile(self, connection: Connection, values: Values) -> _Compiled:
        dialect, statement = connection.dialect, self._statement
        built: Any = statement
        if isinstance(statement, Upsert):
            built = dialect_of(connection).upsert(statement)
        keys = list(values) if isinstance(built, Insert) else None
        compiled = built.compile(dialect=dialect, column_keys=keys)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101  # it is no DDL
        if compiled.post_compile_params or compiled.insert_prefetch or compiled.update_prefetch:
            raise ValueError(f"cannot be prepared: {compiled}")
        returned = _columns(built)
        bound, constants = dict[str, _Convert](), dict[str, object]()
        for parameter, name in compiled.bind_names.items():
            convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if not parameter.required:
                value = parameter.effective_value
                constants[name] = value if convert is None else convert(value)
            elif convert is not None:
                bound[name] = convert
        read = {
            place: convert
            for place, column in enumerate(returned)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        }
        row = namedtuple("Row", [str(column.key) for column in returned])  # type: ignore[misc]  # noqa: PYI024  # of the statement's columns
        return _Compiled(
            text=str(compiled),
            names=compiled.positiontup if compiled.positional else None,
            constants=constants,
            bound=bound,
            read=read,
            row=row._make,
        )


def value_of(connection: Connection, text: str) -> Any:
    """The first column of the first row of a statement in the database's own words."""
    cursor = _execute(connection, text, "execute", ())
    found = cursor.fetchone()
    cursor.close()
    return found[0]


def run_text(connection: Connection, text: str) -> None:
    """Execute a statement without rows in the database's own words."""
    _execute(connection, text, "execute", ()).close()


def _columns(statement: Any) -> Sequence[Any]:
    if isinstance(statement, Select):
        return statement.selected_columns.values()
    found: Sequence[Any] = statement.exported_columns.values()
    return found


def _execute(connection: Connection, text: str, how: str, values: object) -> Any:
    cursor = connection.connection.cursor()
    try:
        getattr(cursor, how)(text, values)
    except Exception as exc:
        cursor.close()
        driver, dialect = connection.dialect.dbapi, connection.dialect
        if driver is None or not isinstance(exc, driver.Error):
            raise
        # As SQLAlchemy raises it: what translates errors and shares commits knows those.
        raise DBAPIError.instance(
            text, None, exc, driver.Error, hide_parameters=True, dialect=dialect
        ) from exc
    return cursor


def _bound(compiled: _Compiled, values: Values) -> object:
    if compiled.bound:
        converted = {name: convert(values[name]) for name, convert in compiled.bound.items()}
        values = {**values, **converted}
    if compiled.constants:
        values = {**values, **compiled.constants}
    if compiled.names is None:
        return values
    return [values[name] for name in compiled.names]


def _row(compiled: _Compiled, found: Sequence[object]) -> PreparedRow:
    if compiled.read:
        converted = list(found)
        for place, convert in compiled.read.items():
            converted[place] = convert(converted[place])
        found = converted
    row: PreparedRow = compiled.row(found)
    return row
