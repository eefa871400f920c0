"""Queries of keys that are prepared find what those that are built for each call find."""

from itertools import product
from pathlib import Path

import pytest

from host.adapters.sqlite.database import Database
from host.domain.clock import SimClock
from host.keys import SCHEMA, SoftKeyStore
from host.keys.queries import prepared_of, statement_of
from host.ports.keys import KeyCategory, KeyOrder, KeyQuery
from tests.services.support import CountingEntropy, MemoryMasterKeys

TENANT, OTHER = "0123456789AB", "BA9876543210"


def test_prepared_queries_find_what_others_find(tmp_path: Path) -> None:
    clock = SimClock()
    with Database.open(tmp_path / "keys.sqlite", [SCHEMA]) as database:
        keys = SoftKeyStore(
            database, masters=MemoryMasterKeys(), clock=clock, entropy=CountingEntropy()
        )
        made = []
        for number, category in enumerate(2 * (KeyCategory.LEDGER, KeyCategory.SESSION_INIT)):
            clock.advance(1)
            made.append(keys.create(TENANT, category, f"k{number}", "CORDA.EDDSA.ED25519").key_id)
        ids = [(), (made[2],), (made[3], made[0]), ("000000000000", *made)]
        for tenant, some, category, limit in product(
            (TENANT, OTHER), ids, (None, KeyCategory.LEDGER), (1, 10)
        ):
            query = KeyQuery(ids=some, category=category, limit=limit)
            prepared = prepared_of(tenant, query)
            assert prepared is not None
            with database.read() as connection:
                expected = [row.key_id for row in connection.execute(statement_of(tenant, query))]
                found = [row.key_id for row in prepared[0].all(connection, prepared[1])]
            assert found == expected == [key.key_id for key in keys.query(tenant, query)]


@pytest.mark.parametrize(
    "query",
    [
        KeyQuery(alias="a"),
        KeyQuery(skip=1),
        KeyQuery(order=KeyOrder.ALIAS),
        KeyQuery(is_descending=True),
        KeyQuery(created_from=1),
        KeyQuery(ids=tuple(f"{number:012X}" for number in range(9))),
    ],
)
def test_other_queries_are_built_for_each_call(query: KeyQuery) -> None:
    assert prepared_of(TENANT, query) is None
