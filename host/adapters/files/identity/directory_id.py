"""The file `cordbox-id`: the cluster of a data directory, and the files that must be in it."""

from pathlib import Path

import msgspec

from host.adapters.files.durable_files import write_durably
from host.adapters.files.identity.errors import DataFileDamagedError
from host.adapters.files.regular_files import IrregularFileError, read_regular
from host.domain.errors import StorageError
from host.domain.ids import EpochMs

NAME = "cordbox-id"
FORMAT = 1
_BYTES_MAX = 64 * 1024


class DirectoryId(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The content of `cordbox-id`.

    Attributes:
        format: version of the file.
        cluster_id: permanent id of the cluster; every file contains it.
        store_id: changes at each restore, so that other systems can detect it.
        made_at: when `store_id` was created.
        epoch: incremented in all files together, in this one last.
        files: names of the files that existed.
        has_marks: whether the file of marks was created; a backup has none.
    """

    format: int = FORMAT
    cluster_id: str
    store_id: str
    made_at: EpochMs
    epoch: int = 0
    files: tuple[str, ...] = ()
    has_marks: bool = False


def read_directory_id(folder: Path) -> DirectoryId | None:
    """The content of the file; None if it does not exist.

    Raises:
        DataFileDamagedError: it is damaged, or a newer release wrote it.
        StorageError: it cannot be read.
    """
    path = folder / NAME
    try:
        data = read_regular(path, _BYTES_MAX)
    except FileNotFoundError:
        return None
    except IrregularFileError as exc:
        raise DataFileDamagedError(f"{path}: {exc.strerror}", path=str(path)) from exc
    except OSError as exc:
        raise StorageError(f"{path}: {exc.strerror}", path=str(path)) from exc
    try:
        found = msgspec.json.decode(data, type=DirectoryId)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise DataFileDamagedError(f"{path} is damaged: {exc}", path=str(path)) from exc
    if found.format != FORMAT:
        raise DataFileDamagedError(
            f"{path} has format {found.format}, this release knows {FORMAT}", path=str(path)
        )
    return found


def write_directory_id(folder: Path, content: DirectoryId) -> None:
    """Write the file atomically and durably.

    Raises:
        StorageError: it cannot be written; an existing file is unchanged.
    """
    path = folder / NAME
    try:
        write_durably(path, [msgspec.json.format(msgspec.json.encode(content), indent=2), b"\n"])
    except OSError as exc:
        raise StorageError(f"{path} cannot be written: {exc.strerror}", path=str(path)) from exc
