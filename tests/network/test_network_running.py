"""Which process is the host of a network folder, also where the system does not list processes."""

import os
from pathlib import Path

import pytest

from host.adapters.files.data_directory import DataDirectory
from host.tools.network import running
from host.tools.network.plan import NetworkFolder


@pytest.fixture
def folder(tmp_path: Path) -> NetworkFolder:
    """Its first host's process number is that of this process."""
    (tmp_path / "host-1.pid").write_text(f"{os.getpid()}\n")
    return NetworkFolder(tmp_path)


def test_without_a_list_of_processes_the_lock_of_the_data_decides(folder, monkeypatch):
    monkeypatch.setattr(running, "_PROCESSES", folder.root / "nothing")
    assert running.running(folder, 1) is None, "there are no data"
    held = DataDirectory.hold(folder.data(1))
    assert running.running(folder, 1) == os.getpid()
    held.release()
    assert running.running(folder, 1) is None, "another process has the number"


def test_with_a_list_of_processes_the_command_decides(folder):
    held = DataDirectory.hold(folder.data(1))
    assert running.running(folder, 1) is None
    held.release()


@pytest.mark.parametrize("text", ["", "x", "-5", "0", "99999999999999999999", "1 2"])
def test_a_file_that_names_no_process_is_no_host(folder, text):
    (folder.root / "host-1.pid").write_text(text)
    assert running.running(folder, 1) is None
