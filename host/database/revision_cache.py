"""Rows that every step of every flow asks for, kept in memory until they may have changed."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from host.ports.database import SqlDatabase

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_KEPT_MAX = 4096


class RevisionCache(Generic[K, V]):
    """Answers of `read`, kept while nobody commits to a `REMEMBERED` table. Thread-safe.

    Any such commit of any process forgets all of them, so an answer is never older than the call.
    What changes the database must do so in a transaction of its own, and not expect to read its own
    uncommitted rows here.

    Args:
        database: what `read` reads.
        read: answers a key from `REMEMBERED` tables; its answers must be immutable.
        kept_max: how many answers are kept, the most recently used ones.
    """

    def __init__(
        self, database: SqlDatabase, read: Callable[[K], V], *, kept_max: int = _KEPT_MAX
    ) -> None:
        self._database = database
        self._read = read
        self._kept_max = kept_max
        self._lock = threading.Lock()
        self._revision: int | None = None
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V:
        """What `read(key)` answers now.

        Raises:
            StorageError: the file is damaged or gone.
        """
        revision = self._database.revision()
        with self._lock:
            if revision != self._revision:
                self._kept.clear()
                self._revision = revision
            elif key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        # Read after the revision was: a commit in between makes the next call forget this.
        found = self._read(key)
        with self._lock:
            if revision == self._revision:
                self._kept[key] = found
                while len(self._kept) > self._kept_max:
                    self._kept.popitem(last=False)
        return found
