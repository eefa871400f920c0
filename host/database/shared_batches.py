"""Threads share the cost of a step that costs the same for one item as for many.

Callers queue their items. The first caller leads: it processes what waits, in order, and wakes the
others; items that come meanwhile are the next batch, whose first caller leads it. Nobody waits for
a batch to fill (decision 0010). Where callers name lanes, batches take from them in turns.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from copy import copy
from typing import Generic, TypeVar

from host.database.lane_queue import LaneQueue
from host.domain.errors import HostError, StorageError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Queued(Generic[Item, Outcome]):
    """An item that waits to be processed; its thread sleeps until it has ended."""

    def __init__(self, item: Item, size: int) -> None:
        self.item = item
        self.size = size
        self.leads = False
        self.is_done = False
        self.outcomes: list[Outcome] = []
        self.failure: Exception | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def end(self, outcome: Outcome) -> None:
        """Give the item its outcome, and wake its thread."""
        self.outcomes.append(outcome)
        self._done()

    def fail(self, failure: Exception) -> None:
        """Have the item's thread raise `failure`, an object of its own."""
        self.failure = failure
        self._done()

    def sleep(self) -> None:
        """Wait until the item has ended, or its thread becomes the leader."""
        self._asleep.acquire()

    def lead(self) -> None:
        """Wake the item's thread to lead the next batch."""
        self.leads = True
        self._asleep.release()

    def _done(self) -> None:
        self.is_done = True
        if not self.leads:
            self._asleep.release()


class SharedBatches(Generic[Item, Outcome]):
    """Processes items in batches, one batch at a time. Thread-safe.

    Args:
        process: ends each item of a batch. What it raises fails every item that it has not ended:
            an error of the host is raised by each of their threads, of another exception the
            leading thread's caller learns, and the others that the outcome is unknown.
        batch_max: the most items of one batch.
        bytes_max: no item joins a batch of this size, so that the first one need not wait for all.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Queued[Item, Outcome]]], None],
        *,
        batch_max: int,
        bytes_max: int | None = None,
    ) -> None:
        self._process = process
        self._batch_max = batch_max
        self._bytes_max = bytes_max
        self._guard = threading.Lock()
        self._queue: LaneQueue[Queued[Item, Outcome]] = LaneQueue()
        self._is_led = False

    def run(self, item: Item, *, size: int = 0, lane: Hashable = None) -> Outcome:
        """The outcome of one item of `size` bytes; items of one lane keep their order.

        Raises:
            HostError: of the type that `process` raised.
            StorageError: the thread that led the batch was stopped; the outcome is unknown.
            Exception: what the item was failed with.
            BaseException: what else `process` raised, where the calling thread led.
        """
        own: Queued[Item, Outcome] = Queued(item, size)
        with self._guard:
            self._queue.append(own, lane=lane, size=size)
            own.leads = not self._is_led
            self._is_led = True
        try:
            if not own.leads:
                own.sleep()
            while not own.is_done:
                self._lead()
        finally:
            self._hand_over(own)
        if own.failure is not None:
            raise own.failure
        return own.outcomes[0]

    def _hand_over(self, own: Queued[Item, Outcome]) -> None:
        """Have the next item's thread lead; an interrupted thread takes its item back."""
        with self._guard:
            if not own.is_done:
                self._queue.remove(own)
            if not own.leads:
                return
            self._is_led = bool(self._queue)
            if self._queue:
                self._queue.first().lead()

    def _lead(self) -> None:
        batch = self._next_batch()
        try:
            self._process(batch)
        except HostError as failure:
            fail_all(batch, failure)
        except BaseException:
            # The calling thread raises this exception itself.
            fail_all(batch, StorageError("the thread that led the batch was stopped"))
            raise

    def _next_batch(self) -> Sequence[Queued[Item, Outcome]]:
        batch, size = list[Queued[Item, Outcome]](), 0
        with self._guard:
            while self._queue and len(batch) < self._batch_max:
                if self._bytes_max is not None and size >= self._bytes_max:
                    break
                batch.append(self._queue.pop())
                size += batch[-1].size
        return batch


def fail_all(batch: Iterable[Queued[Item, Outcome]], failure: HostError) -> None:
    """Fail the items of a batch that have not ended, each with a copy of `failure`.

    One exception object must not be raised by several threads.
    """
    for queued in batch:
        if not queued.is_done:
            queued.fail(copy(failure))
