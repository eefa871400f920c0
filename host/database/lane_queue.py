"""A queue whose lanes take turns: deficit round robin (Shreedhar, Varghese 1995), by bytes. Pure.

Each lane has a credit of bytes. The lanes take turns: the one whose turn it is gives its items, in
their order, as long as its credit covers them; then it gets more credit, and the next lane's turn
begins. So a lane with many or large items delays the small item of another one by a credit's bytes,
and not by all that it has queued. With one lane the order is that of arrival.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

CREDIT_BYTES = 32 * 1024
"""Credit of each turn."""
ITEM_BYTES_MIN = 2 * 1024
"""What an item costs at least: however small it is, it takes time."""


class LaneQueue(Generic[T]):
    """Mutable, not thread-safe."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[Hashable, deque[tuple[T, int]]] = OrderedDict()
        self._credit: dict[Hashable, int] = {}
        self._chosen: Hashable | None = None
        self._has_chosen = False

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def append(self, item: T, *, lane: Hashable = None, size: int = 0) -> None:
        """Queue an item of `size` bytes behind the others of its lane."""
        if lane not in self._lanes:
            self._lanes[lane] = deque()
            self._credit[lane] = CREDIT_BYTES
        self._lanes[lane].append((item, max(size, ITEM_BYTES_MIN)))

    def first(self) -> T:
        """The item that `pop` gives next, whatever is queued meanwhile.

        Raises:
            IndexError: the queue is empty.
        """
        return self._lanes[self._turn()][0][0]

    def pop(self) -> T:
        """The next item, which leaves the queue.

        Raises:
            IndexError: the queue is empty.
        """
        lane = self._turn()
        item, cost = self._lanes[lane].popleft()
        self._credit[lane] -= cost
        self._left(lane)
        return item

    def remove(self, item: T) -> bool:
        """Take an item out of the queue; returns whether it was there."""
        for lane, items in self._lanes.items():
            for found in items:
                if found[0] is item:
                    items.remove(found)
                    self._left(lane)
                    return True
        return False

    def _left(self, lane: Hashable) -> None:
        """An item has left its lane."""
        self._has_chosen = False
        if not self._lanes[lane]:
            del self._lanes[lane], self._credit[lane]

    def _turn(self) -> Hashable:
        """The lane whose first item is the next."""
        if not self._lanes:
            raise IndexError("the queue is empty")
        while not self._has_chosen:
            lane, items = next(iter(self._lanes.items()))
            if items[0][1] <= self._credit[lane]:
                self._chosen, self._has_chosen = lane, True
            else:
                self._credit[lane] += CREDIT_BYTES
                self._lanes.move_to_end(lane)
        return self._chosen
