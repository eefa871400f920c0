"""Disk space of SQLite files: detecting a full disk, and shrinking files.

Space freed by deletions is released to the disk in small portions.
"""

import errno
import os
import sqlite3
from pathlib import Path

_MIB = 1024 * 1024
_LOG_BYTES_MAX = 16 * _MIB
"""Maximum size that the write-ahead log keeps when it is reset."""
_PAGES_MAX = 512
"""Maximum pages of one call: about 15 ms, during which no other writer can proceed."""
_LOOKS_MAX = 5_000_000
"""Maximum entries of the free list that one call may examine: SQLite scans the whole list for each
page, and it is long if gigabytes are free."""
_KEPT_BYTES = 4 * _MIB
_KEPT_SHARE = 4
"""Free space that is kept for later writes: 4 MiB, or a quarter of the used space if that is
more."""
_SELECT_SIZES = (
    "SELECT page_size, page_count, freelist_count, auto_vacuum FROM pragma_page_size,"
    " pragma_page_count, pragma_freelist_count, pragma_auto_vacuum"
)
_INCREMENTAL = 2
_NEARLY_FULL_BYTES = 128 * 1024
"""SQLite reports a read or write error if it cannot extend its shared-memory files, which grow by
32 KiB: on a disk with at most this much free space, that is the cause."""


def primary_code(name: str) -> str:
    """The primary result code of an extended one, both by name, such as `SQLITE_IOERR`."""
    return "_".join(name.split("_")[:2])


def lacks_descriptors(name: str) -> bool:
    """Whether an operation on a database failed because no file could be opened by anyone.

    Args:
        name: of SQLite's result code, which tells only that its files cannot be opened.
    """
    if primary_code(name) not in ("SQLITE_CANTOPEN", "SQLITE_IOERR"):
        return False
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        return exc.errno in (errno.EMFILE, errno.ENFILE)
    return False


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
    """Enable `give_back` on a connection, before anything is written to a new file.

    Files created by an earlier release never shrink. Repeating the setting on a file that can
    shrink would acquire its write lock, and a reader would have to wait for a long transaction.

    Raises:
        sqlite3.Error: the file is no database.
    """
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_MAX}").close()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if not pages:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL").close()


def give_back(connection: sqlite3.Connection) -> int:
    """Release a bounded part of the file's free space, within the caller's write transaction.

    Returns:
        Bytes that remain to be released.
    """
    size, pages, free, mode = connection.execute(_SELECT_SIZES).fetchone()
    kept = max(_KEPT_BYTES // size, (pages - free) // _KEPT_SHARE)
    surplus = free - kept
    if mode != _INCREMENTAL or surplus <= 0:
        return 0
    now = min(surplus, _PAGES_MAX, max(1, _LOOKS_MAX // free))
    for _ in range(now):
        # One by one: the driver executes only the first step of a statement without columns.
        connection.execute("PRAGMA incremental_vacuum(1)").close()
    return int((surplus - now) * size)
