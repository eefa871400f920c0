"""Runs flows as threads, one at a time, in an order that never changes between runs."""

import threading
from collections.abc import Callable

from cordapp_testkit.errors import FlowKilled

_STALLED_SECONDS = 300.0
"""Bound of a whole run; only a guest that the kit cannot stop gets there."""


class Task:
    """One flow's thread and what it waits for."""

    def __init__(self) -> None:
        self.turn = threading.Event()
        self.is_ready: Callable[[], bool] = lambda: True
        self.is_stalled = False


class Scheduler:
    """Hands one baton round: a flow runs until it waits or ends, then the next one goes on."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._idle = threading.Event()
        self._local = threading.local()

    def spawn(self, body: Callable[[], None]) -> None:
        """Add a flow; it runs when its turn comes."""
        task = Task()
        self._tasks.append(task)
        threading.Thread(target=self._run, args=(task, body), daemon=True).start()

    def run_all(self) -> None:
        """Run until every flow has ended."""
        if not self._tasks:
            return
        self._idle.clear()
        self._pass_on()
        if not self._idle.wait(_STALLED_SECONDS):
            raise TimeoutError(f"flows still run after {_STALLED_SECONDS} s")

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Let other flows run until `is_ready()` holds.

        Raises:
            FlowKilled: no flow can go on any more (`flow-stalled`).
        """
        if is_ready():
            return
        task: Task = self._local.task
        task.is_ready = is_ready
        self._tasks.remove(task)
        self._tasks.append(task)
        self._pass_on()
        task.turn.wait()
        task.turn.clear()
        task.is_ready = lambda: True
        if task.is_stalled:
            raise FlowKilled("flow-stalled", "every flow of the network waits for a message")

    def _run(self, task: Task, body: Callable[[], None]) -> None:
        task.turn.wait()
        task.turn.clear()
        self._local.task = task
        try:
            body()
        finally:
            self._tasks.remove(task)
            if self._tasks:
                self._pass_on()
            else:
                self._idle.set()

    def _pass_on(self) -> None:
        for task in self._tasks:
            if task.is_ready():
                task.turn.set()
                return
        self._tasks[0].is_stalled = True
        self._tasks[0].turn.set()
