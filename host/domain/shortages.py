"""Failures of a machine that has run out of something, told from faults of a request or the host.

Pure. Disk, descriptors, memory and threads come back when others release them: whoever meets such
a failure may try the same thing again.
"""

import errno

_EXHAUSTED = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EIO,
        errno.EROFS,
    }
)
"""System errors when disk, descriptors or memory are exhausted, or the disk fails."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DATABASE_AWAY = frozenset({5, 6, 7, 8, 10, 13, 14, 15})
"""SQLite's busy, locked, no memory, read only, I/O error, full, cannot open, protocol: its primary
codes, as https://www.sqlite.org/rescode.html lists them."""
_DATABASE_FULL = 13
_PRIMARY_CODE = 0xFF
"""Mask of an SQLite primary error code; further bits are the extended code."""
_NO_THREAD = "can't start new thread"
"""Text of the `RuntimeError` that Python raises where the system refuses a thread."""


def is_shortage(failure: BaseException) -> bool:
    """Whether the machine lacks disk, descriptors, memory or threads, or its disk fails."""
    return (
        isinstance(failure, MemoryError)
        or (isinstance(failure, OSError) and failure.errno in _EXHAUSTED)
        or (isinstance(failure, RuntimeError) and str(failure) == _NO_THREAD)
        or _is_database_away(failure)
    )


def is_disk_full(failure: BaseException) -> bool:
    """Whether the disk has no room, as the system or SQLite says."""
    if isinstance(failure, OSError):
        return failure.errno in _FULL
    return _is_of_sqlite(failure) and _code_of(failure) == _DATABASE_FULL


def _is_database_away(failure: BaseException) -> bool:
    """An `OperationalError` of `sqlite3`, which this pure module does not import.

    One that was not raised by SQLite itself has no code, but also concerns the database.
    """
    return _is_of_sqlite(failure) and _code_of(failure) in {None, *_DATABASE_AWAY}


def _is_of_sqlite(failure: BaseException) -> bool:
    classes = {(cls.__module__, cls.__name__) for cls in type(failure).__mro__}
    return ("sqlite3", "OperationalError") in classes


def _code_of(failure: BaseException) -> int | None:
    code = getattr(failure, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY_CODE
