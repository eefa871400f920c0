"""The one writer of an SQLite file: exclusive among threads and processes, many units at once.

A commit costs one synchronisation of the log, whatever it holds. So threads queue their units, and
the next thread commits all waiting units in one transaction; a refused unit is removed from it.
Among processes an flock decides who writes: waiters sleep in the kernel instead of polling SQLite's
own lock, and the kernel releases it when its holder is killed.
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
"""Maximum units of one transaction, so that the first of many does not wait for long."""
_BATCH_BYTES_MAX = 2 * 1024 * 1024
"""No unit joins a transaction of this size: the first one need not wait for all others."""

Write = Callable[[sqlite3.Connection], object]
"""Writes within the caller's transaction; its exceptions are raised to its caller of `write`."""


class _Waiting:
    """A queued write, its outcome, and the event on which its thread waits."""

    def __init__(self, write: Write, size: int) -> None:
        self.write = write
        self.size = size
        self.leads = False
        self.is_done = False
        self.failure: Exception | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self) -> None:
        """Wait until the write is done, or its thread becomes the leader."""
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
        mark: stores the number of the newest commit; without one, commits are not counted.
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
        """Execute `write` and commit it durably, or change nothing.

        Args:
            write: executed within a transaction.
            size: approximate bytes that it writes or deletes.

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
        """Wait for the running transaction; later writes are refused."""
        with self._open:
            self._connection.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
            self._lock_file = None

    def _go(self, waiting: _Waiting) -> None:
        """Pass the lead to the longest waiting thread; remove an interrupted thread's write."""
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
        """Commit the waiting writes, oldest first, including `own`."""
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
            # This thread is interrupted, perhaps after the commit: the outcome is unknown.
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
        """Acquire the lock among processes; the caller releases it.

        Raises:
            StorageError: closed, or the lock cannot be acquired.
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
        """Commit all possible writes; False if one of them broke the transaction for all."""
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
        """Commit, and mark the commit's number."""
        if self._mark is None:
            self._connection.execute("COMMIT")
            return
        number = count_commit(self._connection)
        self._connection.execute("COMMIT")
        self._mark.keep(number)

    def _roll_back(self) -> None:
        """Roll the transaction back, unless it was committed."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def refusal_of(path: Path, error: sqlite3.Error) -> StorageError:
    """The host's error for a failure of SQLite; a full disk is reported as such."""
    # The engine's own errors have no name of a result code.
    is_full = lacks_room(path, getattr(error, "sqlite_errorname", ""))
    kind = DiskFullError if is_full else StorageError
    return kind(f"flow store {path}: {error}", path=str(path))
