"""SQLite files and room on the disk: when it lacks, and how files shrink again.

What deletions left free goes back to the disk bit by bit.
"""

import os
import sqlite3
from pathlib import Path

_MIB = 1024 * 1024
_LOG_BYTES_MAX = 16 * _MIB
"""What the write-ahead log keeps of its size when it begins anew."""
_PAGES_MAX = 512
"""Of one turn: about 15 ms, in which nobody else writes."""
_LOOKS_MAX = 5_000_000
"""Entries of the list of free pages that one turn may look at: SQLite looks through the whole list
for each page, and gigabytes that are free have a long one."""
_KEPT_BYTES = 4 * _MIB
_KEPT_SHARE = 4
"""Free room that is kept, since what comes next will want it: 4 MiB, or a quarter of what is used
if that is more."""
_SELECT_SIZES = (
    "SELECT page_size, page_count, freelist_count, auto_vacuum FROM pragma_page_size,"
    " pragma_page_count, pragma_freelist_count, pragma_auto_vacuum"
)
_INCREMENTAL = 2
_NEARLY_FULL_BYTES = 128 * 1024
"""SQLite says that reading or writing failed when it has no room for its shared memory, whose files
it makes longer by 32 KiB: on a disk with no more room than this, that is the cause."""


def primary_code(name: str) -> str:
    """The primary result code of an extended one, both by name, such as `SQLITE_IOERR`."""
    return "_".join(name.split("_")[:2])


def lacks_room(path: Path, name: str) -> bool:
    """Whether an operation on a database failed because the disk is full.

    Args:
        path: the database.
        name: of SQLite's result code; empty where it has none.
    """
    primary = primary_code(name)
    if primary != "SQLITE_IOERR":
        return primary == "SQLITE_FULL"
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _NEARLY_FULL_BYTES


def let_shrink(connection: sqlite3.Connection) -> None:
    """Prepare a connection, before anything is written to a new file, for `give_back`.

    Files that an earlier release made keep their size. To say it again to a file that shrinks would
    take the lock of its writer, and who only wants to read would wait for a long transaction.

    Raises:
        sqlite3.Error: the file is no database.
    """
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_MAX}").close()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if not pages:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL").close()


def give_back(connection: sqlite3.Connection) -> int:
    """Give a bounded part of the file's free room back, within the caller's write transaction.

    Returns:
        Bytes that are still to be given back.
    """
    size, pages, free, mode = connection.execute(_SELECT_SIZES).fetchone()
    kept = max(_KEPT_BYTES // size, (pages - free) // _KEPT_SHARE)
    surplus = free - kept
    if mode != _INCREMENTAL or surplus <= 0:
        return 0
    now = min(surplus, _PAGES_MAX, max(1, _LOOKS_MAX // free))
    for _ in range(now):
        # One by one: the driver takes a statement without columns no further than its first step.
        connection.execute("PRAGMA incremental_vacuum(1)").close()
    return int((surplus - now) * size)
