"""A database that is open here keeps its locks, whatever states at its file meanwhile."""

import subprocess
import sys

import pytest

from host.adapters.files.identity.files import file_state
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.store import SqliteStore
from host.ports.state import StateWrite
from host.ports.units import Unit

_READ = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM sqlite_master').fetchall(); c.close()"


def use_elsewhere(path):
    """Another process opens the file, reads and closes it: the last one to do so deletes the log."""
    subprocess.run([sys.executable, "-c", _READ, str(path)], check=True)


@pytest.fixture
def store(tmp_path):
    made = SqliteStore(tmp_path / "flows.sqlite")
    yield made
    made.close()


def test_a_look_at_an_open_store_leaves_its_log_to_it(store, tmp_path):
    path, log = tmp_path / "flows.sqlite", tmp_path / "flows.sqlite-wal"
    store.commit(Unit(states=(StateWrite(key="a", value=b"1", expected=0),)))
    before = log.stat().st_ino
    assert file_state(path).problem is None
    use_elsewhere(path)
    assert log.stat().st_ino == before
    store.commit(Unit(states=(StateWrite(key="b", value=b"2", expected=0),)))
    assert store.get("b").value == b"2"


def test_a_look_at_an_open_database_leaves_its_log_to_it(tmp_path):
    path, log = tmp_path / "cluster.sqlite", tmp_path / "cluster.sqlite-wal"
    with Database.open(path, ()) as database:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master").all()
        before = log.stat().st_ino
        assert file_state(path).problem is None
        use_elsewhere(path)
        assert log.stat().st_ino == before


def test_a_file_is_compared_again_when_its_databases_are_closed(tmp_path):
    path = tmp_path / "cluster.sqlite"
    for _ in range(2):
        database = Database.open(path, ())
        database.close()
        database.close()
    assert file_state(path).lacks is None
