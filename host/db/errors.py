"""SQLite's failures as the host's errors, in one place."""

import os
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


class VaultMissingError(StorageError):
    """The file of a vault that was made is gone: nothing takes its place but a backup."""

    code = "vault-missing"


class VaultEmptyError(VaultMissingError):
    """The file of a vault that was made has no content, as after a copy on a full disk."""

    code = "vault-empty"


class VaultForeignError(StorageError):
    """The file in a vault's place belongs to another node or cluster, or is no vault."""

    code = "vault-foreign"


class VaultOlderError(StorageError):
    """A vault lacks what was written to it: it is an older copy, restored alone."""

    code = "vault-older"


_FULL = "SQLITE_FULL"
_FAILED = "SQLITE_IOERR"
_NEARLY_FULL_BYTES = 128 * 1024
"""SQLite says that reading or writing failed when it has no room for its shared memory, whose files
it makes longer by 32 KiB: on a disk with no more room than this, that is the cause."""
_REASONS = {
    _FULL: "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_CORRUPT": "it is damaged",
    "SQLITE_NOTADB": "it is no database, or it is damaged",
    _FAILED: "reading or writing failed",
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
    if primary == _FAILED and _is_nearly_full(path):
        primary = _FULL
    reason = _REASONS.get(primary, str(cause))
    kind = DiskFullError if primary == _FULL else StorageError
    return kind(f"database {path} cannot be used: {reason}", path=str(path))


def _is_nearly_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _NEARLY_FULL_BYTES
