"""A vault of version 1 is taken over whole, and goes on.

`data/vault_1.sql` is such a vault, of transactions that two nodes made: one issues three states,
one moves the first and refers to the second, one names a notary, which has signed it.
`data/vault_1.json` is what the release of version 1 answered of it, and a transaction that it built
and did not record.
"""

import base64
import json
import sqlite3
from pathlib import Path

import pytest

from host.adapters.sqlite.database import Database
from host.domain.capability_error import CapabilityError
from host.domain.errors import StorageError
from host.ledger.core.components import from_groups
from host.ledger.core.model import StateRef
from host.ledger.core.signed import read_signed, unsigned
from host.ledger.core.statuses import Status
from host.ledger.vault import outputs, transactions
from host.ledger.vault.finish import finish
from host.ledger.vault.tables import SCHEMA
from host.ledger.vault.transactions import Origin

DATA = Path(__file__).parent / "data"
BEFORE = json.loads((DATA / "vault_1.json").read_text())
NOW = 1_800_000_000_000


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "vault.sqlite"
    connection = sqlite3.connect(found)
    connection.executescript((DATA / "vault_1.sql").read_text())
    connection.close()
    return found


def layout(path):
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name LIKE 'ledger%' AND sql IS NOT NULL"
    )
    found = {name: "".join(sql.split()) for name, sql in rows}
    connection.close()
    return found


def test_the_tables_are_those_of_a_new_vault(path, tmp_path):
    Database.open(path, [SCHEMA]).close()
    Database.open(tmp_path / "new.sqlite", [SCHEMA]).close()
    assert layout(path) == layout(tmp_path / "new.sqlite")


def test_everything_is_there_as_it_was(path):
    for _ in range(2):
        with Database.open(path, [SCHEMA]) as database, database.read() as connection:
            for transaction_id, expected in BEFORE["transactions"].items():
                stored = transactions.find_stored(connection, transaction_id)
                assert stored.signed.to_json() == expected
                assert (stored.status, stored.examined) == (Status.VERIFIED, True)
                assert stored.recorded_at == stored.created_at > 0
            listed = transactions.list_page(connection, limit=10, beyond=None, newest_first=False)
            assert [each for _, each in listed] == list(BEFORE["transactions"])
            page = outputs.unconsumed(connection, "iou.Iou", limit=100)
            assert [each.to_json() for each in page.states] == BEFORE["unconsumed"]
            first = [StateRef.parse(BEFORE["states"][0])]
            assert outputs.consumers(connection, first) == {first[0]: BEFORE["moved"]}
            assert outputs.visible(connection, BEFORE["moved"]) == [0]
            hidden = outputs.find(connection, [StateRef(BEFORE["moved"], 1)])
            assert hidden[0].state.value == {"amount": 1}
            kinds = connection.exec_driver_sql(
                "SELECT kind FROM ledger_signature s JOIN ledger_transaction t"
                f" ON t.seq = s.transaction_seq WHERE t.id = '{BEFORE['notarised']}'"
            ).scalars()
            assert sorted(kinds) == ["n", "s"]
            rows = connection.exec_driver_sql(
                "SELECT representation, consumed_at IS NULL FROM ledger_output ORDER BY seq"
            ).all()
            assert [(json.loads(text)["iou.Iou"]["amount"], bool(free)) for text, free in rows] == [
                (5, False),
                (7, True),
                (9, True),
                (4, True),
                (6, True),
            ]
            hashes = connection.exec_driver_sql(
                "SELECT DISTINCT parameters_hash FROM ledger_transaction"
            ).scalars()
            assert len(list(hashes)) == 2


def test_it_goes_on_where_it_was(path):
    signed = read_signed(BEFORE["pending"])
    content = from_groups(signed.groups)
    other = unsigned(base64.b64decode(BEFORE["pending"]["privacySalt"]) + b"x", signed.groups)

    def record(connection, transaction):
        finish(connection, transaction, content, facts=(), origin=Origin.OWN, now=NOW)

    with Database.open(path, [SCHEMA]) as database:
        database.transact(lambda connection: record(connection, signed))
        with pytest.raises(CapabilityError) as refused:
            database.transact(lambda connection: record(connection, other))
        assert refused.value.code == "state-consumed"
        with database.read() as connection:
            page = outputs.unconsumed(connection, "iou.Iou", limit=100)
            amounts = [each.state.value["amount"] for each in page.states]
    assert amounts == [7, 9, 6]


def test_a_transaction_that_cannot_be_read_does_not_hold_up_the_others(path):
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE ledger_transaction SET component_groups = '[[' WHERE id = ?", (BEFORE["moved"],)
    )
    connection.commit()
    connection.close()
    with Database.open(path, [SCHEMA]) as database, database.read() as connection:
        expected = BEFORE["transactions"][BEFORE["notarised"]]
        assert transactions.find(connection, BEFORE["notarised"]).to_json() == expected
        with pytest.raises(ValueError, match="Expecting"):
            transactions.find(connection, BEFORE["moved"])


def test_a_migration_that_fails_changes_nothing(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE ledger_transaction SET signatures = 'none' WHERE seq = 2")
    connection.commit()
    connection.close()
    before = layout(path)
    with pytest.raises((StorageError, ValueError)):
        Database.open(path, [SCHEMA])
    assert layout(path) == before
