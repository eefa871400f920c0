"""Vaults of idle nodes cost nothing: few are open, and a new one is a copy."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from host.adapters.sqlite.vaults import Vaults
from host.domain.errors import StorageError
from host.domain.ids import ShortHash
from host.ports.database import Schema

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("number", Integer, primary_key=True))
SCHEMA = Schema(name="items", metadata=METADATA)
OPEN_MAX = 4
NODES = [ShortHash(f"{number:012X}") for number in range(40)]


def handles() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture
def vaults(tmp_path: Path) -> Vaults:
    return Vaults(tmp_path / "vnodes", [SCHEMA], open_max=OPEN_MAX)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files by /proc")
def test_open_handles_are_bounded_however_many_nodes_there_are(vaults: Vaults) -> None:
    for node in NODES:
        vaults.create(node)
    before = handles()
    counts = []
    for node in NODES:
        vaults.transact(node, lambda connection: connection.execute(insert(ITEM), {"number": 1}))
        counts.append(handles() - before)
    # Of each: the database, its log and its shared memory, by at most two connections.
    assert max(counts) <= OPEN_MAX * 6
    assert counts[OPEN_MAX:] == [counts[OPEN_MAX]] * len(counts[OPEN_MAX:])
    assert len(vaults._open) == OPEN_MAX
    vaults.close()
    assert handles() == before


def test_a_new_vault_is_empty_private_and_nobody_elses(vaults: Vaults, tmp_path: Path) -> None:
    first, second = NODES[:2]
    vaults.create(first)
    vaults.transact(first, lambda connection: connection.execute(insert(ITEM), {"number": 1}))
    vaults.create(second)
    with vaults.read(second) as connection:
        assert connection.execute(select(ITEM)).all() == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    vaults.close()
    folder = tmp_path / "vnodes" / second
    assert [path.name for path in folder.iterdir()] == ["vault.sqlite"]
    assert stat.S_IMODE((folder / "vault.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_a_crash_left_of_a_creation_is_replaced(vaults: Vaults, tmp_path: Path) -> None:
    folder = tmp_path / "vnodes" / NODES[0]
    folder.mkdir(parents=True)
    (folder / "vault.new").write_bytes(b"half")
    vaults.create(NODES[0])
    with vaults.read(NODES[0]) as connection:
        assert connection.execute(select(ITEM)).all() == []
    vaults.close()


def test_a_vault_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"vault\.sqlite cannot be created"):
        Vaults(tmp_path / "file", [SCHEMA]).create(NODES[0])
