"""What is set aside, for operators: how much waits, for how long, and what for."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.ids import EpochMs
from host.flow.core.aside import ASIDE_GROUP, Aside, Cause, key_of, read_head
from host.flow.core.errors import FlowRecordDamagedError
from host.ports.state import StateRecord, States

DAMAGED = "damaged"
"""The cause of what waits to be moved to the dead letters, since it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideSum:
    """What is set aside of a topic for one cause.

    Attributes:
        topic: of the records.
        cause: `outage`, `transient` or `conflict`, as what has failed; `retry` where the cause is
            over; `paused`; or `damaged`.
        keys: how many flows, or sessions, wait.
        records: how many records wait for it.
        oldest_at: when the first of these failures was; None where nothing has failed.
    """

    topic: str
    cause: str
    keys: int
    records: int
    oldest_at: EpochMs | None


def aside_sums(states: States) -> Sequence[AsideSum]:
    """All that is set aside, by topic and cause; a partition at a time is held in memory.

    Raises:
        StorageError: the store cannot be read.
    """
    sums: dict[tuple[str, str], AsideSum] = {}
    for partition in range(states.partitions):
        for record in states.placed(ASIDE_GROUP, (partition,)):
            one = _of(record)
            before = sums.get((one.topic, one.cause))
            sums[one.topic, one.cause] = one if before is None else _both(before, one)
    return [sums[place] for place in sorted(sums)]


def _of(record: StateRecord) -> AsideSum:
    topic = key_of(record).queue.topic
    try:
        aside = read_head(record)
    except FlowRecordDamagedError:
        return AsideSum(topic=topic, cause=DAMAGED, keys=1, records=0, oldest_at=None)
    failures = aside.head.failures
    return AsideSum(
        topic=topic,
        cause=_cause(aside),
        keys=1,
        records=len(aside),
        oldest_at=None if failures is None else failures.since,
    )


def _cause(aside: Aside) -> str:
    failures = aside.head.failures
    if aside.head.cause is Cause.PAUSED or failures is None:
        return aside.head.cause
    return failures.kind


def _both(one: AsideSum, other: AsideSum) -> AsideSum:
    times = [each.oldest_at for each in (one, other) if each.oldest_at is not None]
    return AsideSum(
        topic=one.topic,
        cause=one.cause,
        keys=one.keys + other.keys,
        records=one.records + other.records,
        oldest_at=min(times, default=None),
    )
