"""The one writer of an SQLite file: exclusive among threads and processes, many units at once.

A commit costs one synchronisation of the log, whatever it holds. So threads queue their units,
and whichever comes next commits all that are waiting in one transaction; a unit that is refused
is taken out of it. Among processes an flock decides who writes: waiters sleep in the kernel
instead of polling SQLite's own lock, and the kernel releases it when its holder is killed.
"""

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from host.adapters.files.identity.marks import Mark, count_commit
from host.adapters.sqlite.files import lacks_room
from host.domain.errors import DiskFullError, StorageError

_BATCH_MAX = 256
"""Units of one transaction, so that a crowd does not make the first of them wait for long."""
_BATCH_BYTES_MAX = 2 * 1024 * 1024
"""None joins a transaction that writes so many: who comes first does not wait for all of them."""

Write = Callable[[sqlite3.Connection], object]
"""Writes within the caller's transaction; what it raises is raised to who asked for it."""


class _Waiting:
    """A write and its outcome, and where its thread sleeps until there is one."""

    def __init__(self, write: Write, size: int) -> None:
        self.write = write
        self.size = size
        self.leads = False
        self.is_done = False
        self.failure: Exception | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self) -> None:
        """Wait until the write is done, or its thread is to lead."""
        self._asleep.acquire()

    def wake(self) -> None:
        self._asleep.release()

    def end(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.is_done = True
        if not self.leads:
            self.wake()


class GroupCommit:
    """Writes through one connection of its own. Thread-safe.

    Args:
        path: the database; the lock file stands beside it.
        connection: used by no one else.
        mark: keeps the number of the newest commit; without one, commits are not counted.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, mark: Mark | None = None
    ) -> None:
        self._path = path
        self._mark = mark
        self._connection = connection
        self._guard = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False
        self._open = threading.Lock()
        self._lock_file: int | None = os.open(
            f"{path}-writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    def write(self, write: Write, *, size: int = 0) -> None:
        """Have `write` done and committed durably, or nothing of it.

        Args:
            write: what to do within a transaction.
            size: bytes that it writes or deletes, about.

        Raises:
            HostError: what `write` raised.
            StorageError: the file cannot be written.
        """
        waiting = _Waiting(write, size)
        with self._guard:
            self._queue.append(waiting)
            waiting.leads = not self._is_led
            self._is_led = True
        try:
            if not waiting.leads:
                waiting.sleep()
            while not waiting.is_done:
                self._lead(waiting)
        finally:
            self._go(waiting)
        if waiting.failure is not None:
            raise waiting.failure

    def close(self) -> None:
        """Wait for the running transaction; what comes later is refused."""
        with self._open:
            self._connection.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
            self._lock_file = None

    def _go(self, waiting: _Waiting) -> None:
        """Hand the lead to who waits longest; an interrupted thread takes its write along."""
        with self._guard:
            if not waiting.is_done and waiting in self._queue:
                self._queue.remove(waiting)
            if not waiting.leads:
                return
            self._is_led = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake()

    def _lead(self, own: _Waiting) -> None:
        """Commit what is waiting, oldest first; `own` is among it."""
        batch, size = list[_Waiting](), 0
        with self._guard:
            while self._queue and len(batch) < _BATCH_MAX and size < _BATCH_BYTES_MAX:
                batch.append(self._queue.popleft())
                size += batch[-1].size
        try:
            with self._open:
                lock_file = self._locked()
                try:
                    self._commit(batch)
                finally:
                    fcntl.flock(lock_file, fcntl.LOCK_UN)
        except sqlite3.Error as exc:
            self._fail(batch, refusal_of(self._path, exc))
        except StorageError as exc:
            self._fail(batch, self._refusal(exc.message))
        except BaseException:
            # This thread is stopped, perhaps after the commit: nobody can tell what was written.
            stopped = self._refusal("the writing thread was stopped")
            self._fail([w for w in batch if w is not own], stopped)
            raise

    def _fail(self, batch: Sequence[_Waiting], failure: StorageError) -> None:
        for waiting in batch:
            if not waiting.is_done:
                waiting.end(type(failure)(failure.message, **failure.details))

    def _refusal(self, reason: str) -> StorageError:
        return StorageError(f"flow store {self._path}: {reason}", path=str(self._path))

    def _locked(self) -> int:
        """The lock among processes, held; the caller unlocks it.

        Raises:
            StorageError: closed, or the lock cannot be had.
        """
        if self._lock_file is None:
            raise StorageError("is closed")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        except OSError as exc:
            raise StorageError(f"its lock cannot be had: {exc.strerror}") from exc
        return self._lock_file

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        if len(batch) > 1 and self._commit_together(batch):
            return
        for waiting in batch:
            self._commit_alone(waiting)

    def _commit_together(self, batch: Sequence[_Waiting]) -> bool:
        """Commit all that can be; False when one of them broke the transaction for all."""
        connection, failures = self._connection, dict[_Waiting, Exception]()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for waiting in batch:
                connection.execute("SAVEPOINT unit")
                try:
                    waiting.write(connection)
                except sqlite3.Error:
                    return False
                except Exception as exc:  # noqa: BLE001  # it is raised to who asked for the write
                    failures[waiting] = exc
                    connection.execute("ROLLBACK TO unit")
                connection.execute("RELEASE unit")
            self._end()
        finally:
            self._roll_back()
        for waiting in batch:
            waiting.end(failures.get(waiting))
        return True

    def _commit_alone(self, waiting: _Waiting) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                waiting.write(connection)
                self._end()
            finally:
                self._roll_back()
        except sqlite3.Error as exc:
            self._fail([waiting], refusal_of(self._path, exc))
        except Exception as exc:  # noqa: BLE001  # it is raised to who asked for the write
            waiting.end(exc)
        else:
            waiting.end()

    def _end(self) -> None:
        """Commit, and keep the commit's number."""
        if self._mark is None:
            self._connection.execute("COMMIT")
            return
        number = count_commit(self._connection)
        self._connection.execute("COMMIT")
        self._mark.keep(number)

    def _roll_back(self) -> None:
        """End the transaction, unless it was committed."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def refusal_of(path: Path, error: sqlite3.Error) -> StorageError:
    """A failure of SQLite as the host's: whether there is no room, which an operator can mend."""
    # The engine's own errors have no name of a result code.
    is_full = lacks_room(path, getattr(error, "sqlite_errorname", ""))
    kind = DiskFullError if is_full else StorageError
    return kind(f"flow store {path}: {error}", path=str(path))
