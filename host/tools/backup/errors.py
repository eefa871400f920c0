"""Refusals of backups and restores."""

from host.domain.errors import ConflictError, InvalidInputError, UnavailableError


class BackupBusyError(UnavailableError):
    """Another backup is being made, or the host does not let go of its stores."""

    code = "backup-busy"


class BackupExistsError(ConflictError):
    """The file that a backup is to be written to is there already; backups overwrite nothing."""

    code = "backup-exists"


class BackupSourceError(InvalidInputError):
    """There is no data directory of a host at the place."""

    code = "backup-source-invalid"


class BackupContentError(InvalidInputError):
    """The container is no backup of a host, or has parts that a data directory has no place for."""

    code = "backup-content-invalid"


class RestoreTargetError(ConflictError):
    """A backup is restored to a directory that is not there, or is empty, and to no other."""

    code = "restore-target-not-empty"
