"""The partitions of the embedded store: their number, and the mapping from keys.

Stores may have different numbers of partitions; callers use `States.partitions`.
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
"""Partitions of every topic: the maximum number of members that can share its work."""


def partition_of(key: str) -> int:
    """The partition that a key selects, in every topic and in every process."""
    return zlib.crc32(key.encode()) % PARTITIONS


def target_of(record: NewRecord) -> TopicPartition:
    """The partition of a log record."""
    return TopicPartition(topic=record.topic, partition=partition_of(record.key))


def queue_of(record: NewRecord) -> WorkQueue:
    """The queue of a work record."""
    return _queue_of(record.topic, record.key, record.node or NOBODY)


@lru_cache(maxsize=1024)
def _queue_of(topic: str, key: str, node: ShortHash) -> WorkQueue:
    """Cached: each step of a flow calls it several times."""
    return WorkQueue(topic=topic, partition=partition_of(key), node=node)


def place_of(placement: Placement) -> DuePlace:
    """The partition of a state with a place."""
    return DuePlace(group=placement.group, partition=partition_of(placement.key))


def committed_by(unit: Unit) -> Committed:
    """The new work that the commit of a unit creates."""
    due: dict[DuePlace, EpochMs] = {}
    for write in unit.states:
        if write.due_at is not None and write.place is not None:
            place = place_of(write.place)
            due[place] = min(write.due_at, due.get(place, write.due_at))
    return Committed(
        logs=frozenset(target_of(r) for r in unit.records if r.node is None),
        work=frozenset(queue_of(r) for r in unit.records if r.node is not None),
        due=due,
    )
