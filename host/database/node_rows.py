"""Rows of a node's tables as items of its file, and back: by the names of tables and columns.

So a file fits every database, and only tables and columns that this release has are written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw
from sqlalchemy import ColumnElement, Connection, MetaData, Table, delete, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from host.database.sql import dialect_of
from host.ports.node_contents import NodeItemInvalidError

_ROWS = 500
_ITEM_BYTES = 512 * 1024
_Value: TypeAlias = bool | int | float | str | bytes | None
_COLUMNS_MAX = 64
_Columns: TypeAlias = Annotated[tuple[str, ...], Meta(max_length=_COLUMNS_MAX)]
_Row: TypeAlias = Annotated[tuple[Raw, ...], Meta(max_length=_COLUMNS_MAX)]
_Item: TypeAlias = tuple[str, _Columns, Annotated[tuple[_Row, ...], Meta(max_length=_ROWS)]]
"""The library decodes no union of text and bytes: `_value` reads each value by itself. Lists, which
take many times as much memory as their bytes, are not read at all."""
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Item] = msgspec.msgpack.Decoder(_Item)

Where = Mapping[Table, ColumnElement[bool] | None]
"""The tables in the order in which rows are loaded, and which rows of each are the node's."""


def tables_of(metadatas: Iterable[MetaData]) -> Sequence[Table]:
    """All tables, those that others refer to first."""
    return [table for metadata in metadatas for table in metadata.sorted_tables]


def dump_rows(connection: Connection, tables: Where) -> Iterator[bytes]:
    """Items with the rows of the tables, in the order of their primary keys.

    Args:
        connection: a consistent view.
        tables: which rows.
    """
    streamed = connection.execution_options(stream_results=True)
    for table, where in tables.items():
        columns = tuple(str(column.name) for column in table.columns)
        query = select(table).order_by(*table.primary_key.columns)
        found = streamed.execute(query if where is None else query.where(where))
        rows, size = list[tuple[_Value, ...]](), 0
        for row in found:
            values = tuple(map(_plain, row))
            rows.append(values)
            size += sum(len(each) for each in values if isinstance(each, str | bytes))
            if len(rows) >= _ROWS or size >= _ITEM_BYTES:
                yield _encoder.encode((str(table.name), columns, rows))
                rows, size = [], 0
        if rows:
            yield _encoder.encode((str(table.name), columns, rows))


def read_rows(data: bytes, tables: Iterable[Table]) -> tuple[Table, Sequence[dict[str, Any]]]:
    """The table and the rows of an item.

    Raises:
        NodeItemInvalidError: it is malformed, or names another table or column.
    """
    try:
        name, columns, raw = _decoder.decode(data)
        rows = [tuple(map(_value, row)) for row in raw]
    except (ValueError, RecursionError) as exc:
        raise NodeItemInvalidError(f"an item of rows is malformed: {exc}") from exc
    table = next((each for each in tables if each.name == name), None)
    if table is None:
        raise NodeItemInvalidError(f"there is no table {name[:64]!r} of a node")
    unknown = sorted(set(columns) - set(table.columns.keys()))
    if unknown or len(set(columns)) != len(columns):
        raise NodeItemInvalidError(f"table {name} has no column {str(unknown)[:128]}, or one twice")
    if any(len(row) != len(columns) for row in rows):
        raise NodeItemInvalidError(f"a row of table {name} has not {len(columns)} values")
    _check_types(table, columns, rows)
    return table, [dict(zip(columns, row, strict=True)) for row in rows]


def load_rows(
    connection: Connection,
    data: bytes,
    tables: Iterable[Table],
    is_own: Callable[[Table, Mapping[str, Any]], bool],
) -> None:
    """Insert the rows of an item.

    Args:
        connection: of a transaction.
        data: the item.
        tables: that may get rows.
        is_own: whether a row is the node's.

    Raises:
        NodeItemInvalidError: it is malformed, or a row is not the node's.
    """
    table, rows = read_rows(data, tables)
    if not all(is_own(table, row) for row in rows):
        raise NodeItemInvalidError(f"a row of table {table.name} is not the node's")
    if not rows:
        return
    try:
        connection.execute(insert(table), rows)
    except (IntegrityError, DataError) as exc:
        raise NodeItemInvalidError(
            f"a row of table {table.name} is there already, or lacks a value: {exc.orig}"
        ) from exc
    dialect_of(connection).continue_numbers(connection, table)


def delete_rows(connection: Connection, tables: Where) -> None:
    """Delete the rows, those that refer to others first."""
    for table, where in reversed(list(tables.items())):
        connection.execute(delete(table) if where is None else delete(table).where(where))


def _value(raw: Raw) -> Any:
    """A value of a row.

    Raises:
        ValueError: it is none that a column holds.
    """
    kind = memoryview(raw)[0]
    if kind in _NESTED or 0x80 <= kind <= 0x9F:
        raise ValueError("a value is a list or a map")
    return _values.decode(raw)


_NESTED = frozenset(range(0xC7, 0xCA)) | frozenset(range(0xD4, 0xD9)) | frozenset(range(0xDC, 0xE0))
"""Kinds of MessagePack: extensions, arrays and maps; short ones are 0x80 to 0x9F."""
_values = msgspec.msgpack.Decoder()


def _plain(value: Any) -> _Value:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def _check_types(table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Refuse values that the columns do not hold: SQLite would store them.

    Raises:
        NodeItemInvalidError: a value is of another type.
    """
    kinds = [table.columns[name].type.python_type for name in columns]
    lengths = [getattr(table.columns[name].type, "length", None) for name in columns]
    for row in rows:
        for name, kind, length, value in zip(columns, kinds, lengths, row, strict=True):
            is_long = isinstance(value, str) and length is not None and len(value) > length
            if is_long or (isinstance(value, int) and not -(2**63) <= value < 2**63):
                raise NodeItemInvalidError(
                    f"column {name} of table {table.name} has no room for {str(value)[:64]!r}"
                )
            is_number = kind in {int, float} and isinstance(value, int | float)
            if value is not None and not is_number and not isinstance(value, kind):
                raise NodeItemInvalidError(
                    f"column {name} of table {table.name} holds {kind.__name__}, found"
                    f" {type(value).__name__}"
                )
