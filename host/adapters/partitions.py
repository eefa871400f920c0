"""The partitions of stores: their number, and the mapping from keys.

The embedded store has 32; a shared database has as many as were chosen when it was made. Callers
use `StateStore.partitions`.
"""

import zlib
from functools import lru_cache

from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import (
    NOBODY,
    Committed,
    DuePlace,
    NewRecord,
    Placement,
    TopicPartition,
    WorkQueue,
)
from host.ports.units import Unit

PARTITIONS = 32
"""Partitions of every topic in the embedded store: the maximum number of members that can share its
work."""
PARTITIONS_MAX = 1024
"""In any store."""


def partition_of(key: str, partitions: int = PARTITIONS) -> int:
    """The partition that a key selects, in every topic and in every process."""
    return zlib.crc32(key.encode()) % partitions


def target_of(record: NewRecord, partitions: int = PARTITIONS) -> TopicPartition:
    """The partition of a log record."""
    return TopicPartition(topic=record.topic, partition=partition_of(record.key, partitions))


def queue_of(record: NewRecord, partitions: int = PARTITIONS) -> WorkQueue:
    """The queue of a work record."""
    return _queue_of(record.topic, record.key, record.node or NOBODY, partitions)


@lru_cache(maxsize=1024)
def _queue_of(topic: str, key: str, node: ShortHash, partitions: int) -> WorkQueue:
    """Cached: each step of a flow calls it several times."""
    return WorkQueue(topic=topic, partition=partition_of(key, partitions), node=node)


def place_of(placement: Placement, partitions: int = PARTITIONS) -> DuePlace:
    """The partition of a state with a place."""
    return DuePlace(group=placement.group, partition=partition_of(placement.key, partitions))


def committed_by(unit: Unit, partitions: int = PARTITIONS) -> Committed:
    """The new work that the commit of a unit creates."""
    due: dict[DuePlace, EpochMs] = {}
    for write in unit.states:
        if write.due_at is not None and write.place is not None:
            place = place_of(write.place, partitions)
            due[place] = min(write.due_at, due.get(place, write.due_at))
    return Committed(
        logs=frozenset(target_of(r, partitions) for r in unit.records if r.node is None),
        work=frozenset(queue_of(r, partitions) for r in unit.records if r.node is not None),
        due=due,
    )
