"""Reading input files within limits, and writing output files whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

from cpi.errors import ArchiveError, Code, OutputExistsError
from cpi.limits import DEFAULT_LIMITS


def read_limited(path: Path, bytes_max: int = DEFAULT_LIMITS.archive_bytes_max) -> bytes:
    """A file's content.

    Raises:
        ArchiveError: it has more than `bytes_max` bytes.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise ArchiveError(Code.ARCHIVE_TOO_LARGE, f"{path} has more than {bytes_max} bytes")
    return data


def write_new(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file that must not exist yet: under a temporary name first, then linked into place.

    Args:
        path: the file.
        data: its content.
        private: readable by the owner alone.

    Raises:
        OutputExistsError: something is there already; it is left as it is.
        OSError: the directory cannot be written.
    """
    if os.path.lexists(path):
        raise OutputExistsError(Code.FILE_EXISTS, f'"{path}" already exists')
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o600 if private else 0o666 & ~_umask())  # noqa: PTH101
        try:
            os.link(temporary, path)
        except FileExistsError as error:
            raise OutputExistsError(Code.FILE_EXISTS, f'"{path}" already exists') from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
