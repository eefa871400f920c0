"""Instances that wait for their next run, within limits; the least recently used ones go first."""

import threading
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from sandbox.limits import MIB

INSTANCES_MAX = 64
BYTES_MAX = 64 * MIB


class Keepable(Protocol):
    """An instance that can be kept."""

    @property
    def own_bytes(self) -> int:
        """Memory that it takes while it waits."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


_Kept = TypeVar("_Kept", bound=Keepable)


class KeptInstances(Generic[_Kept]):
    """Instances by the digest of their image. Thread-safe.

    Args:
        instances_max: how many may wait, of all images together.
        bytes_max: memory that they may take.
    """

    def __init__(self, *, instances_max: int = INSTANCES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._instances_max = instances_max
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._waiting: OrderedDict[int, tuple[str, _Kept]] = OrderedDict()
        self._numbers: dict[str, list[int]] = {}
        self._next = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, image: str) -> _Kept | None:
        """The instance of `image` that has waited shortest; it belongs to the caller."""
        with self._lock:
            numbers = self._numbers.get(image)
            return self._pop(numbers[-1]) if numbers else None

    def give(self, image: str, instance: _Kept) -> None:
        """Let an instance wait, and free those that are too many then, perhaps this one."""
        gone: list[_Kept] = []
        with self._lock:
            number = self._next
            self._next += 1
            self._waiting[number] = (image, instance)
            self._numbers.setdefault(image, []).append(number)
            self._bytes += instance.own_bytes
            while len(self._waiting) > self._instances_max or self._bytes > self._bytes_max:
                gone.append(self._pop(next(iter(self._waiting))))
        for one in gone:
            one.close()

    def drop(self, image: str) -> None:
        """Free all that wait for `image`."""
        with self._lock:
            gone = [self._pop(number) for number in list(self._numbers.get(image, ()))]
        for one in gone:
            one.close()

    def close(self) -> None:
        """Free all that wait."""
        with self._lock:
            gone = [self._pop(number) for number in list(self._waiting)]
        for one in gone:
            one.close()

    def _pop(self, number: int) -> _Kept:
        image, instance = self._waiting.pop(number)
        numbers = self._numbers[image]
        numbers.remove(number)
        if not numbers:
            del self._numbers[image]
        self._bytes -= instance.own_bytes
        return instance
