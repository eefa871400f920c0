import os
import sqlite3
import types

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from host.adapters.sqlite.database import Database
from host.adapters.sqlite.errors import translated
from host.adapters.sqlite.vaults import Vaults
from host.database.revision_cache import RevisionCache
from host.database.schema_versions import SchemaTooNewError
from host.domain.capability_error import CapabilityError
from host.domain.errors import DiskFullError, NotFoundError, StorageError
from host.domain.ids import EpochMs, ShortHash
from host.ports.database import EVERY, REMEMBERED, Schema
from host.vault.idempotency import REQUESTS, find_answer, remember_answer

METADATA = MetaData()
ITEM = Table(
    "item",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("text", String, unique=True),
    info=REMEMBERED,
)
SCHEMA = Schema(name="items", metadata=METADATA)


def texts(database):
    with database.read() as connection:
        return [row.text for row in connection.execute(select(ITEM).order_by(ITEM.c.id))]


def test_a_committed_transaction_survives_reopening(tmp_path):
    path = tmp_path / "deep" / "a.sqlite"
    with Database.open(path, [SCHEMA]) as database:
        database.transact(lambda connection: connection.execute(insert(ITEM), {"text": "one"}))
    with Database.open(path, [SCHEMA]) as database:
        assert texts(database) == ["one"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_files_are_in_wal_mode_with_full_synchronisation(tmp_path):
    with Database.open(tmp_path / "a.sqlite", [SCHEMA]) as database, database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "a.sqlite"
    newer = Schema(name="items", metadata=METADATA, version=2)
    Database.open(path, [newer]).close()
    with pytest.raises(SchemaTooNewError, match="version 2") as refused:
        Database.open(path, [SCHEMA])
    assert refused.value.code == "storage-schema-too-new"
    Database.open(path, [newer]).close()


def test_an_older_schema_is_migrated_step_by_step(tmp_path):
    path = tmp_path / "a.sqlite"
    with Database.open(path, [SCHEMA]) as database:
        database.transact(lambda connection: connection.execute(insert(ITEM), {"text": "one"}))
    third = Schema(
        name="items",
        metadata=METADATA,
        version=3,
        migrations={
            1: {EVERY: ("ALTER TABLE item ADD COLUMN size INTEGER",)},
            2: {"sqlite": ("UPDATE item SET size = 7",), EVERY: ("no SQL",)},
        },
    )
    for _ in range(2):
        with Database.open(path, [third]) as database, database.read() as connection:
            assert connection.exec_driver_sql("SELECT text, size FROM item").all() == [("one", 7)]


def test_a_failing_migration_leaves_the_old_version(tmp_path):
    path = tmp_path / "a.sqlite"
    Database.open(path, [SCHEMA]).close()
    broken = Schema(
        name="items",
        metadata=METADATA,
        version=2,
        migrations={
            1: {EVERY: ("ALTER TABLE item ADD COLUMN size INTEGER", "UPDATE nothing SET a = 1")}
        },
    )
    with pytest.raises(StorageError):
        Database.open(path, [broken])
    with Database.open(path, [SCHEMA]) as database, database.read() as connection:
        columns = connection.exec_driver_sql("PRAGMA table_info(item)").all()
    assert [column[1] for column in columns] == ["id", "text"]


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="no database"):
        Database.open(path, [SCHEMA])
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be created"):
        Database.open(tmp_path / "file" / "a.sqlite", [SCHEMA])


def test_a_full_disk_is_a_storage_error_and_nothing_changes(tmp_path):
    with Database.open(tmp_path / "a.sqlite", [SCHEMA], pool_size=1) as database:

        def work(connection):
            connection.execute(insert(ITEM), {"text": "one"})
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        database.transact(work)
        with pytest.raises(DiskFullError, match="disk is full"):
            database.transact(
                lambda connection: connection.execute(
                    insert(ITEM), [{"text": f"{n}" * 1000} for n in range(100)]
                )
            )
        assert texts(database) == ["one"]


A, B, C = (ShortHash(letter * 12) for letter in "ABC")


@pytest.fixture
def vaults(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [SCHEMA, REQUESTS], open_max=2)
    yield vaults
    vaults.close()


