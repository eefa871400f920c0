"""Executes the turns of a pool: queries a queue, works on a key, and holds what fails."""

import time
from collections.abc import Callable

from host.domain.errors import DatabaseAwayError, StorageError
from host.flow.core.aside import WorkKey
from host.flow.core.dispatch import Job
from host.flow.engine.engine import FlowEngine
from host.flow.engine.pool_state import STORE_RETRY_MS, PoolState, report_failure
from host.ports.clock import Clock
from host.ports.work import WorkRecord


class PoolTurns:
    """Executes turns of nodes with an engine. Thread-safe.

    Args:
        pool: what the threads of the pool share.
        engine: processes the work.
        clock: of due times.
        wake: wakes a thread for the next turn; called with the lock.
    """

    def __init__(
        self, pool: PoolState, engine: FlowEngine, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._engine = engine
        self._clock = clock
        self._wake = wake

    def execute(self, job: Job) -> None:
        """Execute a turn. Any exception affects only the key or the queue of the turn."""
        key, records = job.key, tuple[WorkRecord, ...]()
        try:
            if key is None:
                key, records = self._query(job)
            if key is not None:
                job.is_done = self._do_key(job, key, records)
        except BaseException as exc:  # noqa: BLE001  # a thread that ended would be missed by all
            self._unforeseen(job, key, records, exc)
        finally:
            self._end(job)

    def offer_due(self) -> None:
        """Offer the keys that are due. The caller holds the lock."""
        due = self._engine.asides.due(self._clock.now_ms(), self._pool.epochs.keys())
        self._pool.dispatch.offer_keys(due)

    def _query(self, job: Job) -> tuple[WorkKey | None, tuple[WorkRecord, ...]]:
        found = self._engine.take(job.queue, job.skip)
        records = tuple(found.records)
        key = WorkKey(job.queue, records[0].key) if records else None
        with self._pool.lock:
            is_free = self._pool.dispatch.found(job, key, more=found.more)
            self._wake()
        return (key, records) if is_free else (None, ())

    def _do_key(self, job: Job, key: WorkKey, records: tuple[WorkRecord, ...]) -> bool:
        """Work on a key; returns whether its records are known to have left their queue."""
        epoch = self._pool.epochs.get(key.queue.partition)
        if epoch is None:
            return False
        outcome = self._engine.work(key, records, epoch, lambda: self._commit(job))
        if outcome.hold_ms is not None:
            self._hold(key, outcome.hold_ms)
        return outcome.is_done

    def _commit(self, job: Job) -> None:
        """Let another step begin: this thread only waits until the step's commit is durable."""
        with self._pool.lock:
            before = self._pool.dispatch.next_rest()
            self._pool.dispatch.commit(job, time.monotonic())
            self._time_rest(before)
            self._wake()

    def _time_rest(self, before: float | None) -> None:
        """Have the thread of due times end a rest that is now the first. The caller holds the lock.

        Args:
            before: the end of the first rest until now.
        """
        first = self._pool.dispatch.next_rest()
        if first is not None and (before is None or first < before):
            self._pool.has_time.notify()

    def _unforeseen(
        self,
        job: Job,
        key: WorkKey | None,
        records: tuple[WorkRecord, ...],
        failure: BaseException,
    ) -> None:
        """Handle failures outside of records: an unreadable queue, an exception that ends threads.

        SystemExit and panics of extension modules are not subclasses of Exception, but can be
        raised by a step; they must not stop the pool.
        """
        try:
            expected = DatabaseAwayError if key is None else StorageError
            if not isinstance(failure, expected):
                report_failure()
            if key is None:
                with self._pool.lock:
                    until = time.monotonic() + STORE_RETRY_MS / 1000
                    self._pool.dispatch.hold_queue(job.queue, until)
                    self._pool.has_time.notify()
                return
            epoch = self._pool.epochs.get(key.queue.partition)
            outcome = self._engine.setbacks.failed(key, records, failure, epoch)
            if outcome.hold_ms is not None:
                self._hold(key, outcome.hold_ms)
        except BaseException:  # noqa: BLE001  # as above
            report_failure()
            if key is not None:
                self._hold(key, STORE_RETRY_MS)

    def _hold(self, key: WorkKey, millis: int) -> None:
        with self._pool.lock:
            self._pool.dispatch.hold(key, time.monotonic() + millis / 1000)
            self._pool.has_time.notify()

    def _end(self, job: Job) -> None:
        with self._pool.lock:
            before = self._pool.dispatch.next_rest()
            self._pool.dispatch.end(job, time.monotonic())
            self._time_rest(before)
            self.offer_due()  # this thread takes the next turn itself
            if self._engine.asides.next_due() is not None:
                self._pool.has_time.notify()
