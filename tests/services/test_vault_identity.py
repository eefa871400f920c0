"""A vault says whose it is and how far it has come; none is taken for another, or for a newer one."""

import os
import shutil
import sqlite3
from contextlib import suppress
from functools import partial

import pytest
from sqlalchemy import insert

from host.adapters.files.identity.files import file_state
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.errors import (
    VaultEmptyError,
    VaultForeignError,
    VaultMissingError,
    VaultOlderError,
)
from host.adapters.sqlite.node_identity import UNCOUNTED
from host.adapters.sqlite.vaults import Vaults
from host.domain.errors import StorageError
from host.domain.ids import FlowId, ShortHash
from host.entities import EntityCapability
from host.nodes.vnode import SCHEMA, MadeVaults
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.runtime.wiring.schemas import VAULT_SCHEMAS
from host.vault.idempotency import forget_answers, remember_answer
from tests.services.support import ALICE, context, holding

NODE, OTHER = ShortHash("A" * 12), ShortHash("B" * 12)


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "cluster.sqlite", [SCHEMA]) as database:
        texts = [column.name for column in VIRTUAL_NODE.columns if not column.nullable]

        def work(connection):
            for node in (NODE, OTHER):
                row = dict.fromkeys(texts, "x") | {"short_hash": node, "created_at": 1}
                connection.execute(insert(VIRTUAL_NODE), row)

        database.transact(work)
        yield database


@pytest.fixture
def register(database, clock):
    return MadeVaults(database=database, clock=clock)


@pytest.fixture
def start(tmp_path, register):
    opened = []

    def start(cluster_id="cluster"):
        vaults = Vaults(
            tmp_path / "vnodes", VAULT_SCHEMAS, register=register, cluster_id=cluster_id
        )
        opened.append(vaults)
        return vaults

    yield start
    for vaults in opened:
        vaults.close()


def act(vaults, *names, node=NODE):
    for name in names:
        vaults.transact(
            node, partial(remember_answer, request_id=f"call:{name}", request={}, answer={}, now=1)
        )


def used(start, *names, node=NODE):
    """Vaults of a process that had these effects and ended."""
    vaults = start()
    act(vaults, *names, node=node)
    vaults.close()


def file_of(tmp_path, node=NODE):
    return tmp_path / "vnodes" / node / "vault.sqlite"


def generation(tmp_path, node=NODE):
    return file_state(file_of(tmp_path, node)).identity.generation


def test_a_vault_says_whose_it_is_and_counts_its_effects(start, tmp_path, register):
    used(start, "f-1", "f-2")
    found = file_state(file_of(tmp_path)).identity
    assert (found.kind, found.cluster_id, found.node, found.generation) == (
        "vault",
        "cluster",
        NODE,
        2,
    )
    assert register.noted(NODE) == 2
    assert register.noted(OTHER) == 0


def test_what_has_no_effect_is_not_counted(start, tmp_path):
    vaults = start()
    act(vaults, "f-1")
    vaults.transact(NODE, lambda connection: forget_answers(connection, FlowId("f"), 2))
    with suppress(ZeroDivisionError):

        def work(connection):
            remember_answer(connection, "call:g-1", {}, {}, 1)
            raise ZeroDivisionError

        vaults.transact(NODE, work)
    assert generation(tmp_path) == 1


def test_an_older_copy_is_refused_and_the_right_one_taken_again(start, tmp_path, register):
    used(start, "f-1")
    shutil.copy(file_of(tmp_path), tmp_path / "old")
    used(start, "f-2")
    shutil.copy(file_of(tmp_path), tmp_path / "right")
    shutil.copy(tmp_path / "old", file_of(tmp_path))
    vaults = start()
    with pytest.raises(VaultOlderError, match="generation 1, expected 2 or later"):
        act(vaults, "f-3")
    (problem,) = register.problems()
    assert (problem.short_hash, problem.code) == (NODE, "vault-older")
    assert str(tmp_path) not in problem.message
    act(vaults, "g-1", node=OTHER)
    shutil.copy(tmp_path / "right", file_of(tmp_path))
    act(vaults, "f-3")
    assert register.problems() == []


def test_how_far_a_vault_has_come_is_noted_while_its_process_runs(start, tmp_path, register):
    vaults = start()
    act(vaults, "f-1", "f-2", "f-3")
    assert register.noted(NODE) == 0
    vaults.note()
    assert register.noted(NODE) == 3
    register.note_generations({NODE: 1})
    assert register.noted(NODE) == 3


