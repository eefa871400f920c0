"""Guests that are loaded, the most recently used ones, and locks by key while they are held."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.guest import Guest


class KeyedLocks:
    """One lock for each key in use. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of `key`."""
        with self._lock:
            lock, holders = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, holders + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, holders = self._held.pop(key)
                if holders > 1:
                    self._held[key] = (lock, holders - 1)


class GuestCache:
    """At most `size` guests by digest. Thread-safe.

    A guest that is evicted while calls run stays alive until the last of them ends.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size {size}: expected at least 1")
        self._size = size
        self._lock = threading.Lock()
        self._guests: OrderedDict[str, Guest] = OrderedDict()
        self._loading = KeyedLocks()

    def __len__(self) -> int:
        return len(self._guests)

    def get(self, digest: str, load: Callable[[], Guest]) -> Guest:
        """The guest of `digest`; concurrent requests load it only once."""
        with self._loading.hold(digest):
            guest = self._use(digest)
            if guest is None:
                guest = load()
                with self._lock:
                    self._guests[digest] = guest
                    while len(self._guests) > self._size:
                        self._guests.popitem(last=False)
        return guest

    def _use(self, digest: str) -> Guest | None:
        with self._lock:
            guest = self._guests.get(digest)
            if guest is not None:
                self._guests.move_to_end(digest)
        return guest
