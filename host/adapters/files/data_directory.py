"""The data directory: its layout, and the locks that keep a second host out.

lock               held by the running host and by its worker processes (flock)
cordbox-id         which cluster this is, and which files it has
cordbox-marks      the newest commit of each database
joined             held by workers that joined the running host from outside (flock, shared)
run/               sockets and state of the running host's worker processes
cluster.sqlite     packages, virtual nodes, members, keys, users
flows.sqlite       bus, flow states and journals
backup/            what a backup prepares, while it is made
moved              in a directory that was imported into a database: where its content is
vnodes/<hash>/     one vault for each virtual node
packages/          CPI files
tls/               the server's certificate and key
secrets/           wrapping key and generated passwords
"""

import errno
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from host.adapters.files.identity import (
    DataFileMissingError,
    DirectoryId,
    Marks,
    read_directory_id,
    verify_directory,
)
from host.adapters.files.regular_files import open_regular, read_regular, require_regular
from host.domain.errors import DiskFullError, StorageError, UnavailableError

HANDOVER_SECONDS = 30.0
"""How long a host waits for the end of a killed host's workers: usually a moment, longer if the
machine is so busy that the kernel is slow to end them."""

MOVED = "moved"
"""The file that marks a directory which was imported into a database."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PROBE_BYTES = 4096
_PROCESS_BYTES_MAX = 32
_NOTE_BYTES_MAX = 4096
_RETRY_SECONDS = 0.02


class DataDirectoryLockedError(StorageError):
    """Another host runs on this data directory."""

    code = "data-directory-locked"


class DataDirectoryMovedError(StorageError):
    """What the data directory holds was imported into the database of a cluster."""

    code = "data-directory-moved"


class HostNotRunningError(UnavailableError):
    """A worker was started to join a host, but none runs on the data directory."""

    code = "host-not-running"


class DataDirectoryUnusableError(StorageError):
    """The data directory cannot be created, written or synced."""

    code = "data-directory-unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDirectory:
    """A data directory that this process holds until `release`."""

    path: Path
    lock_descriptor: int
    marks: Marks

    @staticmethod
    def hold(path: Path, *, is_new: bool = False) -> "DataDirectory":
        """Create the directory if needed, check that it is writable, lock it, and check its files.

        Args:
            path: the directory.
            is_new: begin a new cluster if the files do not belong together; see `verify_directory`.

        Raises:
            DiskFullError: there is no room.
            DataDirectoryUnusableError: not writable, or not a directory.
            DataDirectoryLockedError: another host holds it.
            DataDirectoryMovedError: it was imported into the database of a cluster.
            DataFileError: a file of it is missing, empty, older than others, or of another cluster.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_moved(path)
            descriptor = _open_lock(path / "lock")
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            _take_over(path, descriptor)
            _probe(path)
            verify_directory(path, is_new=is_new)
            marks = Marks.open(path)
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, error) from error
        except BaseException:
            os.close(descriptor)
            raise
        return DataDirectory(path=path, lock_descriptor=descriptor, marks=marks)

    @staticmethod
    def inherited(path: Path, descriptor: int) -> "DataDirectory":
        """The directory that this process's supervisor holds, by the lock inherited from it.

        Raises:
            DataDirectoryLockedError: `descriptor` is not the directory's lock.
        """
        try:
            same = os.path.samestat(os.fstat(descriptor), (path / "lock").stat())
        except OSError as error:
            raise _unusable(path, error) from error
        if not same:
            raise DataDirectoryLockedError(
                f"descriptor {descriptor} is not the lock of {path}", path=str(path)
            )
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        return DataDirectory(path=path, lock_descriptor=descriptor, marks=Marks.open(path))

    @staticmethod
    def join(path: Path) -> "DataDirectory":
        """Share the directory with the host that runs on it.

        Raises:
            HostNotRunningError: no host runs on it.
            DataDirectoryUnusableError: not a directory, or not accessible.
        """
        if not (path / "lock").exists():
            raise HostNotRunningError(f"no host runs on data directory {path}", path=str(path))
        try:
            descriptor = _open_lock(path / "joined")
        except OSError as error:
            raise _unusable(path, error) from error
        if not _try_lock(descriptor, fcntl.LOCK_SH) or _is_free(path):
            os.close(descriptor)
            raise HostNotRunningError(f"no host runs on data directory {path}", path=str(path))
        return DataDirectory(path=path, lock_descriptor=descriptor, marks=Marks.open(path))

    def wait_until_free(self) -> None:
        """Wait until the host that this process joined has ended, with all its workers."""
        with open_regular(self.path / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)

    def release(self) -> None:
        """Release the directory for another host."""
        self.marks.close()
        os.close(self.lock_descriptor)

    @property
    def identity(self) -> DirectoryId:
        """The identity of the cluster.

        Raises:
            DataFileMissingError: the file with the identity is missing.
        """
        found = read_directory_id(self.path)
        if found is None:
            raise DataFileMissingError(
                f"{self.path / 'cordbox-id'} is gone", path=str(self.path / "cordbox-id")
            )
        return found

    @property
    def cluster_database(self) -> Path:
        return self.path / "cluster.sqlite"

    @property
    def flow_database(self) -> Path:
        return self.path / "flows.sqlite"

    @property
    def runtime(self) -> Path:
        return self.path / "run"

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


