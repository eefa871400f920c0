"""A pool of threads that process partitions, and one that watches due times.

A worker claims any partition with work that no other worker holds, so a guest that spins blocks
one partition and one thread, never the others. Idle threads wait; nothing polls.
"""

import threading

from host.domain.errors import StorageError
from host.domain.ids import EpochMs
from host.flow.engine import FlowEngine, Progress
from host.flow.messages import GROUP, WORK_TOPICS
from host.ports.bus import TopicPartition
from host.ports.clock import Clock
from host.ports.units import FlowStore

TRIM_AFTER_MS = 5_000
_STORE_RETRY_MS = 1_000


class FlowWorkers:
    """Runs an engine until stopped.

    Args:
        engine: what processes partitions.
        units: the engine's store; its commits wake the threads.
        clock: real time; a simulated clock does not wake the timer thread.
        threads: guests that may run at once, at least 1.
    """

    def __init__(
        self, *, engine: FlowEngine, units: FlowStore, clock: Clock, threads: int = 2
    ) -> None:
        self._engine = engine
        self._store = units
        self._clock = clock
        lock = threading.Lock()
        self._has_work = threading.Condition(lock)
        self._has_time = threading.Condition(lock)
        self._lock = lock
        self._ready: dict[TopicPartition, None] = {}
        self._claimed: set[TopicPartition] = set()
        self._parked: dict[TopicPartition, EpochMs] = {}
        self._due: EpochMs | None = None
        self._trim_at: EpochMs | None = None
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"flow-{number}", daemon=True)
            for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="flow-time", daemon=True))

    def start(self) -> None:
        """Take up the work that the store holds, and start the threads.

        Raises:
            StorageError: the store cannot be read.
        """
        self._store.on_commit(self._committed)
        self._committed(frozenset(self._engine.ready()), self._engine.timers.next_due())
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Let running steps finish and end the threads.

        Returns:
            False when a step was still running after `timeout_s`; its work is not lost.
        """
        with self._lock:
            self._is_stopping = True
            self._has_work.notify_all()
            self._has_time.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _committed(self, touched: frozenset[TopicPartition], due: EpochMs | None) -> None:
        work = [source for source in touched if source.topic in WORK_TOPICS]
        with self._lock:
            self._ready.update(dict.fromkeys(work))
            self._has_work.notify(len(work))
            if work and self._trim_at is None:
                self._trim_at = EpochMs(self._clock.now_ms() + TRIM_AFTER_MS)
                self._has_time.notify()
            if due is not None and (self._due is None or due < self._due):
                self._due = due
                self._has_time.notify()

    def _work(self) -> None:
        while (source := self._claim()) is not None:
            try:
                progress = self._engine.process(source)
            except Exception:
                self._release(source, Progress(worked=False))
                raise
            self._release(source, progress)

    def _claim(self) -> TopicPartition | None:
        """Wait for a partition that nobody holds; None when the pool stops."""
        with self._lock:
            while True:
                if self._is_stopping:
                    return None
                for source in self._ready:
                    if source not in self._claimed:
                        del self._ready[source]
                        self._claimed.add(source)
                        return source
                self._has_work.wait()

    def _release(self, source: TopicPartition, progress: Progress) -> None:
        with self._lock:
            self._claimed.discard(source)
            if progress.worked:
                self._ready[source] = None
            elif progress.retry_at is not None:
                self._parked[source] = progress.retry_at
                self._has_time.notify()
            if source in self._ready:
                self._has_work.notify()

    def _watch(self) -> None:
        while self._wait_until_due():
            try:
                self._act()
            except StorageError:
                with self._lock:
                    self._due = EpochMs(self._clock.now_ms() + _STORE_RETRY_MS)

    def _wait_until_due(self) -> bool:
        """Wait for the earliest due time; False when the pool stops."""
        with self._lock:
            while not self._is_stopping:
                times = [t for t in (self._due, self._trim_at, *self._parked.values()) if t]
                if not times:
                    self._has_time.wait()
                    continue
                delay_ms = min(times) - self._clock.now_ms()
                if delay_ms <= 0:
                    return True
                self._has_time.wait(delay_ms / 1000)
            return False

    def _act(self) -> None:
        now = self._clock.now_ms()
        with self._lock:
            for source in [s for s, at in self._parked.items() if at <= now]:
                del self._parked[source]
                self._ready[source] = None
                self._has_work.notify()
            is_due = self._due is not None and self._due <= now
            is_trim = self._trim_at is not None and self._trim_at <= now
            self._due = None if is_due else self._due
            self._trim_at = None if is_trim else self._trim_at
        if is_due:
            self._engine.timers.fire_due()
            self._committed(frozenset(), self._engine.timers.next_due())
        if is_trim:
            self._store.trim([(topic, GROUP) for topic in WORK_TOPICS])
