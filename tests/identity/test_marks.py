"""Copies that are older by a single commit are told, and no crash or power failure is taken for one."""

import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.identity import (
    DataFileDamagedError,
    DataFileForeignError,
    DataFileOlderError,
)
from host.adapters.files.identity.marks import Marks, is_behind, read_marks
from host.adapters.sqlite.errors import VaultOlderError
from host.domain.accounts import Account, Charge
from host.ports.state import StateWrite
from host.ports.units import Unit
from tests.support.data_directories import ALICE, make_directory, parts_of

VAULT = f"vnodes/{ALICE.short_hash}/vault.sqlite"
ENDS = ("", "-wal", "-shm")

HOST = """
import sys
from pathlib import Path
from tests.support.data_directories import ALICE, Parts
from host.ports.state import StateWrite
from host.ports.units import Unit
parts = Parts(Path(sys.argv[1]))
def commit(number):
    parts.store.commit(Unit(states=(StateWrite(key=f"k{number}", value=b"x" * 500, expected=0),)))
    parts.write(ALICE, call=100 + number)
    parts.register.note_generations({ALICE.short_hash: 1})
for line in sys.stdin:
    first, last = map(int, line.split())
    for number in range(first, last):
        commit(number)
    print("done", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    return make_directory(tmp_path / "data")


class Killable:
    """A process that commits to all three databases when it is told to, until it is killed."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOST, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def commit(self, first, last):
        self._process.stdin.write(f"{first} {last}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def files_of(folder, name, ends=ENDS):
    return {
        end: (folder / f"{name}{end}").read_bytes()
        for end in ends
        if (folder / f"{name}{end}").exists()
    }


def put_back(folder, name, files, ends=ENDS):
    for end in ends:
        path = folder / f"{name}{end}"
        path.unlink(missing_ok=True)
        if end in files:
            path.write_bytes(files[end])
            path.chmod(0o600)


@pytest.mark.crash
@pytest.mark.parametrize("name", ["flows.sqlite", "cluster.sqlite", VAULT])
def test_a_copy_from_a_moment_before_a_kill_is_named(folder, name):
    host = Killable(folder)
    host.commit(0, 1)
    before = files_of(folder, name)
    host.commit(1, 2)
    host.kill()
    newest = files_of(folder, name)
    put_back(folder, name, before)
    if name == VAULT:
        with parts_of(folder) as parts, pytest.raises(VaultOlderError, match="commit"):
            parts.write(ALICE, call=9)
    else:
        with pytest.raises(DataFileOlderError, match=f"{name} is an older copy"):
            DataDirectory.hold(folder)
    put_back(folder, name, newest)
    with parts_of(folder) as parts:
        parts.write(ALICE, call=9)


@pytest.mark.crash
@pytest.mark.parametrize("name", ["flows.sqlite", "cluster.sqlite", VAULT])
def test_an_older_file_beside_the_newest_log_is_named_and_left_as_it_is(folder, name):
    """SQLite would make one database of both, without a word."""
    host = Killable(folder)
    host.commit(0, 1)
    with sqlite3.connect(folder / name) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    before = files_of(folder, name, ("",))
    host.commit(1, 3)
    with sqlite3.connect(folder / name) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
    host.commit(3, 5)
    host.kill()
    put_back(folder, name, before, ("",))
    whole = files_of(folder, name)
    if name == VAULT:
        with parts_of(folder) as parts, pytest.raises(VaultOlderError, match="commit"):
            parts.write(ALICE, call=9)
    else:
        with pytest.raises(DataFileOlderError, match=f"{name} is an older copy"):
            DataDirectory.hold(folder)
    assert files_of(folder, name) == whole


@pytest.mark.crash
def test_killed_at_any_commit_a_directory_is_in_order(folder):
    for number in range(4):
        host = Killable(folder)
        host.commit(number * 1000, number * 1000 + 3)
        host._process.stdin.write(f"{number * 1000 + 3} {number * 1000 + 900}\n")
        host._process.stdin.flush()
        host.kill()
        with parts_of(folder) as parts:
            parts.write(ALICE, call=5000 + number)


def commit(parts, key):
    charge = Charge(node=ALICE.short_hash, account=Account.BUS, peer=None)
    parts.store.commit(Unit(states=(StateWrite(key=key, value=b"12", expected=0, charge=charge),)))


def test_every_commit_of_each_database_is_marked(folder):
    with parts_of(folder) as parts:
        cluster_id = parts.directory.identity.cluster_id
        parts.write(ALICE, call=6)
        before = dict(read_marks(folder, cluster_id))
        commit(parts, "one")
        parts.write(ALICE, call=7)
        parts.register.note_generations({ALICE.short_hash: 1})
        after = read_marks(folder, cluster_id)
        for name in ("flows.sqlite", "cluster.sqlite", VAULT):
            assert after[name] == before[name] + 1, name


def test_marks_that_a_power_failure_took_refuse_nothing(folder):
    """Older marks, and slots that never reached the disk."""
    marks = folder / "cordbox-marks"
    older = marks.read_bytes()
    with parts_of(folder) as parts:
        commit(parts, "one")
    lost = (older, older[:64] + bytes(len(older) - 64), older[:64], older[:100])
    for call, content in enumerate(lost, 9):
        marks.write_bytes(content)
        with parts_of(folder) as parts:
            parts.write(ALICE, call=call)


def test_marks_of_another_cluster_or_none_are_refused(folder, tmp_path):
    other = make_directory(tmp_path / "other")
    shutil.copy(other / "cordbox-marks", folder / "cordbox-marks")
    with pytest.raises(DataFileForeignError, match="cordbox-marks"):
        DataDirectory.hold(folder)
    for content in (b"", b"garbage" * 100):
        (folder / "cordbox-marks").write_bytes(content)
        with pytest.raises(DataFileDamagedError, match="cordbox-marks"):
            DataDirectory.hold(folder)


def test_a_lost_id_is_missed_by_the_marks(folder):
    for name in ("cordbox-id", "flows.sqlite", "cluster.sqlite"):
        (folder / name).unlink()
    shutil.rmtree(folder / "vnodes")
    shutil.rmtree(folder / "packages")
    with pytest.raises(DataFileOlderError.__base__, match="cordbox-id is missing"):
        DataDirectory.hold(folder)


def test_processes_and_threads_keep_the_newest_number(tmp_path):
    Marks.make(tmp_path, "c")
    one, two = Marks.open(tmp_path), Marks.open(tmp_path)
    one.keep("a", 1)
    two.keep("b", 5)
    two.keep("a", 3)
    one.keep("a", 2)
    assert (one.known("a"), two.known("a"), one.known("b"), one.known("c")) == (3, 3, 5, None)
    assert (tmp_path / "cordbox-marks").stat().st_size == 3 * 64
    one.close()
    one.keep("a", 9)
    assert (one.known("a"), two.known("a")) == (None, 3)


def test_numbers_begin_again_after_the_last():
    last = (1 << 32) - 1
    assert is_behind(last, 0)
    assert is_behind(last, 5)
    assert not is_behind(0, last)
    assert not is_behind(7, 7)
    assert is_behind(6, 7)
