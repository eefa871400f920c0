"""Failures of a machine that has run out of something, by their classes and codes."""

import errno
import sqlite3

import pytest

from host.domain.shortages import is_disk_full, is_shortage


def of_sqlite(code: int | None) -> sqlite3.OperationalError:
    failure = sqlite3.OperationalError("said by SQLite")
    if code is not None:
        failure.sqlite_errorcode = code
    return failure


@pytest.mark.parametrize(
    ("failure", "shortage", "full"),
    [
        (OSError(errno.EMFILE, "Too many open files"), True, False),
        (OSError(errno.ENOSPC, "No space left on device"), True, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True, True),
        (OSError(errno.EACCES, "Permission denied"), False, False),
        (MemoryError(), True, False),
        (RuntimeError("can't start new thread"), True, False),
        (RuntimeError("some other"), False, False),
        (of_sqlite(None), True, False),
        (of_sqlite(sqlite3.SQLITE_FULL), True, True),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN | 2 << 8), True, False),
        (of_sqlite(sqlite3.SQLITE_ERROR), False, False),
        (sqlite3.IntegrityError("a defect"), False, False),
        (KeyError("a defect"), False, False),
    ],
    ids=repr,
)
def test_what_the_machine_lacks_is_told_from_defects(failure, shortage, full):
    assert (is_shortage(failure), is_disk_full(failure)) == (shortage, full)
