"""The files of CPIs in a folder, each under its checksum: the port `CpiFiles`."""

import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from cpi.archive.sources import chunks_of, sha256_of
from cpi.errors import CpiError
from cpi.package.files import open_package
from host.adapters.files.durable_files import write_durably
from host.adapters.files.regular_files import open_regular, require_regular
from host.domain.errors import StorageError
from host.domain.ids import Checksum

_SUFFIX = ".cpi"
_DRAFT = ".new"


class CpiFolder:
    """A `CpiFiles`: `<folder>/<hexadecimal digits>.cpi`. The processes of a host share it."""

    def __init__(self, folder: Path) -> None:
        """Create the folder if it does not exist.

        Raises:
            StorageError: it cannot be created or read.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            raise _storage_error(folder, refused) from refused

    def has(self, checksum: Checksum) -> bool:
        try:
            return self._path(checksum).stat().st_size > 0
        except OSError:
            return False

    def read(self, checksum: Checksum) -> bytes:
        path = self._path(checksum)
        try:
            with open_regular(path) as stream:
                data = stream.read()
        except OSError as refused:
            raise _storage_error(path, refused) from refused
        _check(path, "SHA-256:" + hashlib.sha256(data).hexdigest().upper(), checksum)
        return data

    def chunks(self, checksum: Checksum) -> Iterator[bytes]:
        path = self._path(checksum)
        try:
            require_regular(path)
            with open_package(path) as source:
                _check(path, sha256_of(source), checksum)
                yield from chunks_of(source, 0, source.size)
        except (OSError, CpiError) as refused:
            raise StorageError(f"{path} cannot be read: {refused}", path=str(path)) from refused

    def write(self, checksum: Checksum, chunks: Iterable[bytes]) -> bool:
        path = self._path(checksum)
        is_new = not path.exists()
        try:
            write_durably(path, chunks)
        except OSError as refused:
            if is_new:
                _discard(path)
            raise _storage_error(path, refused) from refused
        return is_new

    def discard(self, checksum: Checksum) -> None:
        _discard(self._path(checksum))

    def sweep(self, known: AbstractSet[Checksum]) -> None:
        kept = {self._path(checksum) for checksum in known}
        try:
            for path in self._folder.iterdir():
                if path.suffix in (_SUFFIX, _DRAFT) and path not in kept:
                    path.unlink()
        except OSError as refused:
            raise _storage_error(self._folder, refused) from refused

    def close(self) -> None:
        """Nothing: files are closed after each use."""

    def _path(self, checksum: Checksum) -> Path:
        return self._folder / (checksum.partition(":")[2] + _SUFFIX)


def _check(path: Path, found: str, expected: Checksum) -> None:
    if found != expected:
        raise StorageError(
            f"{path} is damaged: its checksum is {found}, expected {expected}", path=str(path)
        )


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _storage_error(path: Path, cause: OSError) -> StorageError:
    return StorageError(f"{path} cannot be used: {cause.strerror}", path=str(path))
