"""The SQLite files that this process has open, which it must not open in any other way.

POSIX record locks belong to a process and a file: if the process closes any descriptor of the file,
all its locks on it are released, and SQLite is not notified. Another process that closes its last
connection then takes the file for unused and deletes the write-ahead log that this process still
writes to. Source: https://www.sqlite.org/howtocorrupt.html, 2.2.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_lock = threading.Lock()
_open: Counter[str] = Counter()


def note_opened(path: Path) -> None:
    """Note a database that is about to be opened; waits while the file is read directly."""
    with _lock:
        _open[os.path.realpath(path)] += 1


def note_closed(path: Path) -> None:
    """Note that one of a file's databases has been closed, with all its connections."""
    with _lock:
        name = os.path.realpath(path)
        _open[name] -= 1
        if _open[name] <= 0:
            del _open[name]


@contextmanager
def direct_access(path: Path) -> Iterator[bool]:
    """Whether the file may be opened directly within the block: no database has it open.

    No database is opened in this process during the block; keep it short.
    """
    with _lock:
        yield os.path.realpath(path) not in _open
