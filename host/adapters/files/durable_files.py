"""Files and folders whose content survives a power failure once a function has returned."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from host.adapters.files.regular_files import new_file


def write_durably(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that appears under its name whole and synchronised, or not at all.

    It is readable by its owner only, and replaces an existing file of the name. While it is
    written, it has the suffix `.new` instead of its own.

    Raises:
        OSError: it cannot be written or synchronised. An existing file is unchanged, unless only
            the folder could not be synchronised.
    """
    draft = path.with_suffix(".new")
    try:
        with new_file(draft) as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make durable what was created, renamed or deleted in a folder.

    Raises:
        OSError: it is not a folder, or cannot be synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
