"""The facts that are judged: of a host as a whole, and of its nodes that have some trouble."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.ids import EpochMs, ShortHash


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemFacts:
    """A check of the host that failed, or a warning of it; `stops` if the host cannot work."""

    check: str
    code: str
    message: str
    stops: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """A worker and its state since `since`; what is not known of a process is None."""

    name: str
    state: str
    since: EpochMs
    restarts: int
    cpu_seconds: float | None = None
    resident_bytes: int | None = None
    partitions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """Records of a topic that wait; `lag_ms` is the age of the oldest."""

    topic: str
    records: int
    lag_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAsideFacts:
    """Records that were set aside for one cause; `lag_ms` is the age of the first failure."""

    topic: str
    cause: str
    keys: int
    records: int
    lag_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFacts:
    """Recent records that were given up: how many, counted up to `most`, and the time of two."""

    count: int
    most: int
    newest_at: EpochMs
    oldest_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class HitFacts:
    """A quota that a node hit: its code, how often in all, and when last."""

    code: str
    count: int
    last_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node that may have a trouble.

    Attributes:
        ended_hour, failed_hour: client-started flows that ended in the last hour.
        failing_since: the first minute of it in which one failed.
        hits: the quotas that it hit in the last minutes.
    """

    short_hash: ShortHash
    name: str
    is_active: bool
    ended_hour: int = 0
    failed_hour: int = 0
    failing_since: EpochMs | None = None
    hits: Sequence[HitFacts] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at `now`. Disk sizes are 0 if they are not known."""

    now: EpochMs
    problems: Sequence[ProblemFacts] = ()
    workers: Sequence[WorkerFacts] = ()
    queues: Sequence[QueueFacts] = ()
    set_aside: Sequence[SetAsideFacts] = ()
    dead_letters: DeadLetterFacts | None = None
    disk_free: int = 0
    disk_size: int = 0
    network_expiry: EpochMs | None = None
    nodes: Sequence[NodeFacts] = ()
