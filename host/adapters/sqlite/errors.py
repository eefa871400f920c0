"""Mapping of SQLite's failures to the host's errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError

from host.adapters.sqlite.files import lacks_descriptors, lacks_room, primary_code
from host.domain.errors import (
    DiskFullError,
    OutageError,
    StorageBusyError,
    StorageError,
    UnavailableError,
)


class VaultMissingError(StorageError):
    """The file of an existing vault is missing; it can only be restored from a backup."""

    code = "vault-missing"


class VaultEmptyError(VaultMissingError):
    """The file of an existing vault is empty, as after a copy on a full disk."""

    code = "vault-empty"


class VaultForeignError(StorageError):
    """The file in a vault's place belongs to another node or cluster, or is not a vault."""

    code = "vault-foreign"


class VaultOlderError(StorageError):
    """A vault lacks earlier writes: it is an older copy, restored alone."""

    code = "vault-older"


class UniquenessMissingError(StorageError):
    """The file of a notary's spent states is missing: without it, states could be spent twice."""

    code = "uniqueness-missing"


class UniquenessEmptyError(UniquenessMissingError):
    """The file of a notary's spent states is empty, as after a copy on a full disk."""

    code = "uniqueness-empty"


class UniquenessForeignError(StorageError):
    """The file in place of a notary's spent states is another's, or no such file."""

    code = "uniqueness-foreign"


class UniquenessOlderError(StorageError):
    """A notary's spent states lack earlier ones: their file is an older copy, restored alone."""

    code = "uniqueness-older"


class UniquenessRestoredError(StorageError):
    """A notary's spent states are of a backup: what it accepted later would be unspent again."""

    code = "uniqueness-restored"


_REASONS = {
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_CORRUPT": "it is damaged",
    "SQLITE_NOTADB": "it is no database, or it is damaged",
    "SQLITE_IOERR": "reading or writing failed",
    "SQLITE_PERM": "access is denied",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Convert database failures of the block into `StorageError` or `UnavailableError`.

    A violated constraint is not converted: it is an error of the caller, not of the storage.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as exc:
        raise _storage_error(path, exc.orig) from exc
    except sqlite3.Error as exc:
        raise _storage_error(path, exc) from exc


def _storage_error(path: Path, cause: BaseException | None) -> StorageError | UnavailableError:
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageBusyError(
            f"database {path}: another process is writing to it", path=str(path)
        )
    if lacks_descriptors(name):
        return OutageError(
            f"database {path} cannot be used: no file descriptor is free", path=str(path)
        )
    if lacks_room(path, name):
        return DiskFullError(f"database {path} cannot be used: the disk is full", path=str(path))
    reason = _REASONS.get(primary_code(name), str(cause))
    return StorageError(f"database {path} cannot be used: {reason}", path=str(path))
