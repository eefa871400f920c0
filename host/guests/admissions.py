"""Checks of code that take long: several at once, as far as processors and memory allow.

One object is shared by all uploads of a process, so that they share its bounds.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from host.adapters.os.machine import available_memory, processors

MEMORY_BYTES = 2 * 1024**3
"""Memory of all tasks at once where the system does not tell what is available."""
_MEMORY_SHARE = 2
"""One part in so many of the memory that is available may be used."""

_Result = TypeVar("_Result")
Progress = Callable[[str, int, int], None]
"""Receives the name of a task that has ended, how many have, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[_Result]):
    """One check. `memory_bytes` is the most that it takes, with the processes that it starts."""

    name: str
    memory_bytes: int
    action: Callable[[], _Result]


class Admissions:
    """Runs tasks on threads of its own. Thread-safe.

    Args:
        threads: tasks that run at once.
        memory_bytes: memory of the tasks that run at once; a larger one runs alone.
    """

    def __init__(self, *, threads: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self._threads = threads
        self._memory = _Memory(memory_bytes)
        self._pool = ThreadPoolExecutor(threads, "admission")

    @classmethod
    def of_machine(cls) -> Self:
        """One task for each processor, in half of the memory that is available now."""
        available = available_memory()
        memory = MEMORY_BYTES if available is None else available // _MEMORY_SHARE
        return cls(threads=processors(), memory_bytes=memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the tasks that run; those that have not begun are cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self, tasks: Sequence[Task[_Result]], progress: Progress = lambda *_facts: None
    ) -> list[_Result]:
        """Run all tasks; their results in the order of the tasks.

        Tasks begin in their order. After a failure none is begun, and those that run are waited
        for: so the failure that is raised is the first one in the order of the tasks, whatever
        their duration. Several callers take turns.

        Raises:
            Exception: of the first task, in that order, that raised.
            RuntimeError: the object is closed.
        """
        waiting = deque(enumerate(tasks))
        running: dict[Future[_Result], int] = {}
        results: dict[int, _Result] = {}
        failures: dict[int, BaseException] = {}
        try:
            while running or (waiting and not failures):
                while waiting and not failures and len(running) < self._threads:
                    index, task = waiting.popleft()
                    running[self._pool.submit(self._run, task)] = index
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index = running.pop(future)
                    raised = future.exception()
                    if raised is not None:
                        failures[index] = raised
                        continue
                    results[index] = future.result()
                    progress(tasks[index].name, len(results), len(tasks))
        finally:
            for future in running:
                future.cancel()
        if failures:
            raise failures[min(failures)]
        return [results[index] for index in range(len(tasks))]

    def _run(self, task: Task[_Result]) -> _Result:
        with self._memory.taken(task.memory_bytes):
            return task.action()


class _Memory:
    """An amount of memory that is shared in the order in which it is asked for."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._used = 0
        self._turn = threading.Lock()
        self._freed = threading.Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Take memory once there is enough left; more than there is only if all is left."""
        amount = min(wanted, self._total)
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._used + amount <= self._total)
            self._used += amount
        try:
            yield
        finally:
            with self._freed:
                self._used -= amount
                self._freed.notify_all()
