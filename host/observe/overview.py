"""An overview of a host as values: workers, queues, records set aside, open flows."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.ids import EpochMs
from host.domain.workers import WorkerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """One worker. `kind` is None for a process that does everything.

    `state` is one of the supervisor's phases, or `joined` for a worker that an operator started;
    `partitions` is how many the worker owns, None for one that runs no flows.
    """

    name: str
    kind: WorkerKind | None
    state: str
    since: EpochMs
    pid: int | None
    restarts: int
    cpu_seconds: float | None
    resident_bytes: int | None
    partitions: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """Records of a topic that are not processed yet; `lag_ms` is the age of the oldest."""

    topic: str
    records: int
    lag_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideLine:
    """Records that wait because the first record of their key failed, or its node is paused.

    `keys` is the number of their flows and sessions; for `cause` see `AsideSum`; `lag_ms` is the
    age of the first failure, None if nothing has failed.
    """

    topic: str
    cause: str
    keys: int
    records: int
    lag_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """`now` is the host's time, for comparison with the other times."""

    now: EpochMs
    workers: Sequence[WorkerLine]
    queues: Sequence[QueueLine]
    set_aside: Sequence[AsideLine] = ()
    open_flows: int
