"""Who of several processes writes an SQLite file: one at a time, and whoever waits comes next.

A lock alone has no order: the process that releases it is running, and takes it again before one
that waits for it has been woken, so a process with much to write delays the others by several of
its transactions. Hence two locks: a process takes its place, the second, before it waits for the
writer, and gives up the place once it writes. Who has written finds the place taken by the one that
waits. The kernel releases both locks of a process that is killed.
"""

import fcntl
import os
from pathlib import Path


class WriterTurns:
    """The locks of one process on a file. One thread at a time.

    Args:
        path: the database; `-writer` and `-place` stand beside it.
    """

    def __init__(self, path: Path) -> None:
        self._writer = lock_file(path, "writer")
        self._place = lock_file(path, "place")

    def acquire(self) -> None:
        """Wait until this process is the only one that writes.

        Raises:
            OSError: a lock cannot be acquired.
        """
        fcntl.flock(self._place, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._writer, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._place, fcntl.LOCK_UN)

    def release(self) -> None:
        fcntl.flock(self._writer, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of both locks."""
        os.close(self._writer)
        os.close(self._place)


def lock_file(path: Path, suffix: str) -> int:
    """A descriptor of a file beside a database that is locked, never written."""
    return os.open(f"{path}-{suffix}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
