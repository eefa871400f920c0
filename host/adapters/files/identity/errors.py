"""Errors of data directories whose files have been changed from outside."""

from collections.abc import Sequence

from host.adapters.files.identity.findings import Finding
from host.domain.errors import ConflictError, StorageError


class DataFileError(StorageError):
    """A file of the data directory is not as the host left it.

    Attributes:
        issues: all findings, including this one.
    """

    code = "data-file"

    def __init__(self, message: str, *, issues: Sequence[Finding] = (), **details: str) -> None:
        super().__init__(message, **details)
        self.issues = tuple(issues)


class DataFileMissingError(DataFileError):
    """A file is missing; restore it, or force a new cluster with `--new`."""

    code = "data-file-missing"


class DataFileEmptyError(DataFileError):
    """A file has lost its content, as after a copy on a full disk."""

    code = "data-file-empty"


class DataFileForeignError(DataFileError):
    """A file belongs to another cluster or node, or is another kind of file."""

    code = "data-file-foreign"


class DataFileOlderError(DataFileError):
    """A file is older than other files record, as after restoring it alone."""

    code = "data-file-older"


class DataFileDamagedError(DataFileError):
    """A file is damaged or has the wrong format."""

    code = "data-file-damaged"


class DataFilesInOrderError(ConflictError):
    """A new cluster was requested on a data directory with a consistent one."""

    code = "data-directory-in-order"


_KINDS = {
    kind.code: kind
    for kind in (
        DataFileMissingError,
        DataFileEmptyError,
        DataFileForeignError,
        DataFileOlderError,
        DataFileDamagedError,
    )
}


def error_of(findings: Sequence[Finding]) -> DataFileError:
    """The error that reports `findings`, which must not be empty."""
    first = findings[0]
    return _KINDS[first.code](
        first.message, issues=findings, expected=first.expected, found=first.found
    )
