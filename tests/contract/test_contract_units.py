"""What every unit of work must do; one run per adapter, and what SQLite adds."""

from pathlib import Path

import pytest

from host.adapters.partitions import target_of
from host.adapters.sqlite.store import SqliteStore
from host.domain.errors import StorageError
from host.domain.ids import FlowId
from host.ports.bus import NewRecord
from host.ports.state import StateConflictError, StateWrite
from host.ports.units import Consumed, FlowStore, JournalRow, Unit

FLOW = FlowId("f")
RECORD = NewRecord(topic="t", key="k", value=b"v")


def row(number: int, value: bytes = b"e", flow: FlowId = FLOW) -> JournalRow:
    return JournalRow(flow_id=flow, number=number, value=value)


def unit(*, state_version: int, number: int, offset: int) -> Unit:
    return Unit(
        states=(StateWrite(key="s", value=b"x", expected=state_version),),
        journal=(row(number),),
        records=(RECORD,),
        consumed=(Consumed(group="g", source=target_of(RECORD), start=offset, count=1),),
    )


def test_a_journal_is_read_in_order_and_per_flow(store: FlowStore) -> None:
    store.commit(Unit(journal=(row(0, b"a"), row(1, b"b"), row(0, b"z", FlowId("g")))))
    store.commit(Unit(journal=(row(2, b"c"),)))
    assert list(store.journal(FLOW)) == [b"a", b"b", b"c"]
    assert list(store.journal(FlowId("none"))) == []


@pytest.mark.parametrize("number", [0, 2])
def test_a_journal_row_is_written_once_and_without_gaps(store: FlowStore, number: int) -> None:
    store.commit(Unit(journal=(row(0),)))
    with pytest.raises(StateConflictError, match=f"row {number} written, expected 1"):
        store.commit(Unit(journal=(row(number),)))


def test_a_forgotten_journal_is_gone(store: FlowStore) -> None:
    store.commit(Unit(journal=(row(0), row(0, b"z", FlowId("g")))))
    store.commit(Unit(forget=(FLOW,)))
    assert list(store.journal(FLOW)) == []
    assert list(store.journal(FlowId("g"))) == [b"z"]


@pytest.mark.parametrize(
    "refused",
    [
        unit(state_version=5, number=1, offset=1),
        unit(state_version=1, number=7, offset=1),
        unit(state_version=1, number=1, offset=9),
    ],
    ids=["state", "journal", "offset"],
)
def test_a_refused_unit_leaves_nothing_behind(store: FlowStore, refused: Unit) -> None:
    store.commit(Unit(records=(RECORD,)))
    store.commit(unit(state_version=0, number=0, offset=0))
    with pytest.raises(StateConflictError):
        store.commit(refused)
    assert store.get("s").version == 1
    assert len(store.journal(FLOW)) == 1
    assert [r.offset for r in store.poll("g", target_of(RECORD), 9)] == [1]
    store.commit(unit(state_version=1, number=1, offset=1))


def test_sqlite_keeps_everything_when_opened_again(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "flows.sqlite")
    first.commit(Unit(records=(RECORD, RECORD)))
    first.commit(unit(state_version=0, number=0, offset=0))
    first.close()
    second = SqliteStore(tmp_path / "flows.sqlite")
    assert second.get("s").value == b"x"
    assert list(second.journal(FLOW)) == [b"e"]
    assert [r.offset for r in second.poll("g", target_of(RECORD), 9)] == [1, 2]
    second.close()


def test_sqlite_syncs_its_log_at_every_commit(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    assert store._read("PRAGMA journal_mode", ()) == [("wal",)]
    assert store._read("PRAGMA synchronous", ()) == [(2,)]
    store.close()


def test_sqlite_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    store.commit(Unit(records=(RECORD,)))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes.keys() >= {"flows.sqlite", "flows.sqlite-wal", "flows.sqlite-writer"}
    assert set(modes.values()) == {0o600}
    store.close()


def test_sqlite_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StorageError, match="not a database"):
        SqliteStore(path)


def test_sqlite_refuses_a_directory_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open"):
        SqliteStore(tmp_path / "none" / "flows.sqlite")


def test_sqlite_survives_a_full_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    store.commit(Unit(records=(RECORD,)))
    (pages,) = store._writer._connection.execute("PRAGMA page_count").fetchone()
    store._writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Unit(states=(StateWrite(key="s", value=b"x" * 1_000_000, expected=0),), records=(RECORD,))
    with pytest.raises(StorageError, match="full"):
        store.commit(big)
    assert len(store.poll("g", target_of(RECORD), 9)) == 1
    store._writer._connection.execute("PRAGMA max_page_count = 1000000")
    store.commit(big)
    assert store.get("s").version == 1
    assert store._read("PRAGMA integrity_check", ()) == [("ok",)]
    store.close()


def test_sqlite_is_not_usable_after_its_close(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    store.close()
    store.close()
    with pytest.raises(StorageError, match="is closed"):
        store.get("s")
