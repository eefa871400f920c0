"""Connections of a database stay open between transactions, and end with what went wrong in one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    bindparam,
    event,
    insert,
    select,
)

from host.adapters.sqlite.database import Database, driver_of
from host.database.prepared import Prepared
from host.domain.errors import StorageError
from host.ports.database import Schema

_METADATA = MetaData()
_ITEM = Table("item", _METADATA, Column("number", Integer, primary_key=True))
_SCHEMA = Schema(name="items", metadata=_METADATA)
_ADD = Prepared(insert(_ITEM))
_FIND = Prepared(select(_ITEM.c.number).where(_ITEM.c.number == bindparam("of_number")))
_KEPT = 2


@pytest.fixture
def opened() -> list[object]:
    return []


@pytest.fixture
def database(tmp_path: Path, opened: list[object]) -> Iterator[Database]:
    with Database.open(tmp_path / "a.sqlite", [_SCHEMA], pool_size=_KEPT) as database:
        event.listen(database._engine, "connect", lambda *words: opened.append(words[0]))
        yield database


def _numbers(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(_ITEM.c.number)).scalars())


def test_transactions_one_after_the_other_have_one_connection(
    database: Database, opened: list[object]
) -> None:
    for number in range(5):
        database.transact(lambda c, number=number: _ADD.run(c, {"number": number}))  # type: ignore[misc]
        with database.read() as connection:
            assert _FIND.value(connection, {"of_number": number}) == number
    assert _numbers(database) == [0, 1, 2, 3, 4]
    assert opened == [], "beside the one that made the tables"


def test_reads_at_the_same_time_have_connections_of_their_own_of_which_few_stay(
    database: Database, opened: list[object]
) -> None:
    with database.read() as first, database.read() as second, database.read() as third:
        drivers = {driver_of(each) for each in (first, second, third)}
        assert len(drivers) == 3
    assert len(opened) == 2
    with database.read() as first, database.read() as second:
        assert {driver_of(first), driver_of(second)} < drivers
    assert len(opened) == 2


@pytest.mark.parametrize("is_prepared", [True, False])
def test_a_read_is_one_view_and_ends_with_its_block(database: Database, is_prepared: bool) -> None:
    def found(connection: Connection) -> list[int]:
        if is_prepared:
            value = _FIND.value(connection, {"of_number": 1})
            return [] if value is None else [value]
        return list(connection.execute(select(_ITEM.c.number)).scalars())

    with database.read() as connection:
        assert found(connection) == []
        database.transact(lambda c: _ADD.run(c, {"number": 1}))
        assert found(connection) == [], "the view of the begin"
        driver = driver_of(connection)
    assert not driver.in_transaction
    with database.read() as connection:
        assert found(connection) == [1]


@pytest.mark.parametrize("is_prepared", [True, False])
def test_what_raises_leaves_nothing_and_its_connection_is_used_again(
    database: Database, opened: list[object], is_prepared: bool
) -> None:
    def refused(connection: Connection) -> None:
        if is_prepared:
            _ADD.run(connection, {"number": 1})
        else:
            connection.execute(insert(_ITEM), {"number": 1})
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        database.transact(refused)
    assert _numbers(database) == []
    database.transact(lambda c: _ADD.run(c, {"number": 2}))
    assert _numbers(database) == [2]
    assert opened == []


def test_a_connection_that_cannot_be_used_any_more_is_not_kept(
    database: Database, opened: list[object]
) -> None:
    with pytest.raises(StorageError), database.read() as connection:
        driver_of(connection).close()
    assert _numbers(database) == []
    assert len(opened) == 1


def test_a_connection_that_is_in_use_at_the_end_is_closed_after_it(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "b.sqlite", [_SCHEMA])
    with database.read() as connection:
        driver = driver_of(connection)
        database.close()
        assert _FIND.value(connection, {"of_number": 1}) is None
    with pytest.raises(Exception, match="closed"):
        driver.execute("SELECT 1")
