"""Identity and age of files, so that a lost or old file is never mistaken for a new one."""

from host.adapters.files.identity.directory_id import DirectoryId, read_directory_id
from host.adapters.files.identity.errors import (
    DataFileDamagedError,
    DataFileEmptyError,
    DataFileError,
    DataFileForeignError,
    DataFileMissingError,
    DataFileOlderError,
    DataFilesInOrderError,
)
from host.adapters.files.identity.files import STORES
from host.adapters.files.identity.findings import Finding
from host.adapters.files.identity.keeping import Keeping
from host.adapters.files.identity.marks import Mark, Marks
from host.adapters.files.identity.verification import inspect, verify_directory

__all__ = [
    "STORES",
    "DataFileDamagedError",
    "DataFileEmptyError",
    "DataFileError",
    "DataFileForeignError",
    "DataFileMissingError",
    "DataFileOlderError",
    "DataFilesInOrderError",
    "DirectoryId",
    "Finding",
    "Keeping",
    "Mark",
    "Marks",
    "inspect",
    "read_directory_id",
    "verify_directory",
]
