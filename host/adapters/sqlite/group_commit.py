"""The one writer of an SQLite file: exclusive among threads and processes, many units at once.

A commit costs one synchronisation of the log, whatever it holds. So threads queue their units, and
the next thread commits all waiting units in one transaction; a refused unit is removed from it.
Among processes locks decide who writes, see `writer_turns`: waiters sleep in the kernel instead of
polling SQLite's own lock. Large units wait for a turn of their own first, see `large_writes`. Units
of several nodes take turns by bytes, see `lane_queue`.
"""

import sqlite3
import threading
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from host.adapters.files.identity.marks import Mark, count_commit
from host.adapters.sqlite.files import lacks_room
from host.adapters.sqlite.large_writes import LARGE_BYTES, LargeWrites
from host.adapters.sqlite.writer_turns import WriterTurns, lock_file
from host.database.shared_batches import Queued, SharedBatches, fail_all
from host.domain.errors import DiskFullError, StorageError

_BATCH_MAX = 256
"""Maximum units of one transaction, so that the first of many does not wait for long."""
_BATCH_BYTES_MAX = 128 * 1024
"""No unit joins a transaction of this size: the first one need not wait for all others."""

Write = Callable[[sqlite3.Connection], object]
"""Writes within the caller's transaction; its exceptions are raised to its caller of `write`."""


_Queued: TypeAlias = Queued[Write, None]


class GroupCommit:
    """Writes through one connection of its own. Thread-safe.

    Args:
        path: the database; the lock files stand beside it.
        connection: used by no one else.
        copying: another one, which copies the write-ahead log after large writes.
        mark: stores the number of the newest commit; without one, commits are not counted.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        copying: sqlite3.Connection,
        mark: Mark | None = None,
    ) -> None:
        self._path = path
        self._mark = mark
        self._connection = connection
        self._batches: SharedBatches[Write, None] = SharedBatches(
            self._write_batch, batch_max=_BATCH_MAX, bytes_max=_BATCH_BYTES_MAX
        )
        self._open = threading.Lock()
        self._turns: WriterTurns | None = WriterTurns(path)
        self._large = LargeWrites(lock_file(path, "writer"), copying)

    def write(self, write: Write, *, size: int = 0, lane: Hashable = None) -> None:
        """Execute `write` and commit it durably, or change nothing.

        Args:
            write: executed within a transaction.
            size: approximate bytes that it writes or deletes.
            lane: whose write it is: lanes take turns, by bytes.

        Raises:
            HostError: what `write` raised.
            StorageError: the file cannot be written.
        """
        if size < LARGE_BYTES:
            if lane is not None:
                self._large.note_small(lane)
            self._batches.run(write, size=size, lane=lane)
        else:
            large = partial(self._batches.run, write, size=size, lane=lane)
            self._large.run(large, size=size, lane=lane)

    def close(self) -> None:
        """Wait for the running transaction; later writes are refused."""
        with self._open:
            self._connection.close()
            self._large.close()
            if self._turns is not None:
                self._turns.close()
            self._turns = None

    def _write_batch(self, batch: Sequence[_Queued]) -> None:
        """Commit the writes of a batch, oldest first.

        Raises:
            StorageError: none of those that have not ended was committed.
            BaseException: this thread is interrupted, perhaps after the commit.
        """
        try:
            with self._open:
                turns = self._acquired()
                try:
                    self._commit(batch)
                finally:
                    turns.release()
        except sqlite3.Error as exc:
            raise refusal_of(self._path, exc) from exc
        except StorageError:
            raise
        except BaseException:
            fail_all(batch, self._refusal("the writing thread was stopped; the outcome is unknown"))
            raise

    def _refusal(self, reason: str) -> StorageError:
        return StorageError(f"flow store {self._path}: {reason}", path=str(self._path))

    def _acquired(self) -> WriterTurns:
        """The locks among processes; the caller releases them.

        Raises:
            StorageError: closed, or a lock cannot be acquired.
        """
        if self._turns is None:
            raise self._refusal("is closed")
        try:
            self._turns.acquire()
        except OSError as exc:
            raise self._refusal(f"its lock cannot be had: {exc.strerror}") from exc
        return self._turns

    def _commit(self, batch: Sequence[_Queued]) -> None:
        if len(batch) > 1 and self._commit_together(batch):
            return
        for queued in batch:
            self._commit_alone(queued)

    def _commit_together(self, batch: Sequence[_Queued]) -> bool:
        """Commit all possible writes; False if one of them broke the transaction for all."""
        connection, failures = self._connection, dict[_Queued, Exception]()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for queued in batch:
                connection.execute("SAVEPOINT unit")
                try:
                    queued.item(connection)
                except sqlite3.Error:
                    return False
                except Exception as exc:  # noqa: BLE001  # it is raised to who asked for the write
                    failures[queued] = exc
                    connection.execute("ROLLBACK TO unit")
                connection.execute("RELEASE unit")
            self._end()
        finally:
            self._roll_back()
        for queued in batch:
            if queued in failures:
                queued.fail(failures[queued])
            else:
                queued.end(None)
        return True

    def _commit_alone(self, queued: _Queued) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                queued.item(connection)
                self._end()
            finally:
                self._roll_back()
        except sqlite3.Error as exc:
            queued.fail(refusal_of(self._path, exc))
        except Exception as exc:  # noqa: BLE001  # it is raised to who asked for the write
            queued.fail(exc)
        else:
            queued.end(None)

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
