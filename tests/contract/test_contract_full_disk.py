"""A disk that is really full: a small file system of its own, where the tests may mount one."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.adapters.partitions import target_of
from host.adapters.sqlite.store import SqliteStore
from host.domain.errors import StorageError
from host.ports.bus import NewRecord
from host.ports.state import StateWrite
from host.ports.units import Unit

SIZE_KIB = 1024
RECORD = NewRecord(topic="t", key="k", value=b"v")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no program mount")
    words = [mount, "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "cordbox-test", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(store: SqliteStore, committed: list[str]) -> None:
    """Commit until that fails, and note what was committed."""
    for number in range(SIZE_KIB):
        state = StateWrite(key=f"s{number:04}", value=b"x" * 10_000, expected=0)
        store.commit(Unit(states=(state,), records=(RECORD,)))
        committed.append(state.key)


def test_a_full_disk_is_an_error_and_what_was_committed_stays(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "flows.sqlite")
    committed: list[str] = []
    with pytest.raises(StorageError, match=r"full|I/O") as told:
        fill(store, committed)
    assert told.value.details == {"path": str(small_disk / "flows.sqlite")}
    assert 10 < len(committed) < 100
    assert [state.key for state in store.scan("s")] == committed
    assert len(store.poll("g", target_of(RECORD), 999)) == len(committed)
    assert store._read("PRAGMA integrity_check", ()) == [("ok",)]
    subprocess.run(["mount", "-o", f"remount,size={10 * SIZE_KIB}k", str(small_disk)], check=True)
    store.commit(Unit(records=(RECORD,)))
    store.close()
    again = SqliteStore(small_disk / "flows.sqlite")
    assert [state.key for state in again.scan("s")] == committed
    assert len(again.poll("g", target_of(RECORD), 999)) == len(committed) + 1
    again.close()


def test_a_store_that_cannot_even_be_made_says_so(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (SIZE_KIB - 12) * 1024)
    with pytest.raises(StorageError, match=r"flow store .*flows\.sqlite"):
        SqliteStore(small_disk / "flows.sqlite")
