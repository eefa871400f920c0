"""The dialect of PostgreSQL: all statements and functions specific to it.

Functions that statements of features use are in the schema `cordbox_functions`. The execution time
of a statement is limited by the server itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Executable, Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from host.database.sql import (
    DurationKey,
    Greatest,
    JsonField,
    JsonHasKey,
    JsonObjectOf,
    JsonPart,
    JsonText,
    Least,
    Like,
    NumberKey,
    Position,
    StatementTimeoutError,
    Upsert,
    register_dialect,
)
from plugins.postgres.errors import sqlstate

NAME = "postgresql"
_CANCELED = "57014"
_USED_BYTES = "SELECT held FROM node_bytes"
_TABLE = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = %s"
_INDEXES = (
    "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
    " AND starts_with(indexname, %s)"
)
_FUNCTIONS = {
    Least: "least",
    Greatest: "greatest",
    Position: "strpos",
    NumberKey: "number_key",
    DurationKey: "duration_key",
    JsonHasKey: "json_has_key",
}


class PostgresDialect:
    """The `SqlDialect` of PostgreSQL."""

    def upsert(self, upsert: Upsert) -> Executable:
        statement = insert(upsert.table)
        if upsert.keep:
            return statement.on_conflict_do_nothing()
        return statement.on_conflict_do_update(
            index_elements=list(upsert.table.primary_key.columns),
            set_=upsert.changes(statement.excluded),
        )

    @contextmanager
    def limited_time(
        self, connection: Connection, seconds: float, monotonic: Callable[[], float]
    ) -> Iterator[None]:
        del monotonic  # the server measures
        millis = max(1, int(seconds * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {millis}")
        try:
            yield
        except DBAPIError as exc:
            if sqlstate(exc) != _CANCELED:
                raise
            raise StatementTimeoutError from exc
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")

    def used_bytes(self, connection: Connection) -> int:
        used: int = connection.exec_driver_sql(_USED_BYTES).scalar_one()
        return used

    def has_table(self, connection: Connection, name: str) -> bool:
        return connection.exec_driver_sql(_TABLE, (name,)).first() is not None

    def continue_numbers(self, connection: Connection, table: Table) -> None:
        column = table.autoincrement_column
        if column is None:
            return
        name = f'"{table.name}"'
        sequence = connection.exec_driver_sql(
            "SELECT pg_get_serial_sequence(%s, %s)", (name, column.name)
        ).scalar_one()
        if sequence is not None:
            connection.exec_driver_sql(
                f'SELECT setval(%s, greatest(max("{column.name}"), 1)) FROM {name}',  # noqa: S608  # our tables' names
                (sequence,),
            )

    def index_names(self, connection: Connection, prefix: str) -> AbstractSet[str]:
        return set(connection.exec_driver_sql(_INDEXES, (prefix,)).scalars())

    def create_index(
        self,
        connection: Connection,
        name: str,
        parts: Sequence[ColumnElement[Any]],
        *,
        where: ColumnElement[bool] | None = None,
    ) -> None:
        texts = [
            str(part.compile(connection, compile_kwargs=_PLAIN))
            if isinstance(part, Column)
            # An index has no room for longer texts.
            else f"left({part.compile(connection, compile_kwargs=_PLAIN)}, {_INDEXED_CHARACTERS})"
            for part in parts
        ]
        table = next(part.table.name for part in parts if isinstance(part, Column))
        only = "" if where is None else f" WHERE {where.compile(connection, compile_kwargs=_PLAIN)}"
        connection.exec_driver_sql(f'CREATE INDEX "{name}" ON {table} ({", ".join(texts)}){only}')

    def drop_index(self, connection: Connection, name: str) -> None:
        connection.exec_driver_sql(f'DROP INDEX "{name}"')


_PLAIN = {"include_table": False}
_INDEXED_CHARACTERS = 250
"""Of each text: four bytes a character, two texts and a key fit into the 2,704 bytes of a row."""


def _compile_as(name: str) -> Callable[..., str]:
    def compiled(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
        return f"{name}({compiler.process(element.clauses, **kw)})"

    return compiled


for _element, _name in _FUNCTIONS.items():
    compiles(_element, NAME)(_compile_as(_name))


def _at(element: JsonPart | JsonText, compiler: SQLCompiler, **kw: Any) -> str:
    """The document and the path, a constant unless its names need quotes: then it is bound."""
    document, path = element.clauses
    said = f"'{json.dumps(element.path)}'" if element.is_plain else compiler.process(path, **kw)
    return f"{compiler.process(document, **kw)}, {said}"


@compiles(JsonPart, NAME)
def _json_part(element: JsonPart, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_part({_at(element, compiler, **kw)})"


@compiles(JsonText, NAME)
def _json_text(element: JsonText, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_text({_at(element, compiler, **kw)})"


def _field(element: JsonField, compiler: SQLCompiler, **kw: Any) -> str:
    column, _ = element.clauses
    return f"{compiler.process(column, **kw)}, '{json.dumps(element.names)}'"


@compiles(JsonField, NAME)
def _json_field(element: JsonField, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_field({_field(element, compiler, **kw)})"


@compiles(Like, NAME)
def _like(element: Like, compiler: SQLCompiler, **kw: Any) -> str:
    value, pattern = element.clauses
    text = (
        f"json_plain({_field(value, compiler, **kw)})"
        if isinstance(value, JsonField)
        else f"({compiler.process(value, **kw)})::text"
    )
    return f"({text} LIKE {compiler.process(pattern, **kw)} ESCAPE '')"


@compiles(JsonObjectOf, NAME)
def _json_object(element: JsonObjectOf, compiler: SQLCompiler, **kw: Any) -> str:
    """Compact, as canonical JSON is; an object within is not made a string."""
    parts = []
    for number, each in enumerate(element.clauses):
        said = compiler.process(each, **kw)
        if not isinstance(each, JsonObjectOf):
            said = f"to_json({said}::text)::text"
        parts.append(f"{':' if number % 2 else ',' if number else ''}' || {said} || '")
    return f"('{{{''.join(parts)}}}')"


register_dialect(NAME, PostgresDialect())
