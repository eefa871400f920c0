"""What databases of nodes in PostgreSQL promise beyond the contract of vaults."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, select

from host.domain.ids import ShortHash
from host.ports.database import Schema
from plugins.postgres.connections import Access, Session
from plugins.postgres.functions import make_functions
from plugins.postgres.vaults import VAULT, NodeSchemas, SchemaMissingError
from tests.postgres.made_nodes import EveryNode

METADATA = MetaData()
NOTE = Table(
    "note",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", String(100), nullable=False),
)
SCHEMAS = [Schema(name="notes", metadata=METADATA)]
NODE = ShortHash("0123456789AB")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def opened(access: Access, stack: ExitStack, register: EveryNode) -> NodeSchemas:
    vaults = NodeSchemas(
        VAULT,
        access,
        SCHEMAS,
        register=register,
        bytes_max_of=lambda _node: 10_000,
    )
    stack.callback(vaults.close)
    return vaults


def test_a_vault_is_made_once_by_processes_that_use_it_at_the_same_time(
    postgres_database: Access, stack: ExitStack
) -> None:
    make_functions(postgres_database)
    processes = [opened(postgres_database, stack, EveryNode()) for _ in range(4)]

    def write(number: int) -> None:
        row = {"id": number, "text": "x"}
        processes[number].transact(NODE, lambda c: c.execute(insert(NOTE), row))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with processes[0].read(NODE) as connection:
        assert len(connection.execute(select(NOTE)).all()) == 4


def test_bytes_are_those_of_the_rows_that_are_there(
    postgres_database: Access, stack: ExitStack
) -> None:
    make_functions(postgres_database)
    vaults = opened(postgres_database, stack, EveryNode())
    vaults.transact(NODE, lambda c: c.execute(insert(NOTE), {"id": 1, "text": "a" * 90}))
    one = vaults.used_bytes(NODE)
    assert one > 90
    rows = [{"id": number, "text": "a" * 90} for number in range(2, 10)]
    vaults.transact(NODE, lambda c: c.execute(insert(NOTE), rows))
    assert vaults.used_bytes(NODE) == 9 * one
    vaults.transact(NODE, lambda c: c.execute(delete(NOTE).where(NOTE.c.id > 1)))
    assert vaults.used_bytes(NODE) == one


def test_a_vault_that_is_gone_is_not_made_anew(postgres_database: Access, stack: ExitStack) -> None:
    make_functions(postgres_database)
    register = EveryNode()
    opened(postgres_database, stack, register).transact(NODE, lambda _: None)
    session = Session(postgres_database)
    session.simple(f"DROP SCHEMA {VAULT.schema(NODE)} CASCADE")
    session.close()
    with pytest.raises(SchemaMissingError, match=VAULT.schema(NODE)):
        opened(postgres_database, stack, register).transact(NODE, lambda _: None)
