"""One node's log on disk: lines are only ever added, under a lock that processes share.

A line is in the operating system's hands before its call is answered, so it survives the death of
the process at any instruction; `sync` brings what was added to the disk, and is called outside
steps. A power failure costs at most what was added since.
"""

import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog

from host.audit_log import chain
from host.domain.errors import StorageError
from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.json import JsonValue
from host.ports.audit_log import PrivilegedCall

LOG_NAME, HEAD_NAME = "audit.log", "audit.head"
_TAIL_BYTES = 4 * 1024 * 1024
"""How far back a log is read when it is opened, to recognise repeated calls."""
_FLOWS_MAX = 10_000
_READ_BYTES = 1024 * 1024

_log = structlog.get_logger("cordbox.audit")


class AuditLogDamagedError(StorageError):
    """A node's audit log is not as this host left it; `cordbox audit log verify` tells more."""

    code = "audit-log-damaged"


class NodeLog:
    """An open log. Thread-safe; several processes may have one open.

    Args:
        folder: the node's own.
        holding: whose log it is.
        key: authenticates entries.

    Raises:
        StorageError: the files cannot be opened.
        AuditLogDamagedError: the last lines are no entries.
    """

    def __init__(self, folder: Path, holding: HoldingIdentity, key: bytes) -> None:
        self._path = folder / LOG_NAME
        self._holding = holding
        self._key = key
        self._lock = threading.Lock()
        self._position = 0
        self._seq, self._hash = -1, chain.NO_HASH
        self._last_calls: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._is_dirty = False
        with _storage(self._path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self._path, flags | os.O_APPEND, 0o600)
            self._head = os.open(folder / HEAD_NAME, flags, 0o600)
        self._position = self._tail_start()

    def append(self, call: PrivilegedCall, *, now: EpochMs) -> bool:
        """Add the call, unless it is one that the flow repeats, with the same outcome.

        A line that a crash left incomplete is cut off first, and an entry says so.

        Returns:
            Whether it was added.

        Raises:
            StorageError: the log cannot be written.
            AuditLogDamagedError: somebody else changed it.
        """
        with self._lock, self._exclusive():
            torn = self._catch_up()
            if torn:
                os.ftruncate(self._file, self._position)
            if self._seq < 0:
                self._add(chain.genesis(self._holding, at=now))
            if torn:
                _log.warning("audit-log-torn-line", path=str(self._path), bytes=len(torn))
                self._add(chain.recovery(torn, at=now))
            number, outcome = self._last_calls.get(call.flow_id, (-1, ""))
            if call.call < number or (call.call, call.outcome) == (number, outcome):
                return False
            self._add(chain.call_content(call, at=now))
            return True

    def sync(self) -> None:
        """Bring what was added to the disk; calls may be added meanwhile.

        Raises:
            StorageError: it cannot be written.
        """
        with self._lock:
            is_dirty, self._is_dirty = self._is_dirty, False
        if not is_dirty:
            return
        try:
            with _storage(self._path):
                os.fdatasync(self._file)
                os.fdatasync(self._head)
        except StorageError:
            with self._lock:
                self._is_dirty = True
            raise

    def close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self._file)
            os.close(self._head)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with _storage(self._path):
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _tail_start(self) -> int:
        """Where reading begins: at the start of a line, far enough back."""
        with _storage(self._path):
            size = os.fstat(self._file).st_size
            start = max(0, size - _TAIL_BYTES)
            if start == 0:
                return 0
            piece = os.pread(self._file, chain.LINE_BYTES_MAX, start)
        return start + piece.find(b"\n") + 1

    def _catch_up(self) -> bytes:
        """Take in what other processes added; answers a last line that is torn."""
        size = os.fstat(self._file).st_size
        if size < self._position:
            raise AuditLogDamagedError(
                f"{self._path}: {size} bytes, {self._position} were written", path=str(self._path)
            )
        rest = b""
        while self._position + len(rest) < size:
            rest += os.pread(self._file, _READ_BYTES, self._position + len(rest))
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._take(line)
                self._position += len(line) + 1
            if len(rest) > chain.LINE_BYTES_MAX:
                raise self._damaged("a line is too long")
        return rest

    def _take(self, line: bytes) -> None:
        entry = chain.parse_line(line)
        if entry is None or not isinstance(entry.get("seq"), int):
            raise self._damaged("a line is no entry")
        if self._seq >= 0 and (entry["seq"], entry.get("previous")) != (self._seq + 1, self._hash):
            raise self._damaged(f"entry {entry['seq']} does not follow entry {self._seq}")
        self._seq, self._hash = entry["seq"], str(entry.get("hash"))
        self._remember(entry)

    def _add(self, content: Mapping[str, JsonValue]) -> None:
        entry = chain.sealed(content, seq=self._seq + 1, previous=self._hash, key=self._key)
        line = chain.line_of(entry)
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, self._position)
            raise StorageError(f"{self._path}: the disk is full", path=str(self._path))
        self._position += len(line)
        self._seq, self._hash = self._seq + 1, str(entry["hash"])
        self._remember(entry)
        os.pwrite(self._head, chain.head_bytes(self._seq, self._hash, self._key), 0)
        self._is_dirty = True

    def _remember(self, entry: chain.Entry) -> None:
        number = entry.get("call")
        if entry.get("kind") == chain.CALL and isinstance(number, int):
            flow = str(entry.get("flow"))
            self._last_calls[flow] = (number, str(entry.get("outcome")))
            self._last_calls.move_to_end(flow)
            if len(self._last_calls) > _FLOWS_MAX:
                self._last_calls.popitem(last=False)

    def _damaged(self, reason: str) -> AuditLogDamagedError:
        return AuditLogDamagedError(f"{self._path}: {reason}", path=str(self._path))


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", path=str(path)) from error
