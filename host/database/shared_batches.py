"""Threads share the cost of a step that costs the same for one item as for many.

Callers queue their items. The first caller leads: it processes what waits, in order, and wakes the
others; items that come meanwhile are the next batch, whose first caller leads it. Nobody waits for
a batch to fill (decision 0010).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from host.domain.errors import HostError, StorageError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class _Waiting(Generic[Item, Outcome]):
    """A queued item, its outcome, and the lock on which its thread sleeps."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False
        self.outcomes: list[Outcome] = []
        self.failure: HostError | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    @property
    def is_done(self) -> bool:
        return bool(self.outcomes) or self.failure is not None

    def sleep(self) -> None:
        self._asleep.acquire()

    def wake(self) -> None:
        self._asleep.release()


class SharedBatches(Generic[Item, Outcome]):
    """Processes items in batches of at most `batch_max`, one batch at a time. Thread-safe.

    Args:
        process: gives an outcome for each item of a batch, in their order; what it raises fails
            every item of the batch.
        batch_max: the most items of one batch.
    """

    def __init__(
        self, process: Callable[[Sequence[Item]], Sequence[Outcome]], *, batch_max: int
    ) -> None:
        self._process = process
        self._batch_max = batch_max
        self._guard = threading.Lock()
        self._queue: deque[_Waiting[Item, Outcome]] = deque()
        self._is_led = False

    def run(self, item: Item) -> Outcome:
        """The outcome of one item.

        Raises:
            HostError: of the type that `process` raised.
            StorageError: the thread that led the batch was stopped; the outcome is unknown.
            BaseException: what else `process` raised, where the calling thread led.
        """
        waiting: _Waiting[Item, Outcome] = _Waiting(item)
        with self._guard:
            self._queue.append(waiting)
            waiting.leads = not self._is_led
            self._is_led = True
        try:
            if not waiting.leads:
                waiting.sleep()
            while not waiting.is_done:
                self._lead(waiting)
        finally:
            self._hand_over(waiting)
        if waiting.failure is not None:
            raise waiting.failure
        return waiting.outcomes[0]

    def _hand_over(self, waiting: _Waiting[Item, Outcome]) -> None:
        """Have the longest waiting thread lead; an interrupted thread takes its item back."""
        with self._guard:
            if not waiting.is_done and waiting in self._queue:
                self._queue.remove(waiting)
            if not waiting.leads:
                return
            self._is_led = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake()

    def _lead(self, own: _Waiting[Item, Outcome]) -> None:
        with self._guard:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_max))]
        try:
            outcomes = self._process([waiting.item for waiting in batch])
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcomes.append(outcome)
        except HostError as failure:
            # One exception object must not be raised by several threads.
            for waiting in batch:
                waiting.failure = type(failure)(failure.message, **failure.details)
        except BaseException:
            for waiting in batch:
                if waiting is not own:
                    waiting.failure = StorageError("the thread that led the batch was stopped")
            raise
        finally:
            for waiting in batch:
                if not waiting.leads:
                    waiting.wake()
