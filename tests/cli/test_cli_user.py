"""`cordbox user reset-password` sets a password in a data directory that no host uses."""

import io
import sqlite3

import pytest

from host.access import Users
from host.access.administrator import ensure_administrator
from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.database import Database
from host.cli import main
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS


@pytest.fixture
def data_dir(tmp_path):
    path = tmp_path / "data"
    with users_of(path) as users:
        ensure_administrator(
            users, given_password=None, secrets=path / "secrets", entropy=SystemEntropy()
        )
    return path


class users_of:
    """The users of a data directory, for the length of the block."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        self._directory = DataDirectory.hold(self._path)
        self._database = Database.open(self._directory.cluster_database, CLUSTER_SCHEMAS)
        return Users(self._database, clock=SystemClock(), entropy=SystemEntropy())

    def __exit__(self, *_):
        self._database.close()
        self._directory.release()


def run(*words):
    with pytest.raises(SystemExit) as left:
        main(["user", "reset-password", *map(str, words)])
    return left.value.code


def test_a_password_from_a_file_is_set(data_dir, tmp_path):
    (tmp_path / "new").write_text("fresh\n")
    assert (data_dir / "secrets" / "admin-password").exists()
    assert run("--data-dir", data_dir, "--password-file", tmp_path / "new") == 0
    assert not (data_dir / "secrets" / "admin-password").exists()
    with users_of(data_dir) as users:
        assert users.authenticate("admin", "fresh").version == 1
    connection = sqlite3.connect(data_dir / "cluster.sqlite")
    text = "\n".join(connection.iterdump())
    connection.close()
    assert "user reset-password" in text
    assert "fresh" not in text


def test_a_password_from_stdin_is_set(data_dir, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n"))
    assert run("--data-dir", data_dir) == 0
    with users_of(data_dir) as users:
        assert users.authenticate("admin", "from stdin")


def test_no_password_is_wrong_usage(data_dir, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("--data-dir", data_dir) == 2


def test_a_running_host_keeps_its_passwords(data_dir, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("x\n"))
    with users_of(data_dir):
        assert run("--data-dir", data_dir) == 1
    assert "error[data-directory-locked]" in capsys.readouterr().err


def test_who_is_not_there_is_told(data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("x\n"))
    assert run("--data-dir", data_dir, "--user", "carol") == 1
    assert "carol" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("sys.stdin", io.StringIO("x\n"))
    assert run("--data-dir", tmp_path / "empty") == 1
    assert "no data directory" in capsys.readouterr().err
    assert list((tmp_path / "empty").iterdir()) == []