def test_what_could_not_be_noted_is_noted_the_next_time(start, register, monkeypatch):
    vaults = start()
    act(vaults, "f-1")

    def full(_):
        raise StorageError("full")

    monkeypatch.setattr(register, "note_generations", full)
    with pytest.raises(StorageError, match="full"):
        vaults.note()
    monkeypatch.undo()
    vaults.note()
    assert register.noted(NODE) == 1


def test_an_empty_vault_is_not_taken_for_a_new_one(start, tmp_path, register):
    used(start, "f-1")
    os.truncate(file_of(tmp_path), 0)
    with pytest.raises(VaultEmptyError, match=NODE):
        act(start(), "f-2")
    assert file_of(tmp_path).stat().st_size == 0
    assert [p.code for p in register.problems()] == ["vault-empty"]


def test_a_missing_vault_is_noted_for_the_status(start, tmp_path, register):
    used(start, "f-1")
    file_of(tmp_path).unlink()
    with pytest.raises(VaultMissingError):
        act(start(), "f-2")
    assert [p.code for p in register.problems()] == ["vault-missing"]


def test_the_vault_of_another_node_or_cluster_is_refused(start, tmp_path):
    used(start, "f-1")
    used(start, "g-1", node=OTHER)
    shutil.copy(file_of(tmp_path), tmp_path / "own")
    shutil.copy(file_of(tmp_path, OTHER), file_of(tmp_path))
    with pytest.raises(VaultForeignError, match=f"virtual node {NODE}"):
        act(start(), "f-2")
    shutil.copy(tmp_path / "own", file_of(tmp_path))
    with pytest.raises(VaultForeignError, match="cluster another"):
        act(start("another"), "f-2")


@pytest.mark.parametrize("table", ["file_identity", None])
def test_a_database_that_does_not_say_what_it_is_takes_no_used_vaults_place(start, tmp_path, table):
    used(start, "f-1")
    if table is None:
        file_of(tmp_path).unlink()
    with sqlite3.connect(file_of(tmp_path)) as connection:
        connection.execute("CREATE TABLE other (n)" if table is None else f"DROP TABLE {table}")
    with pytest.raises(VaultForeignError, match="carries no cluster's id"):
        act(start(), "f-2")


def test_vaults_of_earlier_releases_begin_to_count_high(start, tmp_path, register):
    used(start, "f-1")
    with sqlite3.connect(file_of(tmp_path)) as connection:
        connection.execute("DROP TRIGGER count_effects")
        connection.execute("DROP TABLE file_identity")
    register._database.transact(
        lambda connection: connection.exec_driver_sql("DELETE FROM vault_note")
    )
    used(start, "f-2")
    assert generation(tmp_path) == UNCOUNTED + 1


def test_making_a_vault_may_be_cut_off_anywhere(start, tmp_path, register, monkeypatch):
    """Its file may be there without a word in the register, and without an identity."""

    class Cut(BaseException):
        pass

    def cut(*_):
        raise Cut

    monkeypatch.setattr("host.adapters.sqlite.node_databases.give_node_identity", cut)
    with pytest.raises(Cut):
        act(start(), "f-1")
    monkeypatch.undo()
    monkeypatch.setattr(register, "note_made", cut)
    with pytest.raises(Cut):
        act(start(), "f-1")
    monkeypatch.undo()
    used(start, "f-1")
    assert register.noted(NODE) == 1


def test_a_repeated_write_counts_as_the_audit_log_does(tmp_path):
    """A flow's second call of one `dedupId` is a line in the log, and changes nothing else."""
    vaults = Vaults(tmp_path / "vnodes", VAULT_SCHEMAS)
    node = holding(ALICE).short_hash
    vaults.create(node)
    entities = EntityCapability(vaults)
    note = {"type": "iou.Note", "key": "a", "value": 1}
    for call in (1, 2, 3):
        request = {"op": "persist", "entities": [note], "dedupId": "once"}
        assert entities.call(context(ALICE, call), "write", request) == [1]
    assert generation(tmp_path, node) == 3
    vaults.close()


def test_two_processes_that_make_a_vault_agree(start, tmp_path):
    first, second = start(), start()
    act(first, "f-1")
    act(second, "f-2")
    assert generation(tmp_path) == 2
