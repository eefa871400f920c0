"""A vault is made when its node first uses it, once, and a lost one is never taken for new."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.errors import VaultMissingError
from host.adapters.sqlite.vaults import Vaults
from host.domain.clock import SimClock
from host.domain.errors import NotFoundError, StorageError
from host.domain.ids import FlowId, ShortHash
from host.entities import SCHEMA as PERSISTENCE
from host.entities import EntityTypes, VaultSchemas
from host.nodes.vnode import SCHEMA, MadeVaults
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.ports.database import Schema
from host.runtime.wiring.services import VaultAnswers
from host.vault.idempotency import REQUESTS
from tests.services.support import cpi

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("number", Integer, primary_key=True))
ITEMS = Schema(name="items", metadata=METADATA)
NODE, STRANGER = ShortHash("A" * 12), ShortHash("B" * 12)


class FullRegister(MadeVaults):
    """A register whose disk is full."""

    def note_made(self, short_hash: ShortHash) -> None:
        raise StorageError(f"disk full: {short_hash}")


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    with Database.open(tmp_path / "cluster.sqlite", [SCHEMA]) as database:

        def work(connection):
            texts = [column.name for column in VIRTUAL_NODE.columns if not column.nullable]
            row = dict.fromkeys(texts, "x") | {"short_hash": NODE, "created_at": 1}
            connection.execute(insert(VIRTUAL_NODE), row)

        database.transact(work)
        yield database


@pytest.fixture
def start(tmp_path, database, clock):
    opened = []

    def start() -> Vaults:
        register = MadeVaults(database=database, clock=clock)
        schemas = [ITEMS, REQUESTS, PERSISTENCE]
        opened.append(Vaults(tmp_path / "vnodes", schemas, register=register))
        return opened[-1]

    yield start
    for vaults in opened:
        vaults.close()


def file_of(folder: Path, node: ShortHash = NODE) -> Path:
    return folder / "vnodes" / node / "vault.sqlite"


def numbers(vaults: Vaults) -> list[int]:
    with vaults.read(NODE) as connection:
        return list(connection.execute(select(ITEM.c.number)).scalars())


def add(vaults: Vaults, number: int) -> None:
    vaults.transact(NODE, lambda connection: connection.execute(insert(ITEM), {"number": number}))


def test_the_first_use_makes_the_vault_and_later_ones_find_it(start) -> None:
    vaults = start()
    assert not vaults.is_made(NODE)
    assert numbers(vaults) == []
    assert vaults.is_made(NODE)
    add(vaults, 1)
    vaults.close()
    assert numbers(start()) == [1]


def test_what_needs_no_vault_makes_none(start, tmp_path, clock) -> None:
    vaults = start()
    schemas = VaultSchemas(vaults, EntityTypes(), clock)
    assert vaults.used_bytes(NODE) == 0
    VaultAnswers(vaults, SimClock()).forget(NODE, FlowId("flow"))
    schemas.check(cpi())
    schemas.apply(NODE, cpi())
    schemas.reset(NODE, cpi())
    assert not (tmp_path / "vnodes").exists()


def test_a_lost_vault_is_an_error_and_not_an_empty_vault(start, tmp_path, clock) -> None:
    vaults = start()
    add(vaults, 1)
    vaults.close()
    file_of(tmp_path).unlink()
    vaults = start()
    schemas = VaultSchemas(vaults, EntityTypes(), clock)
    for use in (
        lambda: numbers(vaults),
        lambda: add(vaults, 2),
        lambda: vaults.used_bytes(NODE),
        lambda: schemas.apply(NODE, cpi()),
        lambda: VaultAnswers(vaults, SimClock()).forget(NODE, FlowId("flow")),
    ):
        with pytest.raises(VaultMissingError, match="AAAAAAAAAAAA is gone") as lost:
            use()
        assert lost.value.code == "vault-missing"
    assert not file_of(tmp_path).exists()


def test_a_vault_is_noted_before_anything_can_be_written_to_it(
    start, tmp_path, database, clock
) -> None:
    vaults = start()
    vaults._register = FullRegister(database=database, clock=clock)
    with pytest.raises(StorageError, match="disk full"):
        add(vaults, 1)
    # The file is there, as after a crash at this place; it is empty, and is used from now on.
    assert file_of(tmp_path).exists()
    vaults = start()
    add(vaults, 2)
    assert numbers(vaults) == [2]


def test_nobody_else_gets_a_vault(start, tmp_path) -> None:
    vaults = start()
    with pytest.raises(NotFoundError), vaults.read(STRANGER):
        pass
    with pytest.raises(NotFoundError):
        vaults.used_bytes(STRANGER)
    assert not (tmp_path / "vnodes").exists()


def test_a_vault_that_cannot_be_made_fails_the_use_and_not_the_node(start, tmp_path) -> None:
    vaults = start()
    (tmp_path / "vnodes").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be created"):
        add(vaults, 1)
    (tmp_path / "vnodes").unlink()
    add(vaults, 2)
    assert numbers(vaults) == [2]


def test_two_that_make_a_vault_at_once_have_one(start) -> None:
    first, second = start(), start()
    barrier = threading.Barrier(2)

    def work(vaults: Vaults, number: int) -> None:
        barrier.wait()
        add(vaults, number)

    threads = [threading.Thread(target=work, args=(v, n)) for n, v in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(first) == numbers(second) == [0, 1]


def test_a_slow_first_use_keeps_no_other_node_waiting(start, database) -> None:
    vaults = start()

    def work(connection):
        texts = [column.name for column in VIRTUAL_NODE.columns if not column.nullable]
        row = dict.fromkeys(texts, "x") | {"short_hash": STRANGER, "created_at": 1}
        connection.execute(insert(VIRTUAL_NODE), row)

    database.transact(work)
    is_asked, may_go_on = threading.Event(), threading.Event()

    class SlowForOne:
        is_made = staticmethod(vaults._register.is_made)
        note_generations = staticmethod(vaults._register.note_generations)

        @staticmethod
        def note_made(short_hash: ShortHash) -> None:
            if short_hash == NODE:
                is_asked.set()
                assert may_go_on.wait(60)

    vaults._register = SlowForOne()
    slow = threading.Thread(target=numbers, args=(vaults,))
    slow.start()
    assert is_asked.wait(60)
    vaults.transact(STRANGER, lambda connection: connection.execute(insert(ITEM), {"number": 1}))
    may_go_on.set()
    slow.join()
    assert numbers(vaults) == []


def test_a_vault_that_cannot_be_opened_is_not_kept(start) -> None:
    vaults = start()
    for _ in range(3):
        with pytest.raises(NotFoundError), vaults.read(STRANGER):
            pass
    assert vaults._open == {}
