"""The open files of one node's log, and the lock that processes share."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from host.adapters.files.durable_files import sync_folder
from host.adapters.files.regular_files import require_regular
from host.domain.errors import DiskFullError, StorageError
from host.nodes.audit_log import refusals
from host.nodes.audit_log.head import LINE_BYTES, MARK, NEWEST, Head, line_bytes, parse_head
from host.nodes.audit_log.segments import (
    HEAD_NAME,
    LOG_NAME,
    NEW_NAME,
    REPEATS_NAME,
    segment_name,
    segments,
)

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC

_log = structlog.get_logger("cordbox.audit")


class LogFiles:
    """`audit.log`, `audit.head` and `audit.repeats` of a folder, created if they do not exist.

    Nothing here is thread-safe; `exclusive` keeps other processes out.

    Args:
        folder: the node's own.
        key: authenticates what is written beside the log.
        boot: boot id of the machine.

    Raises:
        StorageError: they cannot be opened.
    """

    log: int
    """Descriptor of the file that entries are appended to."""

    def __init__(self, folder: Path, key: bytes, boot: str) -> None:
        self.folder = folder
        self.path = folder / LOG_NAME
        self._key = key
        self._boot = boot
        with storage(self.path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open()

    def close(self) -> None:
        for descriptor in (self.log, self._head, self._repeats):
            os.close(descriptor)

    @contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Lock out other processes. Yields whether the files were replaced since the last lock.

        Raises:
            StorageError: they cannot be opened.
        """
        is_changed = False
        with storage(self.path):
            fcntl.flock(self.log, fcntl.LOCK_EX)
            while not self._is_current():
                is_changed = True
                self.close()
                self._open()
                fcntl.flock(self.log, fcntl.LOCK_EX)
            try:
                yield is_changed
            finally:
                fcntl.flock(self.log, fcntl.LOCK_UN)

    def size(self) -> int:
        return os.fstat(self.log).st_size

    def append(self, text: bytes, *, position: int) -> None:
        """Append to the log at its end, `position`: all or nothing.

        Raises:
            DiskFullError: the disk is full.
        """
        if os.write(self.log, text) != len(text):
            os.ftruncate(self.log, position)
            raise DiskFullError(f"{self.path}: the disk is full", path=str(self.path))

    def head(self) -> Head:
        return parse_head(os.pread(self._head, 2 * LINE_BYTES, 0))

    def write_head(self, seq: int, digest: str) -> None:
        line = line_bytes(NEWEST, seq=seq, digest=digest, boot=self._boot, key=self._key)
        os.pwrite(self._head, line, 0)

    def sync(self, seq: int, digest: str) -> None:
        """Sync the log to disk, and record in the head that entry `seq` is synced.

        Raises:
            StorageError: it cannot be written.
        """
        with storage(self.path):
            os.fdatasync(self.log)
            known = self.head().mark
            if known is None or known.seq < seq or known.boot != self._boot:
                line = line_bytes(MARK, seq=seq, digest=digest, boot=self._boot, key=self._key)
                os.pwrite(self._head, line, LINE_BYTES)
            os.fdatasync(self._head)

    def duplicate(self) -> "LogFiles":
        """The same files for another thread, which closes them."""
        other = object.__new__(LogFiles)
        other.__dict__.update(self.__dict__)
        with storage(self.path):
            other.log, other._head, other._repeats = (
                os.dup(descriptor) for descriptor in (self.log, self._head, self._repeats)
            )
        return other

    def runs(self) -> refusals.Runs:
        """The counts of refusals that are kept beside the log."""
        page = os.pread(self._repeats, refusals.PAGE_BYTES, 0)
        runs = refusals.parse_page(page, self._key)
        if runs is None and page:
            _log.warning("audit-log-counts-forged", path=str(self.folder / REPEATS_NAME))
        return runs or refusals.Runs()

    def write_runs(self, runs: refusals.Runs) -> None:
        page = refusals.page_bytes(runs, self._key)
        if page is not None:
            os.pwrite(self._repeats, page, 0)

    def rotate(self, first: int, line: bytes) -> None:
        """Rotate: the current file becomes an older part, and `line` the first of a new file.

        A process that dies in between leaves the log either unchanged or rotated.

        Args:
            first: number of the first entry of the current file.
            line: the first line of the next file.

        Raises:
            OSError: the log is unchanged.
        """
        os.fdatasync(self.log)
        older, new = self.folder / segment_name(first), self.folder / NEW_NAME
        try:
            os.link(self.path, older)
        except FileExistsError:
            if not older.samefile(self.path):
                raise
        new.unlink(missing_ok=True)
        file = os.open(new, _FLAGS | os.O_APPEND | os.O_EXCL, 0o600)
        try:
            # Locked before it gets the log's name, so that no other process appends first.
            fcntl.flock(file, fcntl.LOCK_EX)
            _write_whole(file, line)
            os.fdatasync(file)
            new.rename(self.path)
        except OSError:
            os.close(file)
            raise
        os.close(self.log)
        self.log = file

    def sync_folder(self) -> None:
        sync_folder(self.folder)

    def _open(self) -> None:
        for path in (self.path, self.folder / HEAD_NAME, self.folder / REPEATS_NAME):
            if os.path.lexists(path):
                require_regular(path)
        self.log = os.open(self.path, _FLAGS | os.O_APPEND, 0o600)
        try:
            self._head = os.open(self.folder / HEAD_NAME, _FLAGS, 0o600)
            self._repeats = os.open(self.folder / REPEATS_NAME, _FLAGS, 0o600)
        except OSError:
            os.close(self.log)
            raise

    def _is_current(self) -> bool:
        """Whether the open files have the log's names: another process may have rotated it."""
        try:
            return all(
                os.path.samestat(os.fstat(descriptor), (self.folder / name).stat())
                for name, descriptor in ((LOG_NAME, self.log), (HEAD_NAME, self._head))
            )
        except FileNotFoundError:
            return False


def used_bytes(folder: Path) -> int:
    """Size in bytes of the log in a node's folder, with its older parts.

    Raises:
        StorageError: the folder cannot be read.
    """
    log = folder / LOG_NAME
    with storage(log):
        sizes = [each.path.stat().st_size for each in segments(folder)]
        return sum(sizes) + (log.stat().st_size if log.exists() else 0)


def _write_whole(file: int, text: bytes) -> None:
    if os.write(file, text) != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Convert an `OSError` raised inside the block to `StorageError`."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        kind = DiskFullError if is_full else StorageError
        raise kind(f"{path}: {error.strerror}", path=str(path)) from error
