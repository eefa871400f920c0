"""The pace of large writes to an SQLite file: one at a time, and a part of the time.

A commit of a megabyte holds the writer for some ten milliseconds. If the threads of several
processes write that much without a pause, a small commit waits for several of them, since neither
threads nor processes get the writer in the order of arrival. So a large write waits for its turn
first, among all processes, and keeps the turn after its commit for as long as the commit took: a
small commit then waits for one large write at most. While others write, too, it keeps the turn for
three times as long: else every other small commit met a large one, and the disk behind it.

In that pause the write-ahead log is copied into the database. A commit that finds a long log copies
it itself, and holds the writer for three times as long.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from host.database.shared_batches import Queued, SharedBatches
from host.domain.pace import Pace

LARGE_BYTES = 128 * 1024
"""Writes of this size or more wait for their turn: about 3 ms. Larger units come in portions of
this size, see `pieces`."""
PAUSE_MAX_S = 0.05
"""Maximum pause, so that an outage of the disk, or a queue of small writes, does not prolong it."""
SHARED_FACTOR = 3.0
"""Length of a pause while others write, in lengths of the commit before it."""
SHARED_PAUSE_MAX_S = 0.15

_Write: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Large:
    """A large write, and whose it is."""

    write: _Write
    lane: Hashable


class LargeWrites:
    """Thread-safe; the lanes of a process take turns.

    Args:
        lock_file: descriptor of a file, whose range lock is the turn among processes; closed here.
        connection: to the database, used by no one else; closed here.
        now: seconds, monotonic.
        sleep: seconds.
    """

    def __init__(
        self,
        lock_file: int,
        connection: sqlite3.Connection,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lock_file = lock_file
        self._guard = threading.Lock()
        self._is_locking = self._is_closed = False
        self._connection = connection
        self._now = now
        self._sleep = sleep
        # With one item each, a thread processes its own item and no other.
        self._turns: SharedBatches[_Large, None] = SharedBatches(self._take_turn, batch_max=1)
        self._pace: Pace[Hashable] = Pace(factor=SHARED_FACTOR, rest_max_s=SHARED_PAUSE_MAX_S)

    def run(self, write: _Write, *, size: int = LARGE_BYTES, lane: Hashable = None) -> None:
        """Wait for the turn, execute `write`, and return after the pause.

        Raises:
            BaseException: what `write` raised.
        """
        self._turns.run(_Large(write, lane), size=size, lane=lane)

    def note_small(self, lane: Hashable) -> None:
        """A lane makes a small write: for a while, those of others are made at a slower pace."""
        now = self._now()
        with self._guard:
            self._pace.rest_s(lane, now, now)

    def close(self) -> None:
        """Close connection and descriptor; later writes have no order, and copy nothing.

        A thread that waits for the lock, or holds it, closes the descriptor itself: its number
        must not mean another file meanwhile.
        """
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            if not self._is_locking:
                os.close(self._lock_file)
        self._connection.close()

    def _take_turn(self, turn: Sequence[Queued[_Large, None]]) -> None:
        (queued,) = turn
        with self._turn_among_processes():
            began = self._now()
            try:
                queued.item.write()
            except Exception as exc:  # noqa: BLE001  # it is raised to who asked for the write
                queued.fail(exc)
            else:
                queued.end(None)
            self._pause(queued.item.lane, began)

    @contextmanager
    def _turn_among_processes(self) -> Iterator[None]:
        """The turn; where locks fail, writes only lose their order among processes."""
        with self._guard:
            self._is_locking = not self._is_closed
        try:
            if self._is_locking:
                with suppress(OSError):
                    fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
            yield
        finally:
            if self._is_locking:
                self._unlock()

    def _unlock(self) -> None:
        with self._guard:
            self._is_locking = False
            with suppress(OSError):
                fcntl.lockf(self._lock_file, fcntl.LOCK_UN)
            if self._is_closed:
                os.close(self._lock_file)

    def _pause(self, lane: Hashable, began: float) -> None:
        ended = self._now()
        with self._guard:
            rest_s = self._pace.rest_s(lane, began, ended)
        until = ended + max(rest_s, min(ended - began, PAUSE_MAX_S))
        with suppress(sqlite3.Error):  # a later commit copies the log itself
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        self._sleep(max(0.0, until - self._now()))
