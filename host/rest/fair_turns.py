"""Turns for costly work that strangers ask for: few at once, and addresses take them in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_Waiting = asyncio.Future[None]


@dataclass(slots=True)
class _Queue:
    """Who waits at one address. `first` go before `later`, the newest of them first.

    Of many names that are tried at once nobody knows which are guesses: a user who comes to them
    must not wait for all of them.
    """

    first: deque[_Waiting] = field(default_factory=deque)
    later: deque[_Waiting] = field(default_factory=deque)
    is_served: bool = False

    def __len__(self) -> int:
        return len(self.first) + len(self.later)


class NoTurnError(Exception):
    """Too many wait already at this address."""


class FairTurns:
    """Lets so many work at once, of each address one. Used by one event loop.

    Args:
        at_once: who work at the same time.
        waiting_max: who may wait at one address.
    """

    def __init__(self, *, at_once: int, waiting_max: int) -> None:
        self._free = at_once
        self._waiting_max = waiting_max
        self._queues: OrderedDict[str, _Queue] = OrderedDict()

    @asynccontextmanager
    async def turn(self, address: str, *, first: bool) -> AsyncIterator[None]:
        """Wait for a turn and have it for the length of the block.

        Args:
            address: whose turn it is.
            first: go before those at the same address that do not.

        Raises:
            NoTurnError: at this address too many wait.
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
        """Give turns to the addresses in order, as long as there are any."""
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
    """The next who still waits; those that have gone are left out."""
    while len(queue):
        waiting = queue.first.pop() if queue.first else queue.later.popleft()
        if not waiting.done():
            return waiting
    return None
