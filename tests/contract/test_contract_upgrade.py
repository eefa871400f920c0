"""Files that earlier versions wrote, and files that a crash or a bad disk left."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from host.bus.schema import SCHEMA_VERSION
from host.bus.sqlite import SqliteStore
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, FlowId
from host.ports.bus import NewRecord
from host.ports.state import StateWrite
from host.ports.units import Consumed, JournalRow, Unit
from tests.contract.conftest import MovableClock

VERSION_1 = Path(__file__).parent / "flows_version_1.sql"
RECORD = NewRecord(topic="flow.event", key="f", value=b"v")


def version_1(path: Path) -> None:
    """The dump of a file that release 1 of the schema wrote."""
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1.read_text())
    connection.close()


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path, clock: MovableClock) -> None:
    path = tmp_path / "flows.sqlite"
    version_1(path)
    clock.advance(1000)
    for _ in range(2):
        store = SqliteStore(path, clock=clock)
        assert store._read("SELECT version FROM schema_version", ()) == [(SCHEMA_VERSION,)]
        assert [
            (r.offset, r.value, r.written_at) for r in store.poll("flow", RECORD.target, 9)
        ] == [(1, b"second", 1000)]
        assert store.get("flow/f").version == 3
        assert [s.key for s in store.due(EpochMs(99), 9)] == ["timer/f"]
        assert list(store.journal(FlowId("f"))) == [b"one", b"two"]
        clock.advance(50)
        store.close()
    store = SqliteStore(path, clock=clock)
    membership = store.join("flow", "m", ttl_ms=1000)
    store.commit(
        Unit(
            states=(StateWrite(key="flow/f", value=b"new", expected=3),),
            journal=(JournalRow(flow_id=FlowId("f"), number=2, value=b"three"),),
            records=(RECORD,),
            consumed=(
                Consumed(
                    group="flow",
                    source=RECORD.target,
                    start=1,
                    count=1,
                    epoch=membership.epochs[RECORD.target.partition],
                ),
            ),
        )
    )
    assert [r.offset for r in store.poll("flow", RECORD.target, 9)] == [2]
    store.close()


def test_an_upgrade_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flows.sqlite"
    version_1(path)
    monkeypatch.setattr("host.bus.schema._VERSION_2", "CREATE TABLE groups (x);\nno SQL")
    with pytest.raises(StorageError, match="syntax error"):
        SqliteStore(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'groups'").fetchall()
    connection.close()


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flows.sqlite"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="schema version 99, expected 1 to 2"):
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
    assert [r.offset for r in after.poll("g", RECORD.target, 9)] == list(range(count))
    assert after._read("PRAGMA integrity_check", ()) == [("ok",)]
    after.commit(Unit(records=(RECORD,)))
    assert len(after.poll("g", RECORD.target, 9)) == count + 1
    after.close()
