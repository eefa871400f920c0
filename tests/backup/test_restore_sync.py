"""A restore whose files the disk does not confirm is refused, and leaves nothing."""

import errno
import os

import pyrage
import pytest

from host.adapters.files.container import Opener, Sealer
from host.adapters.files.durable_files import write_durably
from host.adapters.os.system import SystemClock
from host.domain.errors import StorageError
from host.tools.backup import back_up, restore

CLOCK = SystemClock()


class Syncs:
    """`os.fsync`, which fails once."""

    def __init__(self) -> None:
        self.number = 0
        self.failing = -1
        self._fsync = os.fsync

    def __call__(self, descriptor: int) -> None:
        self.number += 1
        if self.number == self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._fsync(descriptor)


@pytest.fixture
def syncs(monkeypatch):
    made = Syncs()
    monkeypatch.setattr(os, "fsync", made)
    return made


def test_a_restore_is_refused_whichever_sync_fails(folder, tmp_path, syncs):
    identity = pyrage.x25519.Identity.generate()
    sealer, opener = (
        Sealer.to_recipient(str(identity.to_public())),
        Opener(identities=str(identity)),
    )
    back_up(folder, tmp_path / "b", sealer=sealer, clock=CLOCK, report=lambda *_: None)
    (tmp_path / "in").mkdir()
    target = tmp_path / "in" / "new"

    def bring() -> None:
        restore(tmp_path / "b", target, opener=opener, clock=CLOCK, progress=lambda *_: None)

    syncs.number = 0
    bring()
    needed = syncs.number
    assert needed > 10
    target.rename(tmp_path / "good")
    for failing in range(1, needed + 1):
        syncs.number, syncs.failing = 0, failing
        with pytest.raises(StorageError, match="Input/output error"):
            bring()
        assert list((tmp_path / "in").iterdir()) == [], failing


@pytest.mark.parametrize("failing", [1, 2])
def test_a_file_is_not_said_to_be_written_if_a_sync_fails(tmp_path, syncs, failing):
    """The first sync is of the content, the second of the folder."""
    file = tmp_path / "known.json"
    write_durably(file, [b"old"])
    syncs.number, syncs.failing = 0, failing
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(file, [b"n", b"ew"])
    assert file.read_bytes() == (b"old" if failing == 1 else b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["known.json"]
