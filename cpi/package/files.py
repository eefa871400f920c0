"""Reading input files within limits, and writing output files whole or not at all."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from cpi.archive.sources import Source
from cpi.errors import ArchiveError, Code, OutputExistsError
from cpi.limits import DEFAULT_LIMITS


class FileSource:
    """A file that is open for reading; unpacked bytes are stored in unnamed temporary files."""

    def __init__(self, descriptor: int, label: str, open_files: contextlib.ExitStack) -> None:
        """Read from `descriptor`; `open_files` closes what `keep` opens."""
        self._descriptor = descriptor
        self._label = label
        self._open_files = open_files
        self._state = self._stat()
        self._size = os.fstat(descriptor).st_size

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        wanted = max(0, min(size, self._size - offset))
        data = os.pread(self._descriptor, wanted, offset)
        if len(data) < wanted:
            raise self._changed()
        return data

    def keep(self, chunks: Iterable[bytes]) -> Source:
        import tempfile  # noqa: PLC0415 - only nested archives that are packed need it

        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the rest
        self._open_files.enter_context(file)
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        return FileSource(file.fileno(), f"an entry of {self._label}", self._open_files)

    def check_unchanged(self) -> None:
        if self._stat() != self._state:
            raise self._changed()

    def _stat(self) -> tuple[int, int, int]:
        stat = os.fstat(self._descriptor)
        return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def _changed(self) -> ArchiveError:
        return ArchiveError(
            Code.PACKAGE_CHANGED, f"{self._label} was changed while it was being read"
        )


@contextlib.contextmanager
def open_package(path: Path) -> Iterator[FileSource]:
    """A file as a source for `cpi.package.verify`; it is not loaded into memory.

    Raises:
        OSError: it cannot be read.
    """
    with contextlib.ExitStack() as files:
        file = files.enter_context(path.open("rb", buffering=0))
        yield FileSource(file.fileno(), str(path), files)


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


def check_new(path: Path) -> None:
    """Check that there is no file yet, before work is done whose result nothing could hold.

    Raises:
        OutputExistsError: the path exists.
    """
    if os.path.lexists(path):
        raise OutputExistsError(Code.FILE_EXISTS, f'"{path}" already exists')


def write_new(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file that must not exist yet; see `new_file`."""
    with new_file(path, private=private) as file:
        file.write(data)


@contextlib.contextmanager
def new_file(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Write a file that must not exist yet: under a temporary name first, then linked into place.

    It gets its name only if the block ends without an error.

    Args:
        path: the file.
        private: readable by the owner alone.

    Raises:
        OutputExistsError: the path exists; it is left unchanged.
        OSError: the directory cannot be written.
    """
    check_new(path)
    import tempfile  # noqa: PLC0415 - readers write nothing

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
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
