"""A cache of rows that every step of a flow reads; any commit that may change them clears it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from host.database.steady_view import seen_revision
from host.ports.database import SqlDatabase

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_KEPT_MAX = 4096


class RevisionCache(Generic[K, V]):
    """Caches results of `read` until any commit to a `REMEMBERED` table. Thread-safe.

    Such a commit, by any process, clears the cache, so a result is never older than the call, or
    than the `steady_view` in which it is made. A writer must use a transaction of its own and must
    not expect to read its uncommitted rows here.

    Args:
        database: the database that `read` queries.
        read: loads the value of a key from `REMEMBERED` tables; its results must be immutable.
        kept_max: number of cached results; beyond it the least recently used one is evicted.
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
        """The current result of `read(key)`.

        Raises:
            StorageError: the file is damaged or gone.
        """
        revision = seen_revision(self._database)
        with self._lock:
            if self._revision is None or revision > self._revision:
                self._kept.clear()
                self._revision = revision
            elif key in self._kept:  # of the revision, or newer than the view of this thread
                self._kept.move_to_end(key)
                return self._kept[key]
        # Read after the revision: a commit in between makes the next call discard this entry.
        found = self._read(key)
        with self._lock:
            if revision == self._revision:
                self._kept[key] = found
                while len(self._kept) > self._kept_max:
                    self._kept.popitem(last=False)
        return found
