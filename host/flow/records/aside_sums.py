"""Summary of records that are set aside, for operators: number, age and cause."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.ids import EpochMs
from host.flow.core.aside import ASIDE_GROUP, Aside, Cause, key_of, read_head
from host.flow.core.errors import FlowRecordDamagedError
from host.ports.state import StateRecord, States

DAMAGED = "damaged"
"""The cause of unreadable records that wait to be moved to the dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideSum:
    """The records of a topic that are set aside for one cause.

    Attributes:
        topic: of the records.
        cause: `outage`, `transient` or `conflict`, by the kind of failure; `retry` if there is no
            failure any more; `paused`; or `damaged`.
        keys: how many flows or sessions wait.
        records: how many records wait for it.
        oldest_at: time of the first of these failures; None if there was none.
    """

    topic: str
    cause: str
    keys: int
    records: int
    oldest_at: EpochMs | None


def aside_sums(states: States) -> Sequence[AsideSum]:
    """All records that are set aside, by topic and cause; one partition at a time is in memory.

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
