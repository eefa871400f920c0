"""Temporary work folders, which are removed even if their process was killed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.domain.errors import StorageError
from host.tools.backup.errors import BackupBusyError

_LOCK = ".working"


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """An empty folder at `folder` for the length of the block; leftovers are deleted first.

    Raises:
        BackupBusyError: another process uses it.
        StorageError: it cannot be made.
    """
    with held_folder(folder):
        _clear(folder)
        try:
            yield folder
        finally:
            if folder.exists():
                _clear(folder)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """A folder that is this process's alone for the length of the block; it is made if missing.

    Raises:
        BackupBusyError: another process uses it.
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StorageError(f"{folder} cannot be made: {exc.strerror}", path=str(folder)) from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BackupBusyError(f"another process works in {folder}") from exc
        yield
    finally:
        os.close(lock)


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == _LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
