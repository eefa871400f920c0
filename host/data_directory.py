"""The data directory: its layout, and the lock that keeps a second host out.

lock               held by the running host (flock)
cluster.sqlite     packages, virtual nodes, members, keys, users
flows.sqlite       bus, flow states and journals
vnodes/<hash>/     one vault for each virtual node
packages/          CPI files
tls/               the server's certificate and key
secrets/           wrapping key and generated passwords
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import StorageError

_PROBE_BYTES = 4096


class DataDirectoryLockedError(StorageError):
    """Another host runs on this data directory."""

    code = "data-directory-locked"


class DataDirectoryUnusableError(StorageError):
    """The data directory cannot be made, written or synced."""

    code = "data-directory-unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDirectory:
    """A data directory that this process holds until `release`."""

    path: Path
    lock_descriptor: int

    @staticmethod
    def hold(path: Path) -> "DataDirectory":
        """Make the directory if needed, prove that it can be written, and lock it.

        Raises:
            DataDirectoryUnusableError: unwritable, full, or no directory.
            DataDirectoryLockedError: another host holds it.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DataDirectoryLockedError(
                f"data directory {path} is in use by another host", path=str(path)
            ) from error
        try:
            _probe(path)
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, error) from error
        return DataDirectory(path=path, lock_descriptor=descriptor)

    def release(self) -> None:
        """Let another host have the directory."""
        os.close(self.lock_descriptor)

    @property
    def cluster_database(self) -> Path:
        return self.path / "cluster.sqlite"

    @property
    def flow_database(self) -> Path:
        return self.path / "flows.sqlite"

    @property
    def virtual_nodes(self) -> Path:
        return self.path / "vnodes"

    @property
    def packages(self) -> Path:
        return self.path / "packages"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"


def _probe(path: Path) -> None:
    """Write and sync a block, so that a full or read-only disk is told before anything starts."""
    probe = path / "probe"
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _unusable(path: Path, error: OSError) -> DataDirectoryUnusableError:
    return DataDirectoryUnusableError(
        f"data directory {path} cannot be used: {error.strerror}", path=str(path)
    )