def test_vaults_are_separate_files(vaults, tmp_path):
    for short_hash in (A, B):
        vaults.create(short_hash)
    vaults.transact(A, lambda connection: connection.execute(insert(ITEM), {"text": "of A"}))
    with vaults.read(B) as connection:
        assert connection.execute(select(ITEM)).all() == []
    assert b"of A" not in (tmp_path / "vnodes" / B / "vault.sqlite").read_bytes()


def test_creating_a_vault_again_keeps_its_content(vaults):
    vaults.create(A)
    vaults.transact(A, lambda connection: connection.execute(insert(ITEM), {"text": "kept"}))
    vaults.create(A)
    with vaults.read(A) as connection:
        assert connection.execute(select(ITEM.c.text)).scalar() == "kept"


def test_a_node_without_a_vault_is_not_found_and_none_is_made(vaults, tmp_path):
    with pytest.raises(NotFoundError), vaults.read(C):
        pass
    assert not (tmp_path / "vnodes" / C).exists()


def test_idle_vaults_are_closed_and_reopened_when_needed(vaults):
    for short_hash in (A, B, C):
        vaults.create(short_hash)
    for _ in range(2):
        for short_hash in (A, B, C):
            vaults.transact(short_hash, lambda connection: connection.execute(insert(ITEM), {}))
    assert len(vaults._open) == 2
    with vaults.read(A) as connection:
        assert len(connection.execute(select(ITEM)).all()) == 2


def test_a_vault_in_use_is_never_closed(vaults):
    for short_hash in (A, B, C):
        vaults.create(short_hash)
    with vaults.read(A) as first, vaults.read(B) as second, vaults.read(C) as third:
        assert [c.execute(select(ITEM)).all() for c in (first, second, third)] == [[], [], []]


def test_an_answer_is_found_again_for_the_same_request_only(vaults):
    vaults.create(A)

    def work(connection):
        assert find_answer(connection, "f-1", {"a": 1}) is None
        remember_answer(connection, "f-1", {"a": 1}, [2], EpochMs(5))

    vaults.transact(A, work)
    with vaults.read(A) as connection:
        assert find_answer(connection, "f-1", {"a": 1}) == "[2]"
        with pytest.raises(CapabilityError) as refused:
            find_answer(connection, "f-1", {"a": 2})
    assert refused.value.code == "request-id-reused"


def test_a_damaged_page_is_a_storage_error(tmp_path):
    path = tmp_path / "a.sqlite"
    with Database.open(path, [SCHEMA]) as database:

        def work(connection):
            for number in range(300):
                connection.execute(insert(ITEM), {"text": f"{number}" * 100})

        database.transact(work)
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    data = bytearray(path.read_bytes())
    data[4096 * 4 :] = b"\xa5" * (len(data) - 4096 * 4)
    path.write_bytes(data)
    with pytest.raises(StorageError), Database.open(path, [SCHEMA]) as database:
        database.transact(lambda connection: connection.execute(select(ITEM)).all())


def test_what_is_committed_while_it_is_read_is_not_missed(tmp_path):
    with Database.open(tmp_path / "a.sqlite", [SCHEMA]) as database:

        def read(text):
            found = texts(database)
            if not found:
                database.transact(
                    lambda connection: connection.execute(insert(ITEM), {"text": text})
                )
            return found

        remembered = RevisionCache(database, read)
        assert [remembered.get("one"), remembered.get("one")] == [[], ["one"]]


def test_only_the_most_recently_used_answers_are_remembered(tmp_path):
    reads = []
    with Database.open(tmp_path / "a.sqlite", [SCHEMA]) as database:
        remembered = RevisionCache(database, reads.append, kept_max=2)
        for key in ("one", "two", "one", "three", "one", "two"):
            remembered.get(key)
    assert reads == ["one", "two", "three", "two"]


@pytest.mark.parametrize(("free", "kind"), [(64 * 1024, DiskFullError), (1 << 30, StorageError)])
def test_a_failed_write_on_a_disk_without_room_is_a_full_disk(tmp_path, monkeypatch, free, kind):
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    disk = types.SimpleNamespace(f_bavail=free // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    with pytest.raises(StorageError) as refused, translated(tmp_path / "a.sqlite"):
        raise failed
    assert type(refused.value) is kind
