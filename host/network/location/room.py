"""Room on the disk: files of nodes are refused before they fill it, which would stop all nodes."""

import os
from pathlib import Path

from host.domain.errors import DiskFullError

_RESERVE_BYTES_MAX = 1024 * 1024 * 1024
_RESERVE_PART = 20
"""A twentieth of the disk stays free, at most `_RESERVE_BYTES_MAX`."""


def check_room(folder: Path, more: int) -> None:
    """Check that `more` bytes fit on the disk of a folder, and leave the reserve free.

    Raises:
        DiskFullError: they do not.
        OSError: the folder is not there.
    """
    disk = os.statvfs(folder)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    reserve = min(_RESERVE_BYTES_MAX, size // _RESERVE_PART)
    if more > free - reserve:
        raise DiskFullError(
            f"files of virtual nodes need {more} bytes, {max(free - reserve, 0)} are free beyond"
            f" the reserve of {reserve}",
            path=str(folder),
        )
