"""Statements that the driver executes: as SQLAlchemy would, without its work for each execution."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from host.adapters.sqlite.database import Database
from host.database.prepared import Prepared
from host.database.sql import Upsert
from host.ports.database import REMEMBERED, Schema

_METADATA = MetaData()
_THING = Table(
    "thing",
    _METADATA,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("is_red", Boolean, nullable=False),
    Column("content", LargeBinary),
)
_CACHED = Table("cached", MetaData(), Column("number", Integer, primary_key=True), info=REMEMBERED)
_INSERT = Prepared(insert(_THING).returning(_THING.c.number))
_FIND = Prepared(select(_THING).where(_THING.c.name == bindparam("of_name")))
_ALL = Prepared(select(_THING.c.name, _THING.c.is_red).order_by(_THING.c.number))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """In a transaction on an empty table."""
    schema = Schema(name="things", metadata=_METADATA)
    with (
        Database.open(tmp_path / "things.sqlite", [schema]) as database,
        database.read() as connection,
    ):
        yield connection


def _thing(name: str, *, is_red: bool = False) -> dict[str, object]:
    return {"name": name, "is_red": is_red, "content": b"\x00"}


def test_values_are_converted_as_sqlalchemy_converts_them(connection: Connection) -> None:
    number = _INSERT.value(connection, _thing("a", is_red=True))

    row = _FIND.first(connection, {"of_name": "a"})
    own = connection.execute(select(_THING)).one()

    assert row is not None
    assert (row.number, row.name, row.is_red, row.content) == (number, "a", True, b"\x00")
    assert [type(each) for each in own] == [type(row[place]) for place in range(4)]
    assert _FIND.first(connection, {"of_name": "b"}) is None
    assert _FIND.value(connection, {"of_name": "b"}) is None


def test_several_rows_are_written_and_read(connection: Connection) -> None:
    write = Prepared(insert(_THING))
    write.run(connection, [_thing("a"), _thing("b", is_red=True)])
    write.run(connection, [])
    change = update(_THING).where(_THING.c.name == bindparam("of_name")).values(is_red=True)
    assert Prepared(change).change(connection, {"of_name": "a"}) == 1
    assert Prepared(change).change(connection, {"of_name": "nobody"}) == 0

    assert [tuple(row) for row in _ALL.all(connection, {})] == [("a", True), ("b", True)]  # type: ignore[call-overload]  # a tuple
    rows = _ALL.each(connection, {})
    assert next(rows).name == "a"
    rows.close()


def test_an_upsert_keeps_or_replaces_what_is_there(connection: Connection) -> None:
    first = {"number": 1, **_thing("a")}
    Prepared(Upsert(table=_THING, keep=True)).run(connection, [first, {**first, "name": "b"}])
    assert [row.name for row in _ALL.all(connection, {})] == ["a"]

    Prepared(Upsert(table=_THING, replace=("name",))).run(connection, {**first, "name": "c"})
    assert [row.name for row in _ALL.all(connection, {})] == ["c"]


def test_failures_are_those_of_sqlalchemy_and_show_no_values(connection: Connection) -> None:
    _INSERT.value(connection, _thing("secret"))
    with pytest.raises(IntegrityError) as failed:
        _INSERT.value(connection, _thing("secret"))
    assert isinstance(failed.value.orig, sqlite3.IntegrityError)
    assert "secret" not in str(failed.value)


def test_a_statement_whose_text_depends_on_its_values_is_refused(connection: Connection) -> None:
    some = select(_THING).where(_THING.c.number.in_(bindparam("some", expanding=True)))
    with pytest.raises(ValueError, match="cannot be prepared"):
        Prepared(some).all(connection, {"some": [1, 2]})


def test_writes_to_tables_that_are_cached_are_counted(tmp_path: Path) -> None:
    cached, found = Prepared(insert(_CACHED)), Prepared(select(_CACHED))
    schemas = [
        Schema(name="things", metadata=_METADATA),
        Schema(name="cached", metadata=_CACHED.metadata),
    ]
    with Database.open(tmp_path / "things.sqlite", schemas) as database:
        before = database.revision()
        database.transact(lambda c: _INSERT.value(c, _thing("a")))
        database.transact(lambda c: found.all(c, {}))
        assert database.revision() == before

        database.transact(lambda c: cached.run(c, {"number": 1}))
        assert database.revision() == before + 1
        database.transact(lambda c: Prepared(delete(_CACHED)).run(c, {}))
        assert database.revision() == before + 2
