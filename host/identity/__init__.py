"""Which cluster a file belongs to and how old it is, so that a lost one is never taken for new."""

from host.identity.directory_id import DirectoryId, read_directory_id
from host.identity.errors import (
    DataFileDamagedError,
    DataFileEmptyError,
    DataFileError,
    DataFileForeignError,
    DataFileMissingError,
    DataFileOlderError,
    DataFilesInOrderError,
)
from host.identity.files import STORES
from host.identity.findings import Finding
from host.identity.keeping import Keeping
from host.identity.marks import Mark, Marks
from host.identity.taking_up import inspect, take_up

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
    "take_up",
]
