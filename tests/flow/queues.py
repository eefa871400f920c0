"""What waits in the queues of a store, and what was ever published to it."""

from host.adapters.memory.store import MemoryStore
from host.domain.ids import ShortHash
from host.flow.core.messages import EVENT_TOPIC, START_TOPIC, start_key
from host.ports.bus import NewRecord
from host.ports.units import FlowStore, Unit
from host.ports.work import Done, WorkRecord
from tests.flow.network import ALICE, BOB, holding

ALICES, BOBS = (holding(name).short_hash for name in (ALICE, BOB))


def event(topic: str, key: str, value: bytes, node: ShortHash = ALICES) -> NewRecord:
    """A record that is a node's work."""
    return NewRecord(topic=topic, key=key, value=value, node=node)


def waiting(store: FlowStore, topic: str) -> list[WorkRecord]:
    """All records that wait in a topic, in the order in which they were published."""
    found: list[WorkRecord] = []
    for queue in store.waiting([topic]):
        keys: set[str] = set()
        while records := store.take(queue, 9_999, keys).records:
            found += records
            keys.add(records[0].key)
    return sorted(found, key=lambda record: record.position)


def to_the_mapper(store: FlowStore, request_id: str = "r1") -> NewRecord:
    """Turn Alice's start into a request to the mapper, as earlier releases stored it."""
    (start,) = waiting(store, EVENT_TOPIC)
    request = event(START_TOPIC, start_key(request_id, ALICES), start.value)
    done = Done(queue=start.queue, positions=(start.position,))
    store.commit(Unit(records=(request,), done=(done,)))
    return request


class Remembering(MemoryStore):
    """Knows all records that were ever published."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[NewRecord] = []

    def commit(self, unit: Unit) -> None:
        super().commit(unit)
        self.published += unit.records
