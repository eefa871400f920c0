"""Files of other versions, and files that a crash or a bad disk left."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from host.adapters.partitions import target_of
from host.adapters.sqlite.store import SqliteStore
from host.domain.errors import StorageError
from host.ports.bus import NewRecord
from host.ports.state import StateWrite
from host.ports.units import Unit

RECORD = NewRecord(topic="flow.event", key="f", value=b"v")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="schema flows has version 99"):
        SqliteStore(path)


def crashed_copy(store: SqliteStore, source: Path, target: Path) -> Path:
    """The files as a power cut would leave them: the log is not folded into the database."""
    target.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{source}{suffix}", target / f"flows.sqlite{suffix}")
    return target / "flows.sqlite"


@pytest.mark.parametrize("garbled", [False, True], ids=["torn", "garbled"])
@pytest.mark.parametrize("lost", [1, 24, 100, 3000, 4096, 9000])
def test_a_torn_log_keeps_what_was_committed_before(
    tmp_path: Path, lost: int, garbled: bool
) -> None:
    path = tmp_path / "flows.sqlite"
    store = SqliteStore(path)
    lengths = []
    for number in range(6):
        value = b"%d" % number * 500
        state = StateWrite(key=f"s{number}", value=value, expected=0)
        store.commit(Unit(states=(state,), records=(RECORD,)))
        lengths.append(Path(f"{path}-wal").stat().st_size)
    copy = crashed_copy(store, path, tmp_path / "copy")
    store.close()
    log = Path(f"{copy}-wal")
    data = log.read_bytes()
    kept = data[: lengths[-1] - lost]
    log.write_bytes(kept + b"\xa5" * lost if garbled else kept)
    after = SqliteStore(copy)
    count = len(after.scan("s"))
    assert count == sum(length <= len(kept) for length in lengths) < 6
    assert [s.value for s in after.scan("s")] == [b"%d" % n * 500 for n in range(count)]
    assert [r.offset for r in after.poll("g", target_of(RECORD), 9)] == list(range(count))
    assert after._read("PRAGMA integrity_check", ()) == [("ok",)]
    after.commit(Unit(records=(RECORD,)))
    assert len(after.poll("g", target_of(RECORD), 9)) == count + 1
    after.close()


def test_no_large_value_stands_in_a_tree_that_is_searched_by_keys(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "flows.sqlite")
    found = store._read(
        "SELECT t.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c"
        " WHERE t.wr = 1 AND c.type = 'BLOB'",
        (),
    )
    assert not found
    (count,) = store._read("SELECT count(*) FROM pragma_table_list WHERE wr = 1", ())[0]
    assert count > 0
    store.close()
