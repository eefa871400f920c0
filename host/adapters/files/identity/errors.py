"""Refusals of data directories that are not as they were left."""

from collections.abc import Sequence

from host.adapters.files.identity.findings import Finding
from host.domain.errors import ConflictError, StorageError


class DataFileError(StorageError):
    """A file of the data directory is not as the host left it.

    Attributes:
        issues: everything that was found, this included.
    """

    code = "data-file"

    def __init__(self, message: str, *, issues: Sequence[Finding] = (), **details: str) -> None:
        super().__init__(message, **details)
        self.issues = tuple(issues)


class DataFileMissingError(DataFileError):
    """A file that was there is gone; restore it, or insist on a new cluster with `--new`."""

    code = "data-file-missing"


class DataFileEmptyError(DataFileError):
    """A file that had content has none, as after a copy on a full disk."""

    code = "data-file-empty"


class DataFileForeignError(DataFileError):
    """A file belongs to another cluster or node, or is another kind of file."""

    code = "data-file-foreign"


class DataFileOlderError(DataFileError):
    """A file is older than what other files know of it, as after restoring it alone."""

    code = "data-file-older"


class DataFileDamagedError(DataFileError):
    """A file cannot be read as what it should be."""

    code = "data-file-damaged"


class DataFilesInOrderError(ConflictError):
    """A new cluster was asked for on a data directory that holds one, in good order."""

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
    """The refusal that tells of `findings`, of which there is at least one."""
    first = findings[0]
    return _KINDS[first.code](
        first.message, issues=findings, expected=first.expected, found=first.found
    )
