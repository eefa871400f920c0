"""SQLite's failures as the host's errors, in one place."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError

from host.domain.errors import DiskFullError, StorageError, UnavailableError


class SchemaTooNewError(StorageError):
    """The database was written by a newer release."""

    code = "storage-schema-too-new"


class StorageBusyError(UnavailableError):
    """Another process holds the database's write lock for longer than the busy timeout."""

    code = "storage-busy"


_FULL = "SQLITE_FULL"
_REASONS = {
    _FULL: "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_CORRUPT": "it is damaged",
    "SQLITE_NOTADB": "it is no database, or it is damaged",
    "SQLITE_IOERR": "reading or writing failed",
    "SQLITE_PERM": "access is denied",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn a database's failures inside the block into `StorageError` or `StorageBusyError`.

    A broken constraint stays what it is: the caller's mistake, not the storage's.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as exc:
        raise _storage_error(path, exc.orig) from exc
    except sqlite3.Error as exc:
        raise _storage_error(path, exc) from exc


def _storage_error(path: Path, cause: BaseException | None) -> StorageError | StorageBusyError:
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageBusyError(
            f"database {path}: another process is writing to it", path=str(path)
        )
    primary = "_".join(name.split("_")[:2])
    reason = _REASONS.get(primary, str(cause))
    kind = DiskFullError if primary == _FULL else StorageError
    return kind(f"database {path} cannot be used: {reason}", path=str(path))
