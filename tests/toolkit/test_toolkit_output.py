"""Reports are written whole, and never in the place of a device, a pipe or a link."""

import os
import threading
from pathlib import Path

import pytest

from host.domain.errors import DiskFullError, StorageError
from host.tools.output import whole_file


def write(path: Path, text: str = "new") -> None:
    with whole_file(path) as stream:
        stream.write(text)


def write_half(path: Path) -> None:
    with whole_file(path) as stream:
        stream.write("half")
        raise KeyError


def test_a_file_is_replaced_only_if_all_went_well(tmp_path: Path) -> None:
    file = tmp_path / "report"
    write(file, "first")
    with pytest.raises(KeyError):
        write_half(file)
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    assert file.read_text() == "first"


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "report", tmp_path / "link"
    file.write_text("old")
    link.symlink_to("report")
    write(link)
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_device_stays_and_its_error_is_told(tmp_path: Path) -> None:
    for target in ("/dev/null", "/dev/full"):
        link = tmp_path / target.rpartition("/")[2]
        link.symlink_to(target)
    write(tmp_path / "null")
    with pytest.raises(DiskFullError):
        write(tmp_path / "full")
    assert sorted(p.readlink() for p in tmp_path.iterdir()) == [
        Path("/dev/full"),
        Path("/dev/null"),
    ]


def test_a_pipe_gets_the_text(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe)
    reader.join()
    assert read == ["new"]
    assert pipe.is_fifo()


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "none" / "report")
