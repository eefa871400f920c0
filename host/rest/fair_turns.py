"""Limits costly work for unauthenticated clients: few at once, round robin over addresses."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_Waiting = asyncio.Future[None]


@dataclass(slots=True)
class _Queue:
    """The waiting tasks of one address: `first`, newest first, then `later`, oldest first.

    Among many names tried at once, guesses cannot be told from real users: a user who arrives later
    must not wait for all of them.
    """

    first: deque[_Waiting] = field(default_factory=deque)
    later: deque[_Waiting] = field(default_factory=deque)
    is_served: bool = False

    def __len__(self) -> int:
        return len(self.first) + len(self.later)


class NoTurnError(Exception):
    """Too many tasks of this address are waiting already."""


class FairTurns:
    """Limits the number of concurrent tasks, with one per address. Used by one event loop.

    Args:
        at_once: maximum number of concurrent tasks.
        waiting_max: maximum number of waiting tasks per address.
    """

    def __init__(self, *, at_once: int, waiting_max: int) -> None:
        self._free = at_once
        self._waiting_max = waiting_max
        self._queues: OrderedDict[str, _Queue] = OrderedDict()

    @asynccontextmanager
    async def turn(self, address: str, *, first: bool) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the duration of the block.

        Args:
            address: address of the client.
            first: go before those of the same address without this flag.

        Raises:
            NoTurnError: too many tasks of this address are waiting.
        """
        queue = self._queues.setdefault(address, _Queue())
        if len(queue) >= self._waiting_max:
            raise NoTurnError
        mine: _Waiting = asyncio.get_running_loop().create_future()
        (queue.first if first else queue.later).append(mine)
        self._serve()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._end(address, queue)
            raise
        try:
            yield
        finally:
            self._end(address, queue)

    def _serve(self) -> None:
        """Give turns to the addresses in order, while turns are free."""
        for address in list(self._queues):
            if self._free == 0:
                return
            queue = self._queues[address]
            if queue.is_served:
                continue
            waiting = _next(queue)
            if waiting is None:
                del self._queues[address]
                continue
            queue.is_served = True
            self._free -= 1
            self._queues.move_to_end(address)
            waiting.set_result(None)

    def _end(self, address: str, queue: _Queue) -> None:
        queue.is_served = False
        self._free += 1
        if len(queue):
            self._queues.move_to_end(address)
        else:
            self._queues.pop(address, None)
        self._serve()


def _next(queue: _Queue) -> _Waiting | None:
    """The next task that still waits; cancelled ones are skipped."""
    while len(queue):
        waiting = queue.first.pop() if queue.first else queue.later.popleft()
        if not waiting.done():
            return waiting
    return None
