"""Rows of a node's tables as items of its file."""

import msgspec
import pytest
from sqlalchemy import insert, select

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.vaults import Vaults
from host.database.node_tables import NodeTables
from host.domain.accounts import QuotaExceededError
from host.entities.tables import ENTITY
from host.ledger.vault.tables import SIGNATURE, TRANSACTION
from host.nodes import quotas
from host.nodes.quotas.arriving import quota_check
from host.nodes.quotas.tables import OVERRIDE, USAGE
from host.ports.node_contents import NodeItemInvalidError
from host.runtime.wiring.schemas import VAULT_SCHEMAS
from host.vault.node_vault import NodeDatabase
from tests.services.support import ALICE, BOB, holding

ME, OTHER = holding(ALICE), holding(BOB)


def _quota(node, name, value):
    return {"short_hash": node.short_hash, "name": name, "value": value}


@pytest.fixture
def registers(tmp_path):
    database = Database.open(tmp_path / "cluster.sqlite", (quotas.SCHEMA,))
    yield database
    database.close()


@pytest.fixture
def tables(registers):
    return NodeTables("quotas", registers, {OVERRIDE: "short_hash", USAGE: "short_hash"})


def _rows(database, table):
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(table))]


def test_rows_of_one_node_leave_and_come_back_and_those_of_others_stay(registers, tables):
    rows = [_quota(ME, "a", 1), _quota(OTHER, "a", 2)]
    registers.transact(lambda c: c.execute(insert(OVERRIDE), rows))
    items = list(tables.dump(ME))
    for _ in range(2):
        tables.erase(ME)
        assert _rows(registers, OVERRIDE) == [(OTHER.short_hash, "a", 2)]
    tables.load(ME, items, 1)
    assert set(_rows(registers, OVERRIDE)) == {(ME.short_hash, "a", 1), (OTHER.short_hash, "a", 2)}


@pytest.mark.parametrize(
    "item",
    [
        b"",
        b"\xc1",
        ("users", ("short_hash",), ((ME.short_hash,),)),
        ("virtual_node_quota", ("short_hash", "x"), ()),
        ("virtual_node_quota", ("name", "name"), ()),
        ("virtual_node_quota", ("short_hash", "name"), ((ME.short_hash,),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "a", "1"),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((OTHER.short_hash, "a", 1),)),
        ("virtual_node_quota", ("name", "value"), (("a", 1),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "b", 2**63),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "b" * 65, 1),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "b", [1]),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "b", {}),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "a", 1),) * 501),
        ("virtual_node_quota", ("short_hash", "name"), ((ME.short_hash, "b"),)),
        ("virtual_node_quota", ("short_hash", "name", "value"), ((ME.short_hash, "a", 1),)),
        msgspec.msgpack.encode(
            ("virtual_node_quota", ("short_hash",), ((msgspec.msgpack.Ext(1, b"x"),),))
        ),
    ],
    ids=repr,
)
def test_items_that_are_no_rows_of_the_node_are_refused(registers, tables, item):
    good = list(_good())
    data = item if isinstance(item, bytes) else msgspec.msgpack.encode(item)
    with pytest.raises(NodeItemInvalidError):
        tables.load(ME, [*good, data], 1)
    assert _rows(registers, OVERRIDE) == []


def _good():
    row = (ME.short_hash, "a", 1)
    yield msgspec.msgpack.encode(("virtual_node_quota", ("short_hash", "name", "value"), (row,)))


def _transaction(seq):
    return {
        "seq": seq,
        "id": f"SHA-256D:{seq:064X}",
        "ledger": "u",
        "status": "V",
        "examined": True,
        "origin": "own",
        "privacy_salt": b"\0" * 32,
        "component_groups": "[]",
        "parameters_hash": "h",
        "created_at": 1,
        "updated_at": 1,
        "repairs": 0,
    }


def _fill(connection):
    connection.execute(insert(TRANSACTION), [_transaction(n) for n in (3, 7)])
    signature = {"key": "k", "key_id": "i", "kind": "s", "signature": "{}"}
    connection.execute(insert(SIGNATURE), {"transaction_seq": 7, "position": 0, **signature})
    entity = {"type": "T", "value": "x" * 1000, "updated_at": 1}
    connection.execute(insert(ENTITY), [{**entity, "key": f"{n:04}"} for n in range(1200)])


def test_a_vault_is_in_another_place_as_it_was(tmp_path):
    one, two = (Vaults(tmp_path / name, VAULT_SCHEMAS) for name in ("one", "two"))
    vaults = [NodeDatabase("vault", each, VAULT_SCHEMAS) for each in (one, two)]
    for each in (one, two):
        each.create(ME.short_hash)
    one.transact(ME.short_hash, _fill)
    vaults[1].load(ME, vaults[0].dump(ME), 1)
    for table in (TRANSACTION, SIGNATURE, ENTITY):
        found = []
        for each in (one, two):
            with each.read(ME.short_hash) as connection:
                found.append([tuple(row) for row in connection.execute(select(table))])
        assert found[0] == found[1] != []
    # Numbers go on after those that came.
    row = {k: v for k, v in _transaction(9).items() if k != "seq"}
    two.transact(ME.short_hash, lambda c: c.execute(insert(TRANSACTION), row))
    with two.read(ME.short_hash) as connection:
        assert connection.execute(select(TRANSACTION.c.seq)).scalars().all() == [3, 7, 8]
    vaults[1].erase(ME)
    assert list(vaults[1].dump(ME)) == []
    for each in (one, two):
        each.close()


def test_a_vault_beyond_its_nodes_quota_is_refused(tmp_path):
    vaults = Vaults(tmp_path, VAULT_SCHEMAS, bytes_max_of=lambda _node: 300_000)
    vaults.create(ME.short_hash)
    content = NodeDatabase("vault", vaults, VAULT_SCHEMAS)
    large = ("T", "k", "x" * 400_000, "{}", 1)
    item = ("entity", ("type", "key", "value", "sort_keys", "updated_at"), (large,))
    with pytest.raises(QuotaExceededError):
        content.load(ME, [msgspec.msgpack.encode(item)], 1)
    vaults.close()


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (OVERRIDE, {"name": "a", "value": 1}),
        (OVERRIDE, {"name": "flows_open_max", "value": -1}),
        (USAGE, {"counter": "hit:log-rate", "value": 1, "first_at": 1, "last_at": 10**15}),
        (USAGE, {"counter": "hit:log-rate", "value": 1, "first_at": 2, "last_at": 1}),
        (USAGE, {"counter": "runs", "value": -1, "first_at": 1, "last_at": 1}),
    ],
)
def test_quotas_and_counters_of_a_file_are_such_as_this_release_has(table, row):
    check = quota_check(lambda: 1_800_000_000_000)
    check(ME, OVERRIDE, {"name": "flows_open_max", "value": 5})
    check(ME, USAGE, {"counter": "runs", "value": 1, "first_at": 1, "last_at": 2})
    with pytest.raises(NodeItemInvalidError):
        check(ME, table, row)
