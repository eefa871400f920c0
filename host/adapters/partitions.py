"""The partitions of the embedded store: how many there are, and which one a key selects.

What a store has of them is its own affair; whoever works with it asks `States.partitions`.
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
"""Partitions of every topic: the bound on how many members can share its work."""


def partition_of(key: str) -> int:
    """The partition that a key selects, in every topic and in every process."""
    return zlib.crc32(key.encode()) % PARTITIONS


def target_of(record: NewRecord) -> TopicPartition:
    """Where a record of a log goes."""
    return TopicPartition(topic=record.topic, partition=partition_of(record.key))


def queue_of(record: NewRecord) -> WorkQueue:
    """Where a record waits that is work."""
    return _queue_of(record.topic, record.key, record.node or NOBODY)


@lru_cache(maxsize=1024)
def _queue_of(topic: str, key: str, node: ShortHash) -> WorkQueue:
    """Remembered: each step of a flow asks some times."""
    return WorkQueue(topic=topic, partition=partition_of(key), node=node)


def place_of(placement: Placement) -> DuePlace:
    """Where a state lies that is placed."""
    return DuePlace(group=placement.group, partition=partition_of(placement.key))


def committed_by(unit: Unit) -> Committed:
    """What a unit leaves to do once it is committed."""
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
