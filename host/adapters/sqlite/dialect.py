"""The dialect of SQLite: all statements, pragmas and error names specific to it.

Execution time is checked in two places: in SQLite's virtual machine, every few instructions, since
one instruction may parse a value of a megabyte; and in the functions that this module registers
with SQLite, since a call of one is a single instruction of the virtual machine.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Executable, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from host.adapters.sqlite import json_values
from host.adapters.sqlite.like import like
from host.database.prepared import value_of
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
from host.domain.json import canonical_json

NAME = "sqlite"
BUSY_TIMEOUT_MS = 10_000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
)
BEGIN_READ, BEGIN_WRITE = "BEGIN", "BEGIN IMMEDIATE"
COMMITS_OF_OTHERS = "PRAGMA data_version"
"""A number that changes with each commit of another connection."""
EMPTY_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"
"""Merge the write-ahead log into the file and truncate it, including deleted rows."""

_LIKE = "cordbox_like"
"""The SQL function `cordbox_like(value, pattern)`; null if either argument is null."""
_INSTRUCTIONS = 20
"""Instructions of SQLite's virtual machine between two checks of the clock."""
_LENT = "cordbox functions"
_NUMBER_KEY, _HAS_KEY = "cordbox_number_key", "cordbox_has_key"
_DURATION_KEY = "cordbox_duration_key"
_PART, _TEXT = "cordbox_json_part", "cordbox_json_text"
_FUNCTIONS = {
    Least: "min",
    Greatest: "max",
    Position: "instr",
    Like: _LIKE,
    NumberKey: _NUMBER_KEY,
    DurationKey: _DURATION_KEY,
    JsonHasKey: _HAS_KEY,
    JsonObjectOf: "json_object",
    JsonField: "json_extract",
}
_USED_BYTES = (
    "SELECT (page_count - freelist_count) * page_size"
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' AND name GLOB ?"


def trusted_schema(*, is_trusted: bool) -> str:
    """The pragma that allows or forbids function calls by the file's schema, as in indexes."""
    return f"PRAGMA trusted_schema = {'ON' if is_trusted else 'OFF'}"


class SqliteDialect:
    """The `SqlDialect` of SQLite."""

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
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101  # the dialect's own driver
        if _LENT not in connection.info:
            # Once per connection: otherwise SQLite would prepare every statement again.
            for name, function in _LENT_FUNCTIONS.items():
                raw.create_function(name, 2, function, deterministic=True)
            connection.info[_LENT] = True
        watch = _Watch(seconds, monotonic)
        before = _watch.set(watch)
        raw.set_progress_handler(watch.look, _INSTRUCTIONS)
        try:
            yield
        except DBAPIError as exc:
            if not watch.is_over:
                raise
            raise StatementTimeoutError from exc
        finally:
            raw.set_progress_handler(None, 0)
            _watch.reset(before)

    def used_bytes(self, connection: Connection) -> int:
        used: int = value_of(connection, _USED_BYTES)
        return used

    def has_table(self, connection: Connection, name: str) -> bool:
        return connection.exec_driver_sql(_TABLE, (name,)).first() is not None

    def continue_numbers(self, connection: Connection, table: Table) -> None:
        """Nothing: a new row of SQLite gets the number after the greatest one."""

    def index_names(self, connection: Connection, prefix: str) -> AbstractSet[str]:
        return set(connection.exec_driver_sql(_INDEXES, (f"{prefix}*",)).scalars())

    def create_index(
        self,
        connection: Connection,
        name: str,
        parts: Sequence[ColumnElement[Any]],
        *,
        where: ColumnElement[bool] | None = None,
    ) -> None:
        texts = [str(part.compile(connection, compile_kwargs=_PLAIN)) for part in parts]
        table = next(part.table.name for part in parts if isinstance(part, Column))
        only = "" if where is None else f" WHERE {where.compile(connection, compile_kwargs=_PLAIN)}"
        connection.exec_driver_sql(f'CREATE INDEX "{name}" ON {table} ({", ".join(texts)}){only}')

    def drop_index(self, connection: Connection, name: str) -> None:
        connection.exec_driver_sql(f'DROP INDEX "{name}"')


_PLAIN = {"include_table": False}


class _OverError(Exception):
    """Raised within SQLite by a function whose statement has used up its time."""


class _Watch:
    """The time limit of one statement."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + seconds
        self.is_over = False

    def look(self) -> int:
        """Non-zero once the time is over, and in all later calls."""
        self.is_over = self.is_over or self._monotonic() > self._until
        return int(self.is_over)

    def check(self) -> None:
        if self.look():
            raise _OverError


_watch: ContextVar[_Watch] = ContextVar("watch")
"""The time limit of the statement that this thread executes."""


def _like(value: str | float | None, pattern: str | None) -> bool | None:
    """LIKE of a JSON value: a number as its canonical text, true and false as 1 and 0."""
    if value is None or pattern is None:
        return None
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return like(text, pattern, _watch.get().check)


_LENT_FUNCTIONS: Mapping[str, Callable[..., str | bool | None]] = {
    _LIKE: _like,
    _NUMBER_KEY: json_values.number_key,
    _DURATION_KEY: json_values.duration_key,
    _HAS_KEY: json_values.has_key,
    _PART: json_values.part,
    _TEXT: json_values.text,
}
"""Functions of two arguments, null if the first is null."""


def _compile_as(name: str) -> Callable[..., str]:
    def compiled(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
        return f"{name}({compiler.process(element.clauses, **kw)})"

    return compiled


def _json_part(element: JsonPart, compiler: SQLCompiler, **kw: Any) -> str:
    document, path = (compiler.process(each, **kw) for each in element.clauses)
    return f"{document} -> {path}" if element.is_plain else f"{_PART}({document}, {path})"


def _json_text(element: JsonText, compiler: SQLCompiler, **kw: Any) -> str:
    document, path = (compiler.process(each, **kw) for each in element.clauses)
    if not element.is_plain:
        return f"{_TEXT}({document}, {path})"
    return (
        f"CASE json_type({document}, {path}) WHEN 'text' THEN {document} ->> {path}"
        f" WHEN 'null' THEN NULL ELSE {document} -> {path} END"
    )


compiles(JsonPart, NAME)(_json_part)
compiles(JsonText, NAME)(_json_text)
for _element, _name in _FUNCTIONS.items():
    compiles(_element, NAME)(_compile_as(_name))
register_dialect(NAME, SqliteDialect())
