"""Queries of entities and of the ledger answer on PostgreSQL as on SQLite: the same tests, on vaults there.

The tests are those of `tests/services` and `tests/ledger`, without those that look at SQLite's plans and files.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import literal, select

from host.database.sql import JsonPart, JsonText, StatementTimeoutError, dialect_of
from host.domain.ids import ShortHash
from host.entities import SCHEMA
from host.ports.database import Schema
from host.vault.idempotency import REQUESTS
from plugins.postgres.connections import Access
from plugins.postgres.database import PostgresDatabase
from plugins.postgres.functions import make_functions
from plugins.postgres.vaults import VAULT, NodeSchemas
from tests.ledger.test_ledger_query_sql import (  # noqa: F401  # run here too
    STATES,
    test_a_query_finds,
    test_amounts_compare_with_all_their_digits,
    test_durations_compare_and_sort_by_their_length,
    test_results_are_ordered_with_nothing_last,
    test_sql_keeps_and_orders_the_rows_that_the_model_does,
    test_values_that_do_not_fit_are_refused,
)
from tests.postgres.made_nodes import EveryNode
from tests.services.test_entities_corda import (  # noqa: F401  # run here too
    flow,
    kennel,
    test_delete_multiple_from_db,
    test_find_all_with_composite_key,
    test_find_all_with_pagination,
    test_find_with_named_query_can_handle_null_parameters_and_returns_result,
    test_find_with_named_query_can_handle_nullable_parameters_with_or_condition,
    test_find_with_named_query_with_pagination,
    test_merge_multiple_in_db,
    test_on_duplicate_persistence_request_dont_execute_it_with_pk_constraint,
)
from tests.services.test_entity_order import (  # noqa: F401  # run here too
    test_comparisons_and_orders_are_pythons,
    test_entities_of_an_older_query_get_their_keys,
    test_the_constant_of_another_number_type_is_compared_as_a_number,
)
from tests.services.test_entity_queries import (  # noqa: F401  # run here too
    dogs,
    test_a_query_answers_what_its_condition_says,
    test_equal_values_are_ordered_by_key_so_that_pages_do_not_overlap,
    test_like_of_what_is_no_text,
    test_wrong_parameters_are_refused_by_name,
)
from tests.support.postgres import opened_database

_NUMBERS = count(1)


def _no_limit(_node: ShortHash) -> int:
    return 10**9


@pytest.fixture(scope="module")
def database_of_vaults(postgres_server: object) -> Access:
    access: Access = postgres_server.new_database()  # type: ignore[attr-defined]
    make_functions(access)
    return access


@pytest.fixture
def vaults(database_of_vaults: Access) -> Iterator[NodeSchemas]:
    """Vaults of their own for each test."""
    vaults = NodeSchemas(
        replace(VAULT, prefix=f"vault{next(_NUMBERS)}"),
        database_of_vaults,
        [REQUESTS, SCHEMA],
        register=EveryNode(),
        bytes_max_of=_no_limit,
    )
    yield vaults
    vaults.close()


@pytest.fixture(scope="module")
def database(database_of_vaults: Access) -> Iterator[PostgresDatabase]:
    """For queries of the ledger."""
    schemas = [Schema(name="states", metadata=STATES.metadata)]
    with opened_database(database_of_vaults, schemas, name="ledger_states") as opened:
        yield opened


def test_a_statement_that_takes_too_long_is_interrupted_and_the_vault_goes_on(
    vaults: NodeSchemas,
) -> None:
    node = ShortHash("0123456789AB")
    with vaults.read(node) as connection:
        limit = dialect_of(connection).limited_time(connection, 0.05, lambda: 0.0)
        with pytest.raises(StatementTimeoutError), limit:
            connection.exec_driver_sql("SELECT pg_sleep(60)")
    with vaults.read(node) as connection:
        with dialect_of(connection).limited_time(connection, 60, lambda: 0.0):
            connection.exec_driver_sql("SELECT 1")
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "0"


def test_names_of_members_and_numbers_of_elements_are_told_apart(
    database: PostgresDatabase,
) -> None:
    document = '{"0":{"a b":["x",null,{"c":1.5}]},"n":null,"t":"\\"q\\""}'
    found = {
        ("0", "a b", 0): ('"x"', "x"),
        ("0", "a b", 2, "c"): ("1.5", "1.5"),
        ("0", "a b", 1): ("null", None),
        ("0", "a b", 3): (None, None),
        ("0", "a b", "0"): (None, None),
        (0, "a b"): (None, None),
        ("t",): ('"\\"q\\""', '"q"'),
        ("n", "x"): (None, None),
    }
    with database.read() as connection:
        for path, expected in found.items():
            row = connection.execute(
                select(JsonPart(literal(document), path), JsonText(literal(document), path))
            ).one()
            assert tuple(row) == expected, path
