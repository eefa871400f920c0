"""A data directory whose files do not belong together is refused, and one that a crash left never."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.identity import (
    DataFileDamagedError,
    DataFileEmptyError,
    DataFileForeignError,
    DataFileMissingError,
    DataFileOlderError,
    DataFilesInOrderError,
    Keeping,
    inspect,
    read_directory_id,
    verify_directory,
)
from host.adapters.files.identity import keeping as keeping_module
from host.adapters.files.identity.files import FileState
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.store import SqliteStore
from host.domain.errors import StorageError
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

STORES = ("flows.sqlite", "cluster.sqlite")


def run_once(folder):
    """What a host does with its stores from start to stop."""
    directory = DataDirectory.hold(folder)
    with Keeping(folder) as keeping:
        SqliteStore(directory.flow_database).close()
        Database.open(directory.cluster_database, CLUSTER_SCHEMAS).close()
        keeping.begin()
        (folder / "vnodes" / "0A").mkdir(parents=True, exist_ok=True)
        (folder / "vnodes" / "0A" / "vault.sqlite").touch()
    directory.release()


@pytest.fixture
def folder(tmp_path):
    run_once(tmp_path / "data")
    return tmp_path / "data"


def start(folder, **more):
    DataDirectory.hold(folder, **more).release()


def identity(folder, name):
    with sqlite3.connect(folder / name) as connection:
        return connection.execute("SELECT * FROM file_identity").fetchone()


def copy_of(folder, name):
    shutil.copytree(folder, folder.parent / name)
    return folder.parent / name


def test_every_store_carries_the_clusters_id(folder):
    known = read_directory_id(folder)
    assert known.files == STORES
    for name, kind in (("flows.sqlite", "flows"), ("cluster.sqlite", "cluster")):
        assert identity(folder, name) == (1, kind, known.cluster_id, "", known.epoch)
    assert (folder / "cordbox-id").stat().st_mode & 0o777 == 0o600
    run_once(folder)
    again = read_directory_id(folder)
    assert (again.cluster_id, again.store_id) == (known.cluster_id, known.store_id)
    assert again.epoch > known.epoch


@pytest.mark.parametrize("name", [*STORES, "cordbox-id", "cordbox-marks"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(DataFileMissingError, match=name):
        start(folder)
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize("name", STORES)
def test_an_empty_file_is_named(folder, name):
    os.truncate(folder / name, 0)
    with pytest.raises(DataFileEmptyError, match=name) as refused:
        start(folder)
    assert refused.value.details["found"] == "0 bytes"
    assert (folder / name).stat().st_size == 0


@pytest.mark.parametrize("name", STORES)
def test_a_file_of_another_cluster_is_named(folder, name, tmp_path):
    run_once(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, folder / name)
    with pytest.raises(DataFileForeignError, match=name):
        start(folder)


def test_a_file_of_another_kind_is_named(folder):
    shutil.copy(folder / "cluster.sqlite", folder / "flows.sqlite")
    with pytest.raises(DataFileForeignError, match="expected kind flows, found kind cluster"):
        start(folder)


@pytest.mark.parametrize("name", STORES)
def test_a_file_that_a_release_without_ids_made_does_not_take_anothers_place(folder, name):
    with sqlite3.connect(folder / name) as connection:
        connection.execute("DROP TABLE file_identity")
    with pytest.raises(DataFileForeignError, match=name):
        start(folder)


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + bytes(8000)])
@pytest.mark.parametrize("name", STORES)
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(DataFileDamagedError, match=name):
        start(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":2}', b"[]", b"\xff"])
def test_a_damaged_id_is_named(folder, content):
    (folder / "cordbox-id").write_bytes(content)
    with pytest.raises(DataFileDamagedError, match="cordbox-id"):
        start(folder)


def test_every_finding_is_told(folder):
    (folder / "flows.sqlite").unlink()
    os.truncate(folder / "cluster.sqlite", 0)
    with pytest.raises(DataFileMissingError) as refused:
        start(folder)
    assert [(i.code, i.file) for i in refused.value.issues] == [
        ("data-file-missing", "flows.sqlite"),
        ("data-file-empty", "cluster.sqlite"),
    ]


PICTURES = [
    (("flows.sqlite",), "flows.sqlite"),
    (("cluster.sqlite",), "cluster.sqlite"),
    (("cordbox-id",), "cordbox-id"),
    (("flows.sqlite", "cordbox-id"), "flows.sqlite"),
    (("cluster.sqlite", "cordbox-id"), "cluster.sqlite"),
    (("flows.sqlite", "cluster.sqlite"), "flows.sqlite"),
]


@pytest.mark.parametrize(("restored", "named"), PICTURES)
def test_older_files_are_named_whichever_are_older(folder, restored, named):
    old = copy_of(folder, "old")
    run_once(folder)
    for name in restored:
        shutil.copy(old / name, folder / name)
    with pytest.raises(DataFileOlderError, match=named):
        start(folder)


def test_a_whole_older_directory_is_taken_up(folder):
    old = copy_of(folder, "old")
    run_once(folder)
    start(old)


def test_an_older_copy_from_within_one_run_is_named(tmp_path):
    folder = tmp_path / "data"
    run_once(folder)
    directory = DataDirectory.hold(folder)
    shutil.copy(directory.flow_database, tmp_path / "flows.sqlite")
    with Keeping(folder) as keeping:
        keeping.begin()
    directory.release()
    shutil.copy(tmp_path / "flows.sqlite", directory.flow_database)
    with pytest.raises(DataFileOlderError, match="flows"):
        start(folder)


def test_stores_lost_with_all_that_knew_of_them_are_missed_by_what_else_is_there(folder):
    for name in (*STORES, "cordbox-id", "cordbox-marks"):
        (folder / name).unlink()
    with pytest.raises(DataFileMissingError, match=r"there is vnodes/0A/vault\.sqlite"):
        start(folder)


def test_a_directory_of_a_release_without_ids_is_taken_up(folder):
    for name in STORES:
        with sqlite3.connect(folder / name) as connection:
            connection.execute("DROP TABLE file_identity")
    (folder / "cordbox-id").unlink()
    (folder / "cordbox-marks").unlink()
    start(folder)
    known = read_directory_id(folder)
    assert known.files == STORES
    assert identity(folder, "cluster.sqlite")[2] == known.cluster_id


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("lose", [os.unlink, lambda path: os.truncate(path, 0)])
def test_a_file_that_is_lost_while_a_host_runs_is_missed_at_the_next_start(folder, name, lose):
    directory = DataDirectory.hold(folder)
    with Keeping(folder) as keeping:
        keeping.begin()
        lose(folder / name)
    directory.release()
    assert name in read_directory_id(folder).files
    with pytest.raises((DataFileMissingError, DataFileEmptyError), match=name):
        start(folder)


def test_a_file_that_cannot_be_read_for_a_while_stays_known(folder, monkeypatch):
    """As when the process has no descriptor left: the next raise makes up for it."""
    directory = DataDirectory.hold(folder)
    before = read_directory_id(folder)
    with Keeping(folder) as keeping:
        keeping.begin()
        looked = keeping_module.file_state
        monkeypatch.setattr(
            keeping_module,
            "file_state",
            lambda path: (
                looked(path) if path.name != STORES[0] else FileState(size=1, problem="busy")
            ),
        )
    monkeypatch.undo()
    directory.release()
    after = read_directory_id(folder)
    assert (after.files, after.epoch) == (before.files, before.epoch + 1)
    start(folder)


def test_new_sets_aside_what_does_not_belong_together(folder):
    known = read_directory_id(folder)
    (folder / "cluster.sqlite").unlink()
    start(folder, is_new=True)
    (aside,) = folder.glob("set-aside-*")
    assert {"cordbox-id", "flows.sqlite", "vnodes"} <= {p.name for p in aside.iterdir()}
    assert read_directory_id(folder).cluster_id != known.cluster_id
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [aside.name, "cordbox-id", "cordbox-marks", "joined", "lock"]
    )
    run_once(folder)
    assert list(folder.glob("set-aside-*")) == [aside]


def test_new_does_nothing_to_a_directory_in_good_order(folder):
    with pytest.raises(DataFilesInOrderError):
        start(folder, is_new=True)
    start(folder)
    start(folder.parent / "fresh", is_new=True)


def test_looking_changes_nothing(folder):
    before = {p: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    assert inspect(folder) == []
    assert {p: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def take_up_often(folder):
    for _ in range(4):
        verify_directory(folder)


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("fails", [Cut(), StorageError("full")])
def test_a_raise_that_was_cut_off_anywhere_refuses_no_directory(folder, monkeypatch, fails):
    """After each step of each raise: the directory is in order, and the next raise ends it."""
    raise_one, write_id = keeping_module._raise, keeping_module.write_directory_id
    for steps in range(10):
        done = []

        def step(then, *arguments, done=done, steps=steps):
            if len(done) == steps:
                raise fails
            done.append(then)
            then(*arguments)

        monkeypatch.setattr(keeping_module, "_raise", lambda *a, s=step: s(raise_one, *a))
        monkeypatch.setattr(
            keeping_module, "write_directory_id", lambda *a, s=step: s(write_id, *a)
        )
        before = read_directory_id(folder).epoch
        with pytest.raises(type(fails)):
            take_up_often(folder)
        monkeypatch.undo()
        assert len(done) == steps
        assert inspect(folder) == [], steps
        start(folder)
        assert read_directory_id(folder).epoch > before


HOST = """
import sys
from pathlib import Path
from host.adapters.sqlite.store import SqliteStore
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS
from host.adapters.files.data_directory import DataDirectory
from host.adapters.sqlite.database import Database
from host.adapters.files.identity import Keeping
while True:
    directory = DataDirectory.hold(Path(sys.argv[1]))
    print("held", flush=True)
    with Keeping(directory.path, every_seconds=0.001) as keeping:
        SqliteStore(directory.flow_database).close()
        Database.open(directory.cluster_database, CLUSTER_SCHEMAS).close()
        keeping.begin()
    directory.release()
"""


@pytest.mark.crash
def test_killed_at_any_instruction_a_directory_is_in_order(tmp_path):
    """From its first start on; each process is killed at another moment of its work."""
    for number in range(5):
        folder = tmp_path / f"data-{number % 2}"
        process = subprocess.Popen(
            [sys.executable, "-c", HOST, str(folder)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(1 + number % 3):
            assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert inspect(folder) == [], number
    start(tmp_path / "data-0")


def test_the_command_line_tells_code_and_file(folder):
    (folder / "cluster.sqlite").unlink()
    words = ["host", "run", "--data-dir", str(folder), "--listen", "127.0.0.1:0"]
    command = "from host.cli import main; import sys; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", command, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "error[data-file-missing]" in done.stderr
    assert "cluster.sqlite is missing" in done.stderr