def is_held(path: Path) -> bool:
    """Whether a host, or remaining workers of a killed one, hold the directory."""
    try:
        return not _is_free(path)
    except OSError:
        return False


def probe(path: Path) -> None:
    """Write and sync a block, which fails on a disk that is full or read-only.

    Raises:
        DiskFullError: there is no room.
        DataDirectoryUnusableError: it cannot be written.
    """
    try:
        _probe(path)
    except OSError as error:
        raise _unusable(path, error) from error


def _refuse_moved(path: Path) -> None:
    note = path / MOVED
    if note.exists():
        said = read_regular(note, _NOTE_BYTES_MAX).decode(errors="replace").strip()
        raise DataDirectoryMovedError(f"data directory {path}: {said}", path=str(path))


def _open_lock(file: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if os.path.lexists(file):
        require_regular(file)
    return os.open(file, flags, 0o600)


def _take_over(path: Path, descriptor: int) -> None:
    """Lock the directory; wait a moment for the workers of a killed host to end.

    Raises:
        DataDirectoryLockedError: a host runs on it.
    """
    until = time.monotonic() + HANDOVER_SECONDS
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        _wait(path, until, is_hopeless=_holder_lives(path))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    joined = _open_lock(path / "joined")
    try:
        while not _try_lock(joined, fcntl.LOCK_EX):
            _wait(path, until)
        # No process can use it any more: its content is from a host that has ended.
        shutil.rmtree(path / "run", ignore_errors=True)
        _clear_left_backup(path / "backup")
    finally:
        os.close(joined)


def _clear_left_backup(folder: Path) -> None:
    """Remove the files of a killed backup, but not those of one in progress."""
    try:
        lock = os.open(folder / ".working", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if _try_lock(lock, fcntl.LOCK_EX):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _wait(path: Path, until: float, *, is_hopeless: bool = False) -> None:
    if is_hopeless or time.monotonic() > until:
        raise DataDirectoryLockedError(
            f"data directory {path} is in use by another host", path=str(path)
        )
    time.sleep(_RETRY_SECONDS)


def _holder_lives(path: Path) -> bool:
    """Whether the process that took the lock runs; its workers may hold the lock longer."""
    process = read_regular(path / "lock", _PROCESS_BYTES_MAX).decode(errors="replace")
    try:
        stat = Path("/proc", process, "stat").read_text() if process.isdecimal() else ""
    except OSError:
        return False
    # The state follows the name, which is in parentheses and may contain any characters.
    return stat.rpartition(")")[2].split()[:1] not in ([], ["Z"], ["X"])


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(path: Path) -> bool:
    with open_regular(path / "lock") as lock:
        return _try_lock(lock.fileno(), fcntl.LOCK_SH)


def _probe(path: Path) -> None:
    """Write and sync a block, to detect a full or read-only disk before anything starts."""
    probe = path / "probe"
    if os.path.lexists(probe):
        require_regular(probe)
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _unusable(path: Path, error: OSError) -> StorageError:
    kind = DiskFullError if error.errno in _NO_ROOM else DataDirectoryUnusableError
    named = "" if error.filename is None else f"{Path(os.fsdecode(error.filename)).name}: "
    return kind(f"data directory {path} cannot be used: {named}{error.strerror}", path=str(path))
