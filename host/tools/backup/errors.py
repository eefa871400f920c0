"""Refusals of backups and restores."""

from host.domain.errors import ConflictError, InvalidInputError, UnavailableError


class BackupBusyError(UnavailableError):
    """Another backup is in progress, or the host does not release its stores in time."""

    code = "backup-busy"


class BackupExistsError(ConflictError):
    """The target file of a backup exists already; backups never overwrite a file."""

    code = "backup-exists"


class BackupSourceError(InvalidInputError):
    """The path is not a host's data directory."""

    code = "backup-source-invalid"


class BackupContentError(InvalidInputError):
    """The container is not a backup of a host, or has sections that no data directory has."""

    code = "backup-content-invalid"


class RestoreTargetError(ConflictError):
    """The target directory of a restore is not empty."""

    code = "restore-target-not-empty"
