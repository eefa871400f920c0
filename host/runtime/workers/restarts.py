"""Start, restart and stop of workers: the supervisor's decisions as a pure state machine.

A worker that dies is restarted after a delay that doubles with every consecutive death, and is
reset once the worker has been ready for a while. On shutdown the kinds stop one after another:
callers first, the services that they call last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from host.domain.ids import EpochMs
from host.domain.workers import WorkerKind, WorkerPlan

DELAY_MS_MIN = 100
DELAY_MS_MAX = 30_000
STEADY_MS = 60_000
"""After being ready for this long, a worker's next death counts as the first."""
START_MS_MAX = 180_000
"""A worker that is not ready after this time is killed. A start takes seconds of processor time,
which a machine with much else to do gives it within minutes."""
STOP_ORDER = tuple(reversed(WorkerKind))


class Phase(StrEnum):
    WAITING = "waiting"
    """Waiting to be started when its delay is over."""
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A slot for one process. `at` is when something is due: a start, or the end of a timeout.

    `deaths` counts consecutive deaths, `restarts` all starts except the first.
    """

    kind: WorkerKind
    number: int
    phase: Phase = Phase.WAITING
    since: EpochMs
    at: EpochMs | None = None
    deaths: int = 0
    restarts: int = 0
    has_run: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def has_process(self) -> bool:
        return self.phase in (Phase.STARTING, Phase.READY, Phase.STOPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    name: str


Command: TypeAlias = Start | Terminate | Kill


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """All workers. `stop_ms_max` is how long one may take to stop before it is killed."""

    workers: tuple[Worker, ...]
    stop_ms_max: int
    is_stopping: bool = False

    @staticmethod
    def begin(plan: WorkerPlan, *, stop_ms_max: int, now: EpochMs) -> "Supervision":
        """The initial state: every worker of `plan` is to be started at once."""
        return Supervision(
            workers=tuple(
                Worker(kind=kind, number=number, since=now, at=now)
                for kind, count in plan.counts.items()
                for number in range(count)
            ),
            stop_ms_max=stop_ms_max,
        )

    @property
    def is_over(self) -> bool:
        return self.is_stopping and not any(worker.has_process for worker in self.workers)

    @property
    def next_at(self) -> EpochMs | None:
        """When `tick` must be called next, unless an event comes first."""
        return min((worker.at for worker in self.workers if worker.at is not None), default=None)

    def tick(self, now: EpochMs) -> tuple["Supervision", Sequence[Command]]:
        """Start workers that are due, and kill those that exceed a timeout."""
        commands: list[Command] = []
        workers = []
        for worker in self.workers:
            if worker.at is None or worker.at > now:
                workers.append(worker)
            elif worker.phase is Phase.WAITING:
                commands.append(Start(name=worker.name))
                workers.append(_started(worker, now))
            else:
                commands.append(Kill(name=worker.name))
                workers.append(replace(worker, at=None))
        return replace(self, workers=tuple(workers)), commands

    def ready(self, name: str, now: EpochMs) -> "Supervision":
        """The worker has reported that it is ready."""
        return self._with(
            name,
            lambda w: (
                replace(w, phase=Phase.READY, since=now, at=None)
                if w.phase is Phase.STARTING
                else w
            ),
        )

    def died(self, name: str, now: EpochMs) -> tuple["Supervision", Sequence[Command]]:
        """The worker's process has ended, for whatever reason."""
        after = self._with(name, lambda w: _after_death(w, now, is_stopping=self.is_stopping))
        return _stop_next(after, now) if self.is_stopping else (after, ())

    def stop(self, now: EpochMs) -> tuple["Supervision", Sequence[Command]]:
        """Begin to stop all workers."""
        workers = tuple(
            replace(worker, phase=Phase.STOPPED, since=now, at=None)
            if worker.phase is Phase.WAITING
            else worker
            for worker in self.workers
        )
        return _stop_next(replace(self, workers=workers, is_stopping=True), now)

    def _with(self, name: str, change: Callable[[Worker], Worker]) -> "Supervision":
        return replace(
            self, workers=tuple(change(w) if w.name == name else w for w in self.workers)
        )


def _stop_next(state: Supervision, now: EpochMs) -> tuple[Supervision, Sequence[Command]]:
    """Stop the next kind, once no process of the kinds before it is left."""
    for kind in STOP_ORDER:
        running = [w for w in state.workers if w.kind is kind and w.has_process]
        if running:
            asked = {w.name for w in running if w.phase is not Phase.STOPPING}
            workers = tuple(
                replace(w, phase=Phase.STOPPING, since=now, at=EpochMs(now + state.stop_ms_max))
                if w.name in asked
                else w
                for w in state.workers
            )
            commands = [Terminate(name=w.name) for w in running if w.name in asked]
            return replace(state, workers=workers), commands
    return state, ()


def delay_ms(deaths: int) -> int:
    """How long to wait before a restart after this number of consecutive deaths, from 1."""
    return min(DELAY_MS_MIN << min(deaths - 1, 20), DELAY_MS_MAX)


def _started(worker: Worker, now: EpochMs) -> Worker:
    return replace(
        worker,
        phase=Phase.STARTING,
        since=now,
        at=EpochMs(now + START_MS_MAX),
        restarts=worker.restarts + worker.has_run,
        has_run=True,
    )


def _after_death(worker: Worker, now: EpochMs, *, is_stopping: bool) -> Worker:
    if is_stopping:
        return replace(worker, phase=Phase.STOPPED, since=now, at=None)
    was_steady = worker.phase is Phase.READY and now - worker.since >= STEADY_MS
    deaths = 1 if was_steady else worker.deaths + 1
    at = EpochMs(now + delay_ms(deaths))
    return replace(worker, phase=Phase.WAITING, since=now, at=at, deaths=deaths)
